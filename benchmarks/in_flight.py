"""A worker with thousands of runs in flight."""

import asyncio
import time
from collections import Counter
from contextlib import suppress
from itertools import count, islice
from pathlib import Path

from benchmarks.load import percentile, talk, warm
from benchmarks.site import POST, SHORT, Site, open_site
from tests.world import wait_until

SIZES = (10, 500, 2_000, 5_000)
CHANNELS = 500
"""Slack takes one message a second and channel."""
ASKED_AT_ONCE = 20
SETTLING_SECONDS = 2.0
IDLE_SECONDS = 4.0
MODEL_SECONDS = 1.0
AGED, AGED_SECONDS = 2_000, 60.0
"""The number of runs, and the seconds for which they are left alone before the measurement."""
CPU = "CPU of the worker, % of a core"
MEMORY = "private MB of the worker"

Figures = dict[tuple[str, str], float]


async def measure_in_flight(checkout: Path, found: Figures) -> None:
    """Add runs until there are enough for each size, and measure; then let all of them end."""
    async with open_site(checkout, "web", "worker", BOT_CONCURRENCY="6000") as site:
        await warm(site)
        channels = [site.slack.add_channel(f"f{n}", ["alice"]).id for n in range(CHANNELS)]
        roots = list[tuple[str, str]]()
        numbers = count()
        for size in SIZES:
            acks = len(site.slack.deliveries)
            await site.fake.answer(name="never")
            for number in islice(numbers, size - len(roots)):
                channel = channels[number % CHANNELS]
                root = await site.slack.user("alice").says(channel, "@bot think")
                roots.append((channel, root))
                if number % ASKED_AT_ONCE == 0:
                    await site.slack.settled(60)
            last = time.monotonic()
            await _wait_for_runs(site, size)
            where = _place(size)
            found["running", where] = float(await site.fake.working())
            found["ack ms, p99", where] = percentile(_acks(site, acks), 99)
            await _measure_waiting(site, found, size)
            if size == AGED:
                await asyncio.sleep(last + AGED_SECONDS - time.monotonic())
                found[f"{CPU}, when all runs are a minute old", where] = await _idle_cpu(site)
            await _measure_beside(site, found, where)
        await _end_all(site, found, roots)


async def _wait_for_runs(site: Site, size: int) -> None:
    """Wait until the server works on this number of runs."""

    async def all_run() -> bool:
        return await site.fake.working() >= size

    with suppress(TimeoutError):
        await wait_until(all_run, 60)


async def _measure_waiting(site: Site, found: Figures, size: int) -> None:
    """The memory and CPU of the worker while its runs only wait."""
    worker, where = site.bots[1], _place(size)
    await asyncio.sleep(SETTLING_SECONDS)
    found[CPU, where] = await _idle_cpu(site)
    found[MEMORY, where] = memory = worker.private / 1e6
    if size > SIZES[0]:  # the first ones pay for what all share
        grown = memory - found[MEMORY, _place(SIZES[0])]
        found["KB for each run more than the first ten", where] = 1e3 * grown / (size - SIZES[0])


async def _idle_cpu(site: Site) -> float:
    """The CPU that the worker uses while nothing is asked, as a share of a core."""
    worker = site.bots[1]
    cpu, began = worker.cpu, time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return 100 * (worker.cpu - cpu) / (time.monotonic() - began)


def _place(size: int) -> str:
    return f"{size:,} in flight"


async def _measure_beside(site: Site, found: Figures, where: str) -> None:
    """What a new question costs its author."""
    await site.fake.answer(text=SHORT, seconds=MODEL_SECONDS)
    load = await talk(site, 10, 1)
    overhead = [(each.answered - each.at - MODEL_SECONDS) * 1000 for each in load.roots]
    found["overhead ms of a new question, p50", where] = percentile(overhead, 50)


async def _end_all(site: Site, found: Figures, roots: list[tuple[str, str]]) -> None:
    """Let all runs complete at once, and count their answers."""
    began, where = time.monotonic(), _place(len(roots))
    await site.fake.finish(answer={"text": SHORT})
    with suppress(TimeoutError):
        async with asyncio.timeout(90):
            for channel, root in roots:
                await site.called((POST, channel, root), 1, 90)
    found["seconds until all were answered", where] = time.monotonic() - began
    answers = Counter(len(site.calls.get((POST, *root), ())) for root in roots)
    found["answered once", where] = float(answers[1])
    found["not answered, or twice", where] = float(len(roots) - answers[1])


def _acks(site: Site, start: int) -> list[float]:
    """The milliseconds of each acknowledgement, from a delivery on."""
    deliveries = site.slack.deliveries[start:]
    return [each.ms for d in deliveries for each in d.attempts if each.ms is not None]
