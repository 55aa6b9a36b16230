"""Redelivery of recent messages when Redis comes back with an older state.

Slack has their acknowledgement and will not send them again, but the older state may lack them. A
message that was answered in between is recognized: see `Claim.maybe_done`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from operator import itemgetter

from bot.errors import StoreUnavailable
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.telemetry.log import log

REMEMBERED = 1_000
REMEMBERED_SECONDS = 300.0
SELDOM = 10
"""How much less often Redis is asked while there is nothing to redeliver."""

Deliver = Callable[[], Awaitable[object]]


class Redelivery:
    """The messages that this process delivered in the last five minutes, at most 1,000, and as many
    that were set aside."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._recent: deque[tuple[float, Deliver]] = deque(maxlen=REMEMBERED)
        self._aside: deque[tuple[float, Deliver]] = deque(maxlen=REMEMBERED)
        self._kept = (self._recent, self._aside)
        self._delivered = asyncio.Event()

    def remember(self, deliver: Deliver, *, aside: bool = False) -> None:
        """Keep a delivery to repeat; deliveries are idempotent.

        `aside`: it was not for the bot, or not yet. Such messages do not displace the others.
        """
        now, recent = time.monotonic(), self._aside if aside else self._recent
        while recent and recent[0][0] < now - REMEMBERED_SECONDS:
            recent.popleft()
        recent.append((now, deliver))
        self._delivered.set()

    async def watch(self) -> None:
        """Redeliver whenever an older state is noticed, until cancelled."""
        known: str | None = None
        while True:
            try:
                restored_at = await self._restored_at()
                if known is not None and restored_at != known:
                    await self.redeliver()
                known = restored_at
            except StoreUnavailable as error:
                log.debug("redelivery_delayed", error=str(error))
            await self._pause()

    async def _pause(self) -> None:
        """Seconds until the next check, which is rare while there is nothing to deliver again."""
        pause, now = self._connection.timing.restore_check, time.monotonic()
        if any(each and each[-1][0] > now - REMEMBERED_SECONDS for each in self._kept):
            await asyncio.sleep(pause)
            return
        self._delivered.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(SELDOM * pause):
                await self._delivered.wait()

    async def _restored_at(self) -> str:
        return await self._connection.execute("HGET", self._keys.pulse, "restored_at") or ""

    async def redeliver(self) -> None:
        """Repeat all deliveries in their order."""
        recent = sorted((each for kept in self._kept for each in kept), key=itemgetter(0))
        log.warning("messages_redelivered", messages=len(recent))
        for _, deliver in recent:
            await deliver()
