"""Holds a worker's requests at chosen moments of its turns."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.chaos.deployment import Deployment
from tests.chaos.processes import BotProcess
from tests.chaos.relays import Dropped, Moment, open_http_relay, open_redis_relay
from tests.forks import OWN_ROUND_TRIPS
from tests.world import wait_until


@dataclass(frozen=True)
class Point:
    """A moment of a turn: the n-th time that a step is taken, before or after its effect."""

    step: str
    number: int
    moment: Moment


STANDSTILL = 5.0
"""Seconds without a step after which the turns that are left wait for held ones."""
ENDS = (Point("settle", 1, "after"), Point("suspend", 1, "after"))
"""After these a turn takes no more steps for now."""


@dataclass
class Gatekeeper:
    """Records the steps of each channel's turn, and holds some of them until the kill."""

    points: dict[str, Point] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    steps: dict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    drops: bool = True
    """Whether held requests are dropped in the end (the worker is gone) or continue."""
    _counts: Counter[tuple[str, str, Moment]] = field(default_factory=Counter)

    async def __call__(self, moment: Moment, step: str, channels: frozenset[str]) -> None:
        for channel in channels:
            self._counts[channel, step, moment] += 1
            point = Point(step, self._counts[channel, step, moment], moment)
            self.steps[channel].append(point)
            if self.points.get(channel) == point:
                self.held.add(channel)
        if channels & self.held:
            await self.let_go.wait()
            if self.drops:
                raise Dropped

    def start_over(self) -> None:
        """Count the steps from here on."""
        self.steps.clear()
        self._counts.clear()

    async def hold_all(self, but: int = 0, *, may_stall: bool = False) -> None:
        """Wait until every turn is held at its point or has ended: not all take the same steps.

        A turn that is served by the same request as a held one, such as a claim of several, gets
        no further. With `may_stall` this also ends once no turn takes a step any more.
        """

        async def are_held() -> bool:
            over = {channel for channel in self.points if set(ENDS) & set(self.steps[channel])}
            return len(self.held | over) >= len(self.points) - but

        if not may_stall:
            await wait_until(are_held)
            return
        taken = -1
        while taken < (taken := self._counts.total()):
            with suppress(TimeoutError):
                await wait_until(are_held, STANDSTILL)
                return


@asynccontextmanager
async def watched_worker(
    deployment: Deployment, gatekeeper: Gatekeeper, **environment: str
) -> AsyncIterator[BotProcess]:
    """A worker that sends all requests to Redis, Slack and the AI server through the gatekeeper.

    `environment` is more of what it is started with.
    """
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(
            open_redis_relay(deployment.redis.socket, gatekeeper)
        )
        ai = await stack.enter_async_context(
            open_http_relay("ai", deployment.fake.base_url.removesuffix("/v1"), gatekeeper)
        )
        slack = await stack.enter_async_context(
            open_http_relay("slack", deployment.slack.base_url, gatekeeper)
        )
        [worker] = await deployment.start(
            "worker",
            REDIS_URL=redis.url,
            OPENAI_BASE_URL=f"{ai.url}/v1",
            SLACK_API_URL=f"{slack.url}/api/",
            BOT_REDIS_CONNECTIONS="300",
            **OWN_ROUND_TRIPS,
            **environment,
        )
        try:
            yield worker
        finally:
            if worker.alive:
                await worker.kill()
            gatekeeper.let_go.set()
