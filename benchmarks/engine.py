"""CPU time of the engine in a turn: `python -m benchmarks.engine [CHECKOUT]`.

Follows runs of a stand-in server in another process: answers that are streamed with one event per
token, like OpenAI's, and runs that are polled. With CHECKOUT the code of another checkout is
measured, too, interleaved with ours.
"""

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

ROUNDS = 5
TOKENS = 325
"""An answer of 1,300 characters."""
STREAMED, POLLED = 60, 600
AT_ONCE = 20
HERE = Path(__file__).resolve().parent.parent


def events() -> bytes:
    """An answer as OpenAI streams it, including fields that no client reads."""
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress"}
    where = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    told: list[dict[str, Any]] = [
        {"type": "response.created", "response": response("in_progress")},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "content": []},
        },
        {"type": "response.content_part.added", **where, "part": part},
    ]
    delta = {"type": "response.output_text.delta", **where, "delta": "word", "logprobs": []}
    told += [{**delta, "obfuscation": "x" * 12}] * TOKENS
    told.append({"type": "response.completed", "response": response("completed")})
    lines = []
    for number, event in enumerate(told):
        data = json.dumps({**event, "sequence_number": number})
        lines.append(f"event: {event['type']}\ndata: {data}\n\n")
    return "".join(lines).encode()


def response(status: str) -> dict[str, Any]:
    """A response as a poll shows it."""
    part = {"type": "output_text", "text": "word" * TOKENS, "annotations": [], "logprobs": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "content": [part]}
    details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {}}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-6-luna",
        "output": [{**message, "status": "completed"}] if status == "completed" else [],
        "instructions": "You are a helpful assistant." * 10,
        "metadata": {"turn": "t", "slack_thread": "T1:C1:1.0", "slack_ts": "1.0"},
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "usage": {"input_tokens": 100, "output_tokens": 300, "total_tokens": 400, **details},
    }


def serve() -> None:
    """Run the stand-in server: print the port, and answer until killed."""
    streamed, polled = events(), json.dumps(response("completed")).encode()
    begun = json.dumps(response("in_progress")).encode()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "stream" in request.query:
            return web.Response(body=streamed, content_type="text/event-stream")
        is_new = request.path.endswith("resp_streamed")
        return web.Response(body=begun if is_new else polled, content_type="application/json")

    async def main() -> None:
        app = web.Application()
        app.router.add_get("/v1/responses/{id}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(runner.addresses[0][1], flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def stand_in() -> Iterator[str]:
    """The address of a stand-in in a separate process."""
    command = [sys.executable, "-m", "benchmarks.engine", "--serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=HERE)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.kill()
        process.wait()


async def measure(url: str) -> dict[str, float]:
    """Milliseconds of CPU per streamed answer and per poll."""
    from bot.engines import open_engine
    from bot.models import Conversation, Run, Thread
    from bot.settings import Settings

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    settings = Settings(
        _env_file=None,
        slack_bot_token="xoxb-benchmark",
        slack_app_token="xapp-benchmark",
        openai_api_key="sk-benchmark",
        openai_base_url=url,
    )
    found = {}
    for name, count in (("streamed", STREAMED), ("polled", POLLED)):
        given = settings.model_copy(update={"bot_streaming": name == "streamed"})
        async with open_engine(given) as engine:
            thread = Thread("T1", "C1", "1.0")
            conversation = Conversation("conv_1", engine.name, thread, "U1", 1.0)

            async def follow(engine: Any, conversation: Any, name: str) -> None:
                run = Run(f"resp_{name}", "conv_1", time.time() - 5)
                async for update in engine.follow(run, conversation):
                    last = update
                assert last.text == "word" * TOKENS

            await follow(engine, conversation, name)  # one-time work does not count
            began = time.process_time()
            for _ in range(0, count, AT_ONCE):
                runs = (follow(engine, conversation, name) for _ in range(AT_ONCE))
                await asyncio.gather(*runs)
            found[name] = (time.process_time() - began) * 1000 / count
    return found


def one_round(url: str, checkout: Path) -> dict[str, float]:
    """Measure a checkout in a fresh process."""
    script = str(HERE / "benchmarks" / "engine.py")
    paths = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, script, "--measure", url],
        cwd=checkout,
        env=paths,
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Print the median of each figure, for each checkout."""
    if sys.argv[1:2] == ["--serve"]:
        serve()
    elif sys.argv[1:2] == ["--measure"]:
        print(json.dumps(asyncio.run(measure(sys.argv[2]))))
    else:
        checkouts = [HERE, *map(Path, sys.argv[1:])]
        with stand_in() as url:
            rounds = [[one_round(url, checkout) for checkout in checkouts] for _ in range(ROUNDS)]
        for number, checkout in enumerate(checkouts):
            figures = {
                name: statistics.median(found[number][name] for found in rounds)
                for name in ("streamed", "polled")
            }
            print(
                f"{'ours' if number == 0 else checkout}: {figures['streamed']:.2f} ms per streamed"
                f" answer of {TOKENS} events, {figures['polled']:.3f} ms per poll"
            )


if __name__ == "__main__":
    main()
