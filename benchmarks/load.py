"""Conversations of many people at once, and what each of their turns cost."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.site import GROUP, POST, SHORT, SHORT_SECONDS, STATUS, Site, cpu_of

CHANNELS_OF_A_PERSON = 4
"""Slack takes one message a second and channel."""


@dataclass
class Asked:
    """One question: when it was sent, and when the answer was there."""

    channel: str
    root: str
    at: float
    answered: float = 0.0
    sign: float = 0.0


@dataclass
class Load:
    """The turns of a load, by whether they began a thread."""

    roots: list[Asked] = field(default_factory=list)
    follow_ups: list[Asked] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)
    """CPU seconds of `web`, `worker`, `redis` and the stand-ins (`lab`), and Redis's `requests` and
    `commands`."""

    @property
    def turns(self) -> int:
        return len(self.roots) + len(self.follow_ups)

    @property
    def pace(self) -> float:
        """Answers a second, without the first and last fifth: there not all people wait."""
        times = sorted(each.answered for each in (*self.roots, *self.follow_ups))
        fifth = len(times) // 5
        first, last = times[fifth], times[-fifth - 1]
        return (len(times) - 2 * fifth - 1) / (last - first) if last > first else 0.0

    def figures(self, model_seconds: float) -> dict[str, float]:
        """Milliseconds and counts a turn."""
        each = 1000 / self.turns
        cpu = {name: self.costs[name] * each for name in ("web", "worker", "redis", "lab")}
        own = cpu["web"] + cpu["worker"]
        found = {
            "turns a second": self.pace,
            "turns a CPU second": 1000 / own,
            "turns a second on two cores without the stand-ins, computed": 2000
            / (own + cpu["redis"]),
            "CPU ms a turn: web": cpu["web"],
            "CPU ms a turn: worker": cpu["worker"],
            "CPU ms a turn: Redis": cpu["redis"],
            "CPU ms a turn: stand-ins and people": cpu["lab"],
            "Redis requests a turn": self.costs["requests"] / self.turns,
            "Redis commands a turn": self.costs["commands"] / self.turns,
        }
        for name, asked in (("root", self.roots), ("follow-up", self.follow_ups)):
            overhead = [(each.answered - each.at - model_seconds) * 1000 for each in asked]
            signs = [(each.sign - each.at) * 1000 for each in asked if each.sign]
            found[f"overhead ms, {name}: p50"] = statistics.median(overhead)
            found[f"overhead ms, {name}: p99"] = percentile(overhead, 99)
            found[f"first sign ms, {name}: p50"] = statistics.median(signs or [0.0])
        return found


def percentile(values: list[float], percent: int) -> float:
    """A percentile of some values."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


async def talk(site: Site, people: int, threads: int) -> Load:
    """Let `people` talk at once; each begins this number of threads in sequence, and asks twice in
    each."""
    slack, load = site.slack, Load()
    channels = iter(_channels(site, people))
    own = [[next(channels) for _ in range(CHANNELS_OF_A_PERSON)] for _ in range(people)]
    before = _costs(site)

    async def person(places: list[str]) -> None:
        for number in range(threads):
            channel = places[number % len(places)]
            asked = await _ask(site, channel, "")
            load.roots.append(asked)
            load.follow_ups.append(await _ask(site, channel, asked.root))

    await asyncio.gather(*(person(places) for places in own))
    await slack.settled(60)
    load.costs = {name: value - before[name] for name, value in _costs(site).items()}
    return load


async def warm(
    site: Site, text: str = SHORT, seconds: float = SHORT_SECONDS, piece: int = GROUP
) -> None:
    """Do the one-time work of the processes, which does not count; leaves this answer set."""
    await site.fake.answer(text=text, seconds=seconds, piece=piece)
    await talk(site, 8, 1)


def _channels(site: Site, people: int) -> Iterator[str]:
    for number in range(people * CHANNELS_OF_A_PERSON):
        yield site.slack.add_channel(f"c{number}", ["alice"]).id


async def _ask(site: Site, channel: str, root: str) -> Asked:
    """Ask, and wait for the post of the answer."""
    at = time.monotonic()
    alice = site.slack.user("alice")
    ts = await alice.says(channel, "@bot What is the plan?", thread_ts=root or None)
    asked = Asked(channel, root or ts, at)
    key = (POST, channel, asked.root)
    earlier = len(site.calls.get(key, ())) if root else 0
    asked.answered = await site.called(key, earlier + 1, 120)
    signs = site.calls.get((STATUS, channel, asked.root), [])
    asked.sign = next((sign for sign in signs if at <= sign <= asked.answered), 0.0)
    return asked


def _costs(site: Site) -> dict[str, float]:
    redis = site.redis_figures()
    return {
        "web": site.cpu("web"),
        "worker": site.cpu("worker"),
        "redis": redis["cpu"],
        "lab": time.process_time() + cpu_of(site.fake.pid),
        "requests": redis["requests"],
        "commands": redis["commands"],
    }
