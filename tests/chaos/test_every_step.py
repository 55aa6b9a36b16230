"""A worker is killed at every single step of a turn; another one goes on, and nobody notices.

One turn is watched through relays to learn its steps. Then as many turns as there are steps run
side by side, each of them held at another step: before its request has reached the server, or when
the server has done its work and the answer is still on its way. Then the worker is killed.
"""

import asyncio
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.chaos.city import City, chatty, open_city
from tests.chaos.relays import Dropped, Moment, open_http_relay, open_redis_relay
from tests.chaos.verdict import judge
from tests.stories.town import wait_until

pytestmark = pytest.mark.chaos


@dataclass(frozen=True)
class Point:
    """A moment of a turn: the n-th time that a step is taken, before or after its effect."""

    step: str
    number: int
    moment: Moment


@dataclass
class Gatekeeper:
    """Writes down the steps of each channel's turn, and holds some of them, until the kill."""

    points: dict[str, Point] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    steps: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    killed: asyncio.Event = field(default_factory=asyncio.Event)
    _counts: Counter[tuple[str, str, Moment]] = field(default_factory=Counter)

    async def __call__(self, moment: Moment, step: str, channels: frozenset[str]) -> None:
        for channel in channels:
            self._counts[channel, step, moment] += 1
            point = Point(step, self._counts[channel, step, moment], moment)
            self.steps[channel].append(point)
            if self.points.get(channel) == point:
                self.held.add(channel)
        if channels & self.held:
            await self.killed.wait()
            raise Dropped


async def learn_steps(city: City, gatekeeper: Gatekeeper) -> list[Point]:
    """The points of a turn of two messages and two posts. The first turn loads the scripts."""
    for channel in city.new_channels(2):
        root = await city.say(channel)
        await city.say(channel, root.thread_ts)
        await city.rests()
    return list(dict.fromkeys(gatekeeper.steps[channel]))


@pytest.mark.parametrize("engine", ["responses", "assistants"])
@pytest.mark.timeout(170)
async def test_a_worker_killed_at_any_step_leaves_nothing_undone_or_done_twice(
    engine: str, tmp_path: Path
) -> None:
    gatekeeper = Gatekeeper()
    async with AsyncExitStack() as stack:
        city = await stack.enter_async_context(
            open_city(tmp_path, engine=engine, BOT_GATHER_SECONDS="0.8")
        )
        city.fake.answer = chatty(0, seconds=(0.2, 0.2), long=1)
        redis = await stack.enter_async_context(open_redis_relay(city.redis.socket, gatekeeper))
        ai = await stack.enter_async_context(
            open_http_relay("ai", city.fake.base_url.removesuffix("/v1"), gatekeeper)
        )
        slack = await stack.enter_async_context(
            open_http_relay("slack", city.slack.base_url, gatekeeper)
        )
        _, victim = (
            *(await city.start("web")),
            *(
                await city.start(
                    "worker",
                    REDIS_URL=redis.url,
                    OPENAI_BASE_URL=f"{ai.url}/v1",
                    SLACK_API_URL=f"{slack.url}/api/",
                    BOT_REDIS_CONNECTIONS="300",
                )
            ),
        )
        points = await learn_steps(city, gatekeeper)
        # The answer to a claim holds up all that come after it: that one is the last.
        points.sort(key=lambda point: point.step == "XREADGROUP")
        channels = city.new_channels(len(points))
        gatekeeper.points = dict(zip(channels, points, strict=True))
        for channel, point in gatekeeper.points.items():
            if point.step == "XREADGROUP":
                await wait_until(lambda: _all_but_one_are_held(gatekeeper))
            root = await city.say(channel)
            await city.say(channel, root.thread_ts)

        async def all_are_held() -> bool:
            return len(gatekeeper.held) == len(points)

        try:
            await wait_until(all_are_held)
        except TimeoutError:
            missed = [p for c, p in gatekeeper.points.items() if c not in gatekeeper.held]
            pytest.fail(f"never came to {missed}")
        await victim.kill()
        gatekeeper.killed.set()
        await city.start("worker")
        await city.rests()
        for channel, thread_ts in city.threads:
            await city.say(channel, thread_ts)
        await city.rests()
        verdict = await judge(city)
        print(*points, f"{engine}: killed at {len(points)} points; {verdict}", sep="\n")  # noqa: T201
        assert verdict.is_clean, str(verdict)


async def _all_but_one_are_held(gatekeeper: Gatekeeper) -> bool:
    return len(gatekeeper.held) == len(gatekeeper.points) - 1
