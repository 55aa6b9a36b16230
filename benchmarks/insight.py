"""The cost of telemetry, and the start-up time: `python -m benchmarks.insight`.

Start to ready is from the start of `bot web` (local Slack, real Redis) to the first 200 of
`/healthz`. The other figures are per turn: its metrics, its spans without a trace endpoint, its log
line.
"""

import asyncio
import io
import logging
import statistics
import time
from collections.abc import Callable

from prometheus_client import generate_latest

from bot.models import Answer, Usage
from bot.telemetry import log, metrics, trace
from tests.ops.processes import open_process, open_site
from tests.redis_server import run_server

STARTS = 7
ROUNDS = 20_000
SPANS_OF_A_TURN = 8
POLLS_OF_A_TURN = 4
ANSWER = Answer("text", usage=Usage(1000, 500, 200, 100), model="gpt-6-luna")


def count() -> None:
    """All metrics of one message and its turn."""
    metrics.acks.labels("http", 200).observe(0.01)
    metrics.acks.labels("http", 200).observe(0.01)
    metrics.messages.labels("new").inc()
    metrics.messages.labels("again").inc()
    metrics.turns_active.inc()
    metrics.queue_seconds.observe(0.3)
    for _ in range(POLLS_OF_A_TURN):
        metrics.polls.labels("working").inc()
    metrics.observe_lag(time.time())
    metrics.first_text_seconds.observe(2)
    metrics.count_turn(ANSWER, 5, time.time())
    metrics.turns_active.dec()


def span() -> None:
    """The spans of a turn when tracing is off."""
    for _ in range(SPANS_OF_A_TURN):
        with trace.span("step", parent=trace.current(), turn="1"):
            pass


def tell() -> None:
    """The log line of a turn."""
    log.log.info("turn_answered", thread="T1:C1:1.1", turn="a", messages=["1.1"], seconds=1.0)


def microseconds(work: Callable[[], None]) -> float:
    """The time of one call: the best of five rounds."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(ROUNDS // 5):
            work()
        best = min(best, time.perf_counter() - began)
    return best / (ROUNDS // 5) * 1e6


async def starts() -> list[float]:
    """Seconds from start to ready, several times."""
    seconds = []
    with run_server() as server:
        async with open_site(server.url) as site:
            for _ in range(STARTS):
                began = time.perf_counter()
                async with open_process(site, "web"):
                    seconds.append(time.perf_counter() - began)
    return seconds


def main() -> None:
    """Print the figures."""
    seconds = asyncio.run(starts())
    print(f"bot web, start to ready: median {statistics.median(seconds):.2f} s of {STARTS}")
    stream = io.StringIO()
    log.configure("INFO", stream=stream)
    print(f"metrics of a turn: {microseconds(count):.1f} µs")
    print(f"spans of a turn, traces off: {microseconds(span):.1f} µs")
    print(f"log line of a turn: {microseconds(tell):.1f} µs")
    logging.getLogger().handlers.clear()
    began = time.perf_counter()
    size = len(generate_latest(metrics.REGISTRY))
    print(f"a scrape: {(time.perf_counter() - began) * 1000:.1f} ms, {size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
