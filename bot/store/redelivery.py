"""Redelivery of recent messages when Redis comes back with an older state.

Slack has their acknowledgement and will not send them again, but the older state may lack them. A
message that was answered in between is recognized: see `Claim.maybe_done`. One that was being
answered finds its run in its conversation, which is restored first.
"""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from operator import itemgetter

from bot.errors import StoreUnavailable
from bot.models import Message, Thread
from bot.store.begun import Begun
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.store.recent import Recent
from bot.telemetry.log import log

ROOM = 16_000_000
"""Bytes for the messages of all shards of a server, about 14,000 questions. Messages that were set
aside have a quarter of that, conversations half."""
LEAST_ROOM = 256_000
OVERHEAD = 1_000
"""Bytes of a message besides its text."""
SELDOM = 10
"""How much less often Redis is checked while there is nothing to redeliver."""
OFTEN = 10
"""How much more often it is checked while messages arrive, which begin conversations. Several
shards share that."""
ARRIVING = 2
"""Checks after a message in which its conversation is probably begun."""
LANES = 8
"""Deliveries that are repeated concurrently; those of one thread stay in order."""

Deliver = Callable[[], Awaitable[object]]


class Redelivery:
    """The messages that this process delivered in the last five minutes, as far as there is
    room."""

    def __init__(self, connection: Connection, keys: Keys, shards: int = 1) -> None:
        """`shards` are on the same server, and share the room."""
        self.room = room = max(LEAST_ROOM, ROOM // shards)
        self._connection = connection
        self._keys = keys
        self._often = max(1.0, OFTEN / shards)
        self._recent = Recent[tuple[Thread, Deliver]](room)
        self._aside = Recent[tuple[Thread, Deliver]](room // 4)
        self._kept = (self._recent, self._aside)
        self._begun = Begun(connection, keys, room // 2)
        self._delivered = asyncio.Event()

    def remember(self, deliver: Deliver, message: Message, *, aside: bool = False) -> None:
        """Keep the delivery of a message to repeat; deliveries are idempotent.

        `aside`: it was not for the bot, or not yet. Such messages do not displace the others.
        """
        size = OVERHEAD * (1 + len(message.files)) + sys.getsizeof(message.text)
        self._remember(deliver, message.thread, size, aside=aside)

    def remember_decision(self, deliver: Deliver, thread: Thread) -> None:
        """Keep a person's decision to repeat."""
        self._remember(deliver, thread, OVERHEAD)

    def _remember(
        self, deliver: Deliver, thread: Thread, size: int, *, aside: bool = False
    ) -> None:
        (self._aside if aside else self._recent).add((thread, deliver), size)
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
        pause = self._connection.timing.restore_check
        if any(each.has_any() for each in self._kept):
            is_arriving = self._recent.has_any(ARRIVING * pause)
            await asyncio.sleep(pause / self._often if is_arriving else pause)
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
        lanes: dict[int, list[Deliver]] = defaultdict(list)
        for _, (thread, deliver) in recent:
            lanes[hash(thread) % LANES].append(deliver)
        await asyncio.gather(*map(_in_order, lanes.values()))


async def _in_order(deliveries: Sequence[Deliver]) -> None:
    for deliver in deliveries:
        await deliver()
