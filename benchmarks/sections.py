"""What `python -m benchmarks` measures. Each section measures one checkout once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.engine import one_round, stand_in
from benchmarks.in_flight import measure_in_flight
from benchmarks.layout import measure_in
from benchmarks.load import talk, warm
from benchmarks.records import measure_records
from benchmarks.site import GROUP, LONG, SHORT_SECONDS, TOKEN, Site, open_site, private_memory
from benchmarks.sweep import fill
from bot.store import open_store
from tests.ops.processes import open_process
from tests.ops.processes import open_site as open_own_site
from tests.ops.test_processes import children
from tests.redis_server import run_server

Figures = dict[tuple[str, str], float]
"""Figures by name and size; the size is empty if a section has only one."""
Measure = Callable[[Path, Figures], Awaitable[None]]
"""Adds the figures of a checkout; what was added before an error is kept."""

LONG_SECONDS = 3.0
LENGTHS = (100, 1_300, 5_000, 12_000, 40_000)
CONVERSATIONS = (10, 1_000, 100_000)
PERSISTENCE = {
    "every write synced": (),
    "synced once a second": ("--appendfsync", "everysec"),
    "in memory only": ("--appendonly", "no"),
}
"""How Redis keeps its data, with its options."""


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    name: str
    note: str
    measure: Measure
    seconds: float
    """The most that one round of one checkout may take; the sum of all is ten minutes."""
    rounds: int = 1
    """Where figures vary, the median of several rounds is shown."""
    only_ours: bool = False


async def alone(checkout: Path, found: Figures) -> None:
    async with open_site(checkout, "web", "worker", "worker") as site:
        await warm(site)
        figures = (await talk(site, 1, 6)).figures(SHORT_SECONDS)
        wanted = ("overhead", "first sign", "Redis requests", "Redis commands")
        add(found, {name: value for name, value in figures.items() if name.startswith(wanted)})


async def short_answers(checkout: Path, found: Figures) -> None:
    async with open_site(checkout, "web", "worker", "worker") as site:
        await warm(site)
        add(found, (await talk(site, 16, 4)).figures(SHORT_SECONDS))


async def long_answers(checkout: Path, found: Figures) -> None:
    async with open_site(checkout, "web", "worker", "worker") as site:
        await warm(site, LONG, 1.0, TOKEN)
        await site.fake.answer(text=LONG, seconds=LONG_SECONDS, piece=TOKEN)
        figures = (await talk(site, 24, 1)).figures(LONG_SECONDS)
        add(found, {name: value for name, value in figures.items() if "overhead" not in name})


async def saturated(checkout: Path, found: Figures) -> None:
    for written, options in PERSISTENCE.items():
        await _saturate(checkout, found, GROUP, written, options)


async def saturated_by_tokens(checkout: Path, found: Figures) -> None:
    await _saturate(checkout, found, TOKEN)


async def _saturate(
    checkout: Path, found: Figures, piece: int, size: str = "", options: Sequence[str] = ()
) -> None:
    async with open_site(checkout, "web", "worker", "worker", redis_options=options) as site:
        await warm(site, piece=piece)
        figures = (await talk(site, 160, 2)).figures(SHORT_SECONDS)
        wanted = ("turns a", "CPU", "Redis requests", "Redis commands")
        chosen = {name: value for name, value in figures.items() if name.startswith(wanted)}
        add(found, chosen, size)


async def lengths(checkout: Path, found: Figures) -> None:
    async with open_site(checkout, "web", "worker", BOT_STREAM_CHANNELS="true") as site:
        await warm(site)
        for length in LENGTHS:
            milliseconds = await _one_answer(site, length)
            found["CPU ms of the worker", f"{length:,} characters"] = milliseconds


async def _one_answer(site: Site, length: int) -> float:
    """The CPU of an answer of this length, in milliseconds."""
    alice, worker = site.slack.user("alice"), site.bots[1]
    text = (LONG * (length // len(LONG) + 1))[:length].strip()
    await site.fake.answer(text=text, seconds=max(2.0, length / 4_000), piece=TOKEN)
    channel = site.slack.add_channel(f"l{length}", ["alice"]).id
    before = worker.cpu
    root = await alice.says(channel, "@bot tell me")
    await site.slack.wait_for(partial(_is_shown, site, channel, root, len(text)), 60)
    await asyncio.sleep(1.5)  # what follows the answer counts, too
    return (worker.cpu - before) * 1000


def _is_shown(site: Site, channel: str, root: str, length: int) -> bool:
    """Whether a thread shows an answer of this length."""
    shown = site.slack.replies(channel, root)
    return sum(len(message.text) + len(str(message.blocks)) for message in shown) >= length


async def conversations(checkout: Path, found: Figures) -> None:
    for count in CONVERSATIONS:
        await _with_conversations(checkout, found, count)


async def _with_conversations(checkout: Path, found: Figures, count: int) -> None:
    async def prepare(url: str) -> None:
        async with open_store(url) as store:
            await fill(store, count)

    async with open_site(checkout, "web", "worker", prepare=prepare) as site:
        await warm(site)
        figures = (await talk(site, 8, 4)).figures(SHORT_SECONDS)
        figures["MB in Redis"] = site.redis_figures()["memory"] / 1e6
    wanted = ("CPU ms a turn: worker", "CPU ms a turn: Redis", "overhead ms, root: p50")
    chosen = {name: figures[name] for name in (*wanted, "MB in Redis")}
    add(found, chosen, f"{count:,} conversations")


async def engine(checkout: Path, found: Figures) -> None:
    with stand_in() as url:
        figures = await asyncio.to_thread(one_round, url, checkout)
    found["CPU ms of a streamed answer of 325 events", ""] = figures["streamed"]
    found["CPU ms of a poll", ""] = figures["polled"]


async def layout(checkout: Path, found: Figures) -> None:
    for size, (total, longest) in (await asyncio.to_thread(measure_in, checkout)).items():
        found["CPU ms of all steps", size] = total
        found["CPU ms of the longest step", size] = longest


async def start(checkout: Path, found: Figures) -> None:
    async with open_site(checkout, "web", "worker", "worker") as site:
        figures = {f"seconds from start to ready: {each.role}": each.started for each in site.bots}
        figures["CPU seconds of the start, three processes"] = sum(each.cpu for each in site.bots)
        await warm(site)
        figures |= {f"private MB: {each.role}": each.private / 1e6 for each in site.bots}
        figures["private MB: three processes"] = sum(each.private for each in site.bots) / 1e6
    add(found, figures)


async def forked(checkout: Path, found: Figures) -> None:
    with run_server() as redis:
        async with (
            open_own_site(redis.url) as site,
            open_process(site, "run", "--processes", "3") as bot,
        ):
            await bot.said("ready", 3)
            alice = site.slack.user("alice")
            roots = [await alice.says("#general", f"@bot {n}") for n in range(12)]
            await site.slack.wait_for(
                lambda: all(site.slack.replies("#general", root) for root in roots), 30
            )
            pids = [bot.process.pid, *children(bot.process.pid)]
            total = sum(map(private_memory, pids)) / 1e6
    found["private MB: `bot run --processes 3`, with the parent", ""] = total


def add(found: Figures, figures: dict[str, float], size: str = "") -> None:
    """Add figures of one size."""
    found.update({(name, size): value for name, value in figures.items()})


SECTIONS: Sequence[Section] = (
    Section(
        "One person",
        "One person asks, waits for the answer, and asks again: nothing waits for a free core. "
        "Answers of 195 characters in nine events, complete 0.4 s after the request.",
        alone,
        12,
    ),
    Section(
        "Short answers",
        "16 people at once, the same answers.",
        short_answers,
        15,
        rounds=2,
    ),
    Section(
        "Long answers, token by token",
        "24 people at once; answers of 1,300 characters in 3 s, with an event for each token.",
        long_answers,
        30,
    ),
    Section(
        "Without a pause",
        "160 people at once, short answers: the workers have no pause. "
        "By how Redis keeps its data.",
        saturated,
        50,
    ),
    Section(
        "Without a pause, token by token",
        "The same answers, with an event for every four characters.",
        saturated_by_tokens,
        18,
    ),
    Section(
        "The engine alone",
        "Without Slack and Redis: an answer of 325 events, and one poll of a run.",
        engine,
        12,
        rounds=2,
    ),
    Section(
        "Start and memory",
        "One `bot web`, two `bot worker`, started one after the other; memory after 16 turns.",
        start,
        10,
        rounds=3,
    ),
    Section("Forked processes", "After 12 turns.", forked, 15, only_ours=True),
    Section(
        "By the length of an answer",
        "One answer at a time, streamed to Slack, with an event for every four characters.",
        lengths,
        42,
    ),
    Section(
        "Laying out a growing answer",
        "Without the AI server, Slack and Redis: an answer of headings, lists, tables and code "
        "that grows by 300 characters at each step.",
        layout,
        8,
        only_ours=True,
    ),
    Section(
        "By the conversations in Redis",
        "8 people at once, short answers.",
        conversations,
        50,
    ),
    Section(
        "What a turn leaves in Redis",
        "Threads of one turn each; the answers are text of these pages. The record of a longer "
        "answer is shortened a day later.",
        measure_records,
        10,
        only_ours=True,
    ),
    Section(
        "By the runs in flight",
        "Runs that do not end, in one worker; at most 100 are streamed, the others polled: every "
        "second while they are young, later every 15 % of their age. So the CPU is shown "
        "for runs that began a few seconds ago, and for runs that are all older than a minute, in "
        "seconds in which nothing else happens. Then ten questions are asked beside them, whose "
        "model needs a second. In the end all runs complete at the same moment.",
        measure_in_flight,
        280,
    ),
)
