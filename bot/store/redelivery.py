"""Redelivery of recent messages when Redis comes back with an older state.

Slack has their acknowledgement and will not send them again, but the older state may lack them. A
message that was answered in between is recognized: see `Claim.maybe_done`. One that was being
answered finds its run in its conversation, which is restored first.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from operator import itemgetter

from bot.errors import StoreUnavailable
from bot.store.begun import REMEMBERED, REMEMBERED_SECONDS, Begun
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.telemetry.log import log

LEAST = 100
"""The minimum number of messages that a shard remembers; the shards of a server share the rest."""
SELDOM = 10
"""How much less often Redis is checked while there is nothing to redeliver."""

Deliver = Callable[[], Awaitable[object]]


class Redelivery:
    """The messages that this process delivered in the last five minutes, at most 1,000, and as many
    that were set aside; less with several shards."""

    def __init__(self, connection: Connection, keys: Keys, shards: int = 1) -> None:
        """`shards` are on the same server, and share the room."""
        most = max(LEAST, REMEMBERED // shards)
        self._connection = connection
        self._keys = keys
        self._recent: deque[tuple[float, Deliver]] = deque(maxlen=most)
        self._aside: deque[tuple[float, Deliver]] = deque(maxlen=most)
        self._kept = (self._recent, self._aside)
        self._begun = Begun(connection, keys)
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
                restored_at = await self.look()
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

    async def look(self) -> str:
        """Return when an older state was last noticed, and remember conversations begun
        recently."""
        pulse = ("HGET", self._keys.pulse, "restored_at")
        restored_at, begun = await self._connection.execute_many([pulse, self._begun.command])
        self._begun.read(begun)
        return restored_at or ""

    async def redeliver(self) -> None:
        """Restore the conversations that Redis lacks, and repeat all deliveries in their order."""
        if restored := await self._begun.restore():
            log.warning("conversations_restored", conversations=restored)
        recent = sorted((each for kept in self._kept for each in kept), key=itemgetter(0))
        log.warning("messages_redelivered", messages=len(recent))
        for _, deliver in recent:
            await deliver()
