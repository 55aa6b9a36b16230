"""A hostile AI server: endless bodies, lines, events, items and files, bombs, and trickles.

Each ends the turn with a clear error, in bounded time and memory.
"""

import asyncio
import gzip
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engines import RunRequest
from bot.errors import BotError, Retry, RunFailed
from bot.models import MadeFile, Run
from bot.texts.answers import WORDS
from tests.engines.engines import (
    FAST,
    OPTIONS,
    THREAD,
    known_as,
    last_update,
    open_assistants_on,
    open_responses_on,
    said,
)
from tests.engines.raw_server import open_raw_server
from tests.fakes.openai import FakeOpenAI, open_fake_openai
from tests.world import network_engine, open_world

MIB = 1 << 20
MOST_MEMORY = 100 * MIB
QUICK = replace(FAST, read_timeout=0.5, create_timeout=0.5, write_timeout=0.5)

Writer = asyncio.StreamWriter
Reply = Callable[[Writer], Awaitable[None]]


def head(content_type: str, *more: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", "Connection: close", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


JSON, EVENTS = head("application/json"), head("text/event-stream")


def endless(start: bytes, block: bytes, pause: float = 0.0) -> Reply:
    """Writes `start`, and then `block` until the client closes the connection."""

    async def reply(writer: Writer) -> None:
        writer.write(start)
        while True:
            writer.write(block)
            await writer.drain()
            await asyncio.sleep(pause)

    return reply


def once(content: bytes) -> Reply:
    async def reply(writer: Writer) -> None:
        writer.write(content)
        await writer.drain()

    return reply


def event(**data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


BLOCK = b"x" * 65536
CREATED = event(type="response.created", response={"id": "resp_1", "status": "in_progress"})
DELTA = event(type="response.output_text.delta", item_id="m", output_index=0, delta="word " * 200)
ITEM = event(type="response.output_item.added", item={"type": "web_search_call"})
BIG_ITEM = event(
    type="response.output_item.done", item={"type": "image_generation_call", "result": "x" * MIB}
)
NESTED = b'{"id": ' + b"[" * 200_000

WIDE = b'{"id":"resp_1","status":"completed","output":"' + b"x" * (19 * MIB) + "😀".encode() + b'"}'
"""One emoji makes the whole text four times as large."""

BODIES = {
    "text": endless(JSON + b'{"id":"', BLOCK),
    "values": endless(JSON + b'{"id":"resp_1","output":[', b"[]," * 20_000),
    "objects": endless(JSON + b'{"id":"resp_1","output":[', b'{"":0},' * 10_000),
    "spaces": endless(JSON, b" " * 65536),
    "nested": once(JSON + NESTED),
    "gzip": once(
        head("application/json", "Content-Encoding: gzip") + gzip.compress(b" " * (300 * MIB), 1)
    ),
    "long error": once(head("application/json", status="400 Bad Request") + WIDE),
    "error": endless(head("application/json", status="400 Bad Request") + b'{"e":"', BLOCK),
    "page": endless(head("text/html") + b"<html>", BLOCK),
    "redirect": endless(
        head("text/plain", "Location: /v1/elsewhere", status="307 Temporary Redirect"), BLOCK
    ),
    "trickle": endless(JSON + b'{"id":"', b"x", 0.05),
    "headers": endless(b"HTTP/1.1 200 OK\r\n", b"X-Header: x\r\n" * 1000),
}
STREAMS = {
    "wide line": endless(EVENTS + CREATED, b"data: " + WIDE[: 11 * MIB] + WIDE[-8:] + b"\n\n"),
    "line": endless(EVENTS + CREATED + b"data: ", BLOCK),
    "lines": endless(EVENTS + CREATED, b"data: x\n" * 8192),
    "deltas": endless(EVENTS + CREATED, DELTA * 20),
    "items": endless(EVENTS + CREATED, ITEM * 500),
    "big items": endless(EVENTS + CREATED, BIG_ITEM),
    "values": endless(EVENTS + CREATED + b'data: {"a":[', b"[]," * 20_000),
    "first line": endless(EVENTS + b"data: ", BLOCK),
    "comments": endless(EVENTS + CREATED, b": still here\n\n", 0.05),
    "comments only": endless(EVENTS, b": still here\n\n", 0.05),
    "unknown events": endless(EVENTS + CREATED, event(type="response.news") * 500, 0.01),
}


@asynccontextmanager
async def open_liar(reply: Reply) -> AsyncIterator[str]:
    """The address of a server that answers every request alike."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            await reply(writer)
        writer.close()

    try:
        async with open_raw_server(serve) as url:
            yield url
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def bounded(seconds: float = 60.0) -> AsyncIterator[None]:
    """Fails if the block exceeds its memory or time at any moment."""
    before, peak = resident(), 0

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, resident())
            await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch())
    try:
        async with asyncio.timeout(seconds):
            yield
    finally:
        watching.cancel()
    assert max(peak, resident()) - before < MOST_MEMORY


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai() as server:
        yield server


async def a_turn(engine: Any, conversation_id: str) -> Any:
    conversation, message = known_as(engine, conversation_id), said("hello")
    run = await engine.start(RunRequest(conversation, [message], OPTIONS, "turn-1"))
    return await last_update(engine, run, conversation)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    ("opened", "streaming"), [(open_responses_on, True), (open_assistants_on, False)]
)
async def test_no_body_exhausts_memory_or_time(
    fake: FakeOpenAI, opened: Any, body: str, streaming: bool
) -> None:
    async with (
        open_liar(BODIES[body]) as url,
        opened(fake, QUICK, openai_base_url=url, bot_streaming=streaming) as engine,
        bounded(),
    ):
        with pytest.raises((Retry, RunFailed)):
            await a_turn(engine, "conv_1")
        with pytest.raises((Retry, RunFailed)):
            await engine.begin(THREAD, "U1")
        with pytest.raises((Retry, RunFailed)):
            await engine.delete("conv_1")


async def test_a_wide_text_does_not_exhaust_memory(fake: FakeOpenAI) -> None:
    async with (
        open_liar(once(JSON + WIDE)) as url,
        open_responses_on(fake, FAST, openai_base_url=url, bot_streaming=False) as engine,
        bounded(),
    ):
        with pytest.raises(RunFailed, match="answer_too_large"):
            await engine.begin(THREAD, "U1")


@pytest.mark.parametrize("stream", STREAMS)
async def test_no_stream_exhausts_memory_or_time(fake: FakeOpenAI, stream: str) -> None:
    opened = open_responses_on
    async with (
        open_liar(STREAMS[stream]) as url,
        opened(fake, QUICK, openai_base_url=url, bot_run_deadline=1) as engine,
        bounded(),
    ):
        with pytest.raises((Retry, RunFailed)):
            await a_turn(engine, "conv_1")


@pytest.mark.parametrize("stream", STREAMS)
async def test_no_stream_of_a_server_without_conversations_exhausts_memory_or_time(
    fake: FakeOpenAI, stream: str
) -> None:
    async with (
        open_liar(STREAMS[stream]) as url,
        open_responses_on(fake, QUICK, openai_base_url=url, bot_run_deadline=1) as engine,
        bounded(),
    ):
        conversation_id = await engine.replay.begin(THREAD, "U1")
        with pytest.raises((Retry, RunFailed)):
            await a_turn(engine, conversation_id)


ARGUMENTS = {"index": 0, "function": {"name": "f", "arguments": "word " * 200 + "😀"}}
CALL = event(choices=[{"delta": {"tool_calls": [ARGUMENTS]}}])
CHUNK = event(choices=[{"delta": {"content": "word " * 200}}])


@pytest.mark.parametrize("chunk", [CHUNK, CALL], ids=["text", "arguments"])
async def test_no_stream_of_chat_completions_exhausts_memory_or_time(
    fake: FakeOpenAI, chunk: bytes
) -> None:
    async with (
        open_liar(endless(EVENTS, chunk * 20)) as url,
        open_responses_on(fake, FAST, openai_base_url=url) as engine,
        bounded(),
    ):
        engine.replay._dialects = (engine.replay.chat,)
        conversation_id = await engine.replay.begin(THREAD, "U1")
        with pytest.raises(RunFailed, match="answer_too_large"):
            await a_turn(engine, conversation_id)


RUN = event(id="run_1", status="in_progress").replace(b"data:", b"event: thread.run.created\ndata:")
PART = {"index": 0, "type": "text", "text": {"value": "word " * 200}}
WORD = event(id="m", delta={"content": [PART]})


async def test_no_stream_of_assistants_exhausts_memory_or_time(fake: FakeOpenAI) -> None:
    block = WORD.replace(b"data:", b"event: thread.message.delta\ndata:") * 20
    async with (
        open_liar(endless(EVENTS + RUN, block)) as url,
        open_assistants_on(fake, FAST, openai_base_url=url) as engine,
        bounded(),
    ):
        message = said("hello")
        request = RunRequest(known_as(engine, "thread_1"), [message], OPTIONS, "turn-1")
        run = await engine.start(request)
        with pytest.raises(RunFailed, match="answer_too_large"):
            await last_update(engine, run, request.conversation)


@pytest.mark.parametrize("container", ["", "cntr_1"])
async def test_no_file_exhausts_memory(fake: FakeOpenAI, container: str) -> None:
    async with (
        open_liar(endless(head("application/octet-stream"), BLOCK)) as url,
        open_assistants_on(fake, FAST, openai_base_url=url) as assistants,
        open_responses_on(fake, FAST, openai_base_url=url) as responses,
        bounded(),
    ):
        engine: Any = responses if container else assistants
        run = Run("resp_1", "conv_1", time.time())
        with pytest.raises(RunFailed, match="answer_too_large"):
            await engine.fetch(run, MadeFile("file_1", "big.bin", container))


@pytest.mark.parametrize("changes", [False, True])
async def test_an_endless_list_is_abandoned(fake: FakeOpenAI, changes: bool) -> None:
    """The pages of a list are always full, with the same items or with new ones."""
    pages = 0

    async def reply(writer: Writer) -> None:
        nonlocal pages
        pages += 1
        items = [
            {"id": f"msg_{pages * changes}_{n}", "type": "message", "role": "user", "content": []}
            for n in range(100)
        ]
        writer.write(JSON + json.dumps({"data": items, "has_more": True}).encode())
        await writer.drain()

    async with (
        open_liar(reply) as url,
        open_responses_on(fake, QUICK, openai_base_url=url) as engine,
        bounded(),
    ):
        with suppress(BotError):
            await engine.retract(known_as(engine, "conv_1"), (), "1.0", again=False)
        with suppress(BotError):
            await a_turn_again(engine)
    assert pages <= 201


async def a_turn_again(engine: Any) -> None:
    conversation = known_as(engine, "conv_1", "msg_0")
    await engine.start(RunRequest(conversation, [said("hello")], OPTIONS, "turn-1", again=True))


@pytest.mark.parametrize("streaming", [True, False])
async def test_the_person_gets_an_error_and_the_next_question_is_answered(
    redis_url: str, tmp_path: Path, streaming: bool
) -> None:
    reply = STREAMS["deltas"] if streaming else BODIES["text"]
    async with (
        open_liar(reply) as url,
        open_world(redis_url, tmp_path, bot_streaming=streaming) as world,
        bounded(120),
    ):
        root = await world.ask("#general", "@bot one")
        # From now on the server answers without end.
        direct = network_engine(world).native._api._direct
        honest, direct._base = direct._base, url.rstrip("/")
        alice = world.slack.user("alice")
        await alice.says("#general", "two", thread_ts=root)
        await world.rests("#general", root)
        answered = await world.replies("#general", root, 2)
        assert WORDS["answer_too_large"] in answered[-1]
        direct._base = honest
        await alice.says("#general", "three", thread_ts=root)
        await world.rests("#general", root)
        assert "three" in (await world.replies("#general", root, len(answered) + 1))[-1]
