"""What `python -m benchmarks` measures. Each section measures one checkout once."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engine import one_round, stand_in
from benchmarks.load import percentile, talk
from benchmarks.site import Site, open_site, private_memory
from benchmarks.sweep import fill
from benchmarks.turns import count_working
from bot.store import open_store
from tests.ops.processes import open_process
from tests.ops.processes import open_site as open_own_site
from tests.ops.test_processes import children
from tests.redis_server import run_server
from tests.world import wait_until

Figures = dict[str, float]
Section = Callable[[Path], Awaitable[Figures]]

SHORT = "Open the report, choose Share, and pick the folder of your team. " * 3
SHORT_SECONDS = 0.4
LONG = "A sentence of an answer that people read while it is being written. " * 20
LONG_SECONDS = 3.0
TOKEN = 4
"""Characters of one event."""
IN_FLIGHT = (10, 500, 2_000, 5_000)
LENGTHS = (100, 1_300, 5_000, 12_000, 40_000)
CONVERSATIONS = (10, 1_000, 100_000)
QUIET_SECONDS = 10.0


async def _warm(site: Site, seconds: float, text: str) -> None:
    """One-time work of the processes does not count."""
    await site.fake.answer(text=text, seconds=seconds, piece=TOKEN)
    await talk(site, 8, 1)


async def short_answers(checkout: Path) -> Figures:
    """16 people at once, answers of 200 characters after 0.4 s."""
    async with open_site(checkout, "web", "worker", "worker") as site:
        await _warm(site, SHORT_SECONDS, SHORT)
        return (await talk(site, 16, 6)).figures(SHORT_SECONDS)


async def long_answers(checkout: Path) -> Figures:
    """24 people at once, answers of 1,300 characters in 3 s, an event for each token."""
    async with open_site(checkout, "web", "worker", "worker") as site:
        await _warm(site, LONG_SECONDS, LONG)
        load = await talk(site, 24, 2)
        figures = load.figures(LONG_SECONDS)
        return {name: value for name, value in figures.items() if "overhead" not in name}


async def saturated(checkout: Path) -> Figures:
    """80 people at once: the processes have no pause."""
    async with open_site(checkout, "web", "worker", "worker") as site:
        await _warm(site, SHORT_SECONDS, SHORT)
        figures = (await talk(site, 80, 3)).figures(SHORT_SECONDS)
        return {name: value for name, value in figures.items() if " a turn" in name} | {
            "turns a second": figures["turns a second"]
        }


async def _running(site: Site, count: int) -> None:
    """Wait until the server works on so many runs, but for two minutes at most."""

    async def all_run() -> bool:
        return await count_working(site.fake) >= count

    with suppress(TimeoutError):
        await wait_until(all_run, 120)


async def in_flight(checkout: Path, count: int) -> Figures:
    """Endless runs in one worker, 100 of them streamed, and a few short questions beside them."""
    async with open_site(checkout, "web", "worker", BOT_CONCURRENCY="6000") as site:
        await _warm(site, SHORT_SECONDS, SHORT)
        worker = site.bots[1]
        before = worker.private
        await site.fake.answer(name="never")
        alice = site.slack.user("alice")
        channels = [site.slack.add_channel(f"f{n}", ["alice"]).id for n in range(50)]
        for start in range(0, count, 100):
            some = range(start, min(start + 100, count))
            await asyncio.gather(*(alice.says(channels[n % 50], "@bot think") for n in some))
            await site.slack.settled(120)
        await _running(site, count)
        await asyncio.sleep(5)
        cpu, began = worker.cpu, time.monotonic()
        await asyncio.sleep(QUIET_SECONDS)
        busy = (worker.cpu - cpu) / (time.monotonic() - began)
        memory = worker.private
        await site.fake.answer(text=SHORT, seconds=1.0)
        load = await talk(site, 10, 1)
        overhead = [(each.answered - each.at - 1.0) * 1000 for each in load.roots]
        acks = [a.ms for d in site.slack.deliveries for a in d.attempts if a.ms is not None]
        return {
            f"{count:,} in flight: running": float(await count_working(site.fake)),
            f"{count:,} in flight: private MB of the worker": memory / 1e6,
            f"{count:,} in flight: KB a run": (memory - before) / 1e3 / count,
            f"{count:,} in flight: % of a core": 100 * busy,
            f"{count:,} in flight: overhead ms of a new question, p50": percentile(overhead, 50),
            f"{count:,} in flight: ack ms, p99": percentile(acks, 99),
        }


def _is_shown(site: Site, channel: str, root: str, length: int) -> bool:
    """Whether a thread shows an answer of this length."""
    shown = site.slack.replies(channel, root)
    return sum(len(message.text) + len(str(message.blocks)) for message in shown) >= length


async def lengths(checkout: Path) -> Figures:
    """The CPU of one streamed answer by its length; an event for each token."""
    found: Figures = {}
    async with open_site(checkout, "web", "worker", BOT_STREAM_CHANNELS="true") as site:
        await _warm(site, SHORT_SECONDS, SHORT)
        alice, worker = site.slack.user("alice"), site.bots[1]
        for length in LENGTHS:
            text = (LONG * (length // len(LONG) + 1))[:length].strip()
            await site.fake.answer(text=text, seconds=max(2.0, length / 4_000), piece=TOKEN)
            channel = site.slack.add_channel(f"l{length}", ["alice"]).id
            before = worker.cpu
            root = await alice.says(channel, "@bot tell me")
            try:
                await site.slack.wait_for(partial(_is_shown, site, channel, root, len(text)), 60)
            except TimeoutError:
                break  # the machine is too busy; the shorter ones are known
            await asyncio.sleep(2.5)
            found[f"{length:,} characters: CPU ms of the worker"] = (worker.cpu - before) * 1000
    return found


async def conversations(checkout: Path, count: int) -> Figures:
    """Short answers, with so many conversations in Redis."""

    async def prepare(url: str) -> None:
        async with open_store(url) as store:
            await fill(store, count)

    async with open_site(checkout, "web", "worker", prepare=prepare) as site:
        await _warm(site, SHORT_SECONDS, SHORT)
        figures = (await talk(site, 8, 4)).figures(SHORT_SECONDS)
        megabytes = site.redis_figures()["memory"] / 1e6
    wanted = ("CPU ms a turn: worker", "CPU ms a turn: Redis", "overhead ms, root: p50")
    found = {f"{count:,} conversations: {name}": figures[name] for name in wanted}
    return found | {f"{count:,} conversations: MB in Redis": megabytes}


async def engine(checkout: Path) -> Figures:
    """The CPU of the engine alone, against a stand-in server."""
    with stand_in() as url:
        found = await asyncio.to_thread(one_round, url, checkout)
    return {
        "CPU ms of a streamed answer of 325 events": found["streamed"],
        "CPU ms of a poll": found["polled"],
    }


async def start(checkout: Path) -> Figures:
    """Start, and memory after 24 turns."""
    async with open_site(checkout, "web", "worker", "worker") as site:
        starts = {f"seconds from start to ready: {each.role}": each.started for each in site.bots}
        cpu = sum(each.cpu for each in site.bots)
        await _warm(site, 0.1, SHORT)
        private = {f"private MB: {each.role}": each.private / 1e6 for each in site.bots}
        total = sum(each.private for each in site.bots) / 1e6
    return {
        **starts,
        "CPU seconds of the start, three processes": cpu,
        **private,
        "private MB: three processes": total,
    }


async def forked() -> Figures:
    """Memory of three processes that one parent has forked."""
    with run_server() as redis, TemporaryDirectory():
        async with (
            open_own_site(redis.url) as site,
            open_process(site, "run", "--processes", "3") as bot,
        ):
            await bot.said("ready", 3)
            alice = site.slack.user("alice")
            roots = [await alice.says("#general", f"@bot {n}") for n in range(12)]
            await site.slack.wait_for(
                lambda: all(site.slack.replies("#general", root) for root in roots), 120
            )
            pids = [bot.process.pid, *children(bot.process.pid)]
            total = sum(map(private_memory, pids)) / 1e6
    return {"private MB: `bot run --processes 3`, with the parent": total}
