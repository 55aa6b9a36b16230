"""Throttling of runs: they start as fast as the AI server accepts them, across all processes.

Our own limit (`BOT_RUNS_PER_MINUTE`) keeps a burst from causing a storm of refusals. If the server
still refuses, it says how long to wait, and all runs wait.
https://developers.openai.com/api/docs/guides/rate-limits
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Sequence,
)
from contextlib import asynccontextmanager, suppress
from functools import partial

from bot.engines import Engine, RunRequest
from bot.engines.wrapper import EngineWrapper
from bot.errors import RateLimited, RunFailed, StoreUnavailable
from bot.media import Attachment
from bot.models import Conversation, Message, Run, Thread
from bot.settings import Settings
from bot.slack.answer.lazy_event import LazyEvent
from bot.store import Pace, Store, Turn
from bot.telemetry.log import log
from bot.timing import ThrottleTiming

FOR_THE_ADMIN = frozenset(
    {
        *("insufficient_quota", "authentication", "permission", "model_not_found"),
        *("endpoint_not_found", "unsupported_parameter", "data_retention"),
    }
)
"""Failures that only an admin can fix."""


class Throttle:
    """The pace of runs of one engine and model."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        timing: ThrottleTiming = ThrottleTiming(),
        account: str = "",
        shards: Iterable[Store] = (),
    ) -> None:
        """`account` distinguishes keys of the AI server; "" is the deployment's. `shards` are all
        that may use it: the runs of all are counted in the first one, and a pause holds in each."""
        self._store = store
        self._shards = tuple(shards) or (store,)
        self._timing = timing
        model = settings.openai_assistant_id or settings.openai_model
        engine = f"{settings.bot_engine}@{account}" if account else settings.bot_engine
        self._runs = f"run:{engine}:{model}"
        self._quota = f"quota:{engine}:{model}"
        self.is_limited = settings.bot_runs_per_minute is not None
        self._rate, self._burst = rate_and_burst(settings.bot_runs_per_minute, timing)
        self.pauses = (store.pace.pause_key(self._quota), store.pace.pause_key(self._runs))
        """The keys of the pauses of runs. While one of them exists, `wait` has to be called."""

    async def wait(self, turn: Turn, interrupted: LazyEvent) -> None:
        """Wait until a run may be started, or until it is no longer wanted.

        Raises RunFailed while our quota on the server is used up.
        """
        granted = asyncio.create_task(self._wait(turn.claim.thread))
        waits = [granted, asyncio.create_task(interrupted.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if granted.done():
                granted.result()
        finally:
            while not all(wait.done() for wait in waits):
                for wait in waits:
                    wait.cancel()
                await asyncio.wait(waits, timeout=0.2)

    async def _wait(self, thread: Thread) -> None:
        pace = self._store.pace
        if await pace.resting(self._quota):
            raise RunFailed("failed", "insufficient_quota")
        if self.is_limited or await pace.resting(self._runs):
            wait = partial(
                Pace.wait, bucket=self._runs, who=thread.key, rate=self._rate, burst=self._burst
            )
            await self._in_shared_bucket(wait)

    async def _in_shared_bucket(self, act: Callable[[Pace], Awaitable[None]]) -> None:
        """Use the bucket of all shards; while its shard is down, this shard's own."""
        shared = self._shards[0]
        try:
            await act(shared.pace)
        except StoreUnavailable as error:
            if shared is self._store:
                raise
            log.warning("shared_pace_unavailable", error=str(error)[:100])
            await act(self._store.pace)

    async def pause(self, error: RateLimited) -> None:
        """Pause all runs for as long as the server asks."""
        seconds = error.after if error.after is not None else self._timing.pause
        seconds = min(seconds, self._timing.longest_pause)
        if seconds > 0:
            is_shared = await self._store.pace.resting(self._runs) > seconds / 2
            pause = partial(
                Pace.pause, bucket=self._runs, seconds=seconds, rate=self._rate, burst=self._burst
            )
            await self._in_shared_bucket(pause)
            await self._store.pace.rest(self._runs, seconds)
            if not is_shared:  # most refusals during a pause change little
                await self._rest_elsewhere(self._runs, seconds)

    async def _rest_elsewhere(self, bucket: str, seconds: float) -> None:
        """Pause in the other shards, because turns check only their own. A shard that is down is
        skipped."""
        others = [store for store in self._shards if store is not self._store]
        rests = (store.pace.rest(bucket, seconds) for store in others)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._timing.sharing):
                await asyncio.gather(*rests, return_exceptions=True)

    async def failed(self, turn: Turn, error: RunFailed) -> None:
        """Log failures that only an admin can fix, once a minute; pause while our quota is used
        up."""
        if error.reason not in FOR_THE_ADMIN:
            return
        pace = self._store.pace
        if error.reason == "insufficient_quota" and not await pace.resting(self._quota):
            await pace.rest(self._quota, self._timing.quota_pause)
            await self._rest_elsewhere(self._quota, self._timing.quota_pause)
        mark = f"told:{error.reason}:{self._runs}"
        if await self._store.flags.take(mark, turn.id, self._timing.log_again_after):
            log.error("ai_server_refuses", reason=error.reason, detail=error.detail)


class PacedEngine(EngineWrapper):
    """Pauses all runs when the server rate-limits a call."""

    def __init__(self, engine: Engine, throttle: Throttle) -> None:
        super().__init__(engine)
        self._throttle = throttle

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        async with self._pausing():
            return await self._engine.append(
                conversation, message, turn_id=turn_id, again=again, files=files
            )

    async def start(self, request: RunRequest) -> Run:
        async with self._pausing():
            return await self._engine.start(request)

    @asynccontextmanager
    async def _pausing(self) -> AsyncIterator[None]:
        try:
            yield
        except RateLimited as error:
            await self._throttle.pause(error)
            raise


def rate_and_burst(
    per_minute: int | None, timing: ThrottleTiming = ThrottleTiming()
) -> tuple[float, int]:
    """Runs per second and burst, which together stay within the limit in any minute."""
    if per_minute is None:
        return timing.rate_after_pause, 1
    burst = max(1, per_minute // 60)
    return max(per_minute - burst, per_minute / 2) / 60, burst
