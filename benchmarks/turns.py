"""Throughput, memory and calls: `python -m benchmarks.turns [THREADS] [IN_FLIGHT]`.

`bot run` is a separate process over HTTP, with the local workspace (this process), the fake AI
server (a separate process) and a private Redis server. Prints: time to acknowledge (p50, p99),
turns per second of one process, the bot's overhead on the model's time, calls per turn to Slack, to
the AI server and to Redis, and the memory of the process with runs in flight.
"""

import asyncio
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bot.slack.events import EVENTS
from bot.slack.surfaces.commands import COMMANDS
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.fakes.openai import RemoteFake, start_fake_openai
from tests.redis_server import RedisServer, run_server
from tests.test_cli import environment, healthy
from tests.world import wait_until

MODEL_SECONDS = 1.0
TURNS = 3


@dataclass
class Bench:
    """The parts of one measurement."""

    slack: LocalSlack
    fake: RemoteFake
    redis: RedisServer
    pid: int

    def round_trips(self) -> int:
        """How many requests Redis has read from its connections (Redis 7 and newer)."""
        with self.redis.client() as client:
            return int(client.info("stats")["total_reads_processed"])

    def megabytes(self) -> float:
        """The resident memory of the bot's process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


def free_port() -> int:
    """A free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def open_bench(engine: str, *, streaming: bool) -> AsyncIterator[Bench]:
    """Everything running, with the bot in a separate process."""
    port = free_port()
    with run_server() as redis, tempfile.TemporaryDirectory() as directory:
        async with (
            start_fake_openai() as fake,
            open_workspace(events=EVENTS, commands=[c.name for c in COMMANDS]) as slack,
        ):
            await fake.options(openapi=False)
            slack.events_url = f"http://127.0.0.1:{port}/slack/events"
            state = await fake.state()
            bot = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bot", "run"),
                cwd=directory,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment(
                    SLACK_BOT_TOKEN=slack.bot_token,
                    SLACK_SIGNING_SECRET=slack.signing_secret,
                    SLACK_API_URL=slack.api_url,
                    OPENAI_API_KEY=fake.api_key,
                    OPENAI_BASE_URL=fake.base_url,
                    OPENAI_ASSISTANT_ID=state["assistant_id"],
                    BOT_ENGINE=engine,
                    BOT_STREAMING=str(streaming),
                    REDIS_URL=redis.url,
                    BOT_HOST="127.0.0.1",
                    BOT_LOG_LEVEL="ERROR",
                    PORT=str(port),
                ),
            )
            try:
                await wait_until(lambda: healthy(port))
                yield Bench(slack, fake, redis, bot.pid)
            finally:
                bot.terminate()
                await bot.wait()


async def answered(slack: LocalSlack, channel: str, root: str, count: int) -> bool:
    """Whether a thread has this number of answers."""
    return len(slack.replies(channel, root)) >= count


async def measure_turns(engine: str, threads: int, *, streaming: bool) -> None:
    """Run `threads` threads concurrently, each in its own channel, with TURNS turns each."""
    async with open_bench(engine, streaming=streaming) as bench:
        await bench.fake.answer(name="echo", seconds=MODEL_SECONDS)
        slack, alice = bench.slack, bench.slack.user("alice")
        channels = [slack.add_channel(f"c{n}", ["alice"]).id for n in range(threads)]
        before = bench.round_trips()
        began = time.monotonic()
        lags: list[float] = []

        async def converse(channel: str) -> None:
            root = None
            for turn in range(TURNS):
                asked = time.monotonic()
                ts = await alice.says(channel, f"@bot turn {turn}", thread_ts=root)
                root = root or ts
                await wait_until(partial(answered, slack, channel, root, turn + 1), 120)
                lags.append(time.monotonic() - asked - MODEL_SECONDS)

        await asyncio.gather(*(converse(channel) for channel in channels))
        seconds = time.monotonic() - began
        acks = sorted(a.ms for d in slack.deliveries for a in d.attempts if a.ms is not None)
        turns = threads * TURNS
        requests = await bench.fake.requests()
        print(f"{engine}, {'streamed' if streaming else 'polled'}, {threads} threads at once")
        print(
            f"  ack ms          p50 {acks[len(acks) // 2]:.1f}, p99 {acks[-len(acks) // 100]:.1f}"
        )
        print(f"  turns/s         {turns / seconds:.1f} ({turns} turns of {MODEL_SECONDS} s)")
        print(f"  overhead s      p50 {statistics.median(lags):.2f}, max {max(lags):.2f}")
        print(f"  calls per turn  Slack {len(slack.calls) / turns:.1f}, ", end="")
        print(f"AI {len(requests) / turns:.1f}, Redis {(bench.round_trips() - before) / turns:.1f}")


async def measure_memory(engine: str, in_flight: int) -> None:
    """The memory with `in_flight` endless runs, each in its own thread."""
    async with open_bench(engine, streaming=True) as bench:
        idle = bench.megabytes()
        await bench.fake.answer(name="never")
        alice = bench.slack.user("alice")
        for _ in range(in_flight // 100):
            await asyncio.gather(*(alice.says("#general", "@bot think") for _ in range(100)))
            await bench.slack.settled(60)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            running = await bench.fake.working()
            if running >= in_flight:
                break
            await asyncio.sleep(1)
        await asyncio.sleep(5)
        print(
            f"{engine}: {running} runs in flight: {bench.megabytes():.0f} MB ({idle:.0f} MB idle)"
        )


async def main() -> None:
    """Run all benchmarks of this module."""
    threads = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    in_flight = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    for engine in ("responses", "assistants"):
        for streaming in (False, True):
            await measure_turns(engine, threads, streaming=streaming)
    for engine in ("responses", "assistants"):
        await measure_memory(engine, in_flight)


if __name__ == "__main__":
    asyncio.run(main())
