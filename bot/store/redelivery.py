"""Redelivery of recent messages when Redis comes back with an older state.

Slack has their acknowledgement and will not send them again, but the older state may lack them. A
message that was answered in between is recognized: see `Claim.maybe_done`.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from bot.errors import StoreUnavailable
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.telemetry.log import log

REMEMBERED = 1_000
REMEMBERED_SECONDS = 300.0

Deliver = Callable[[], Awaitable[object]]


class Redelivery:
    """The messages that this process delivered in the last five minutes, at most 1,000."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._recent: deque[tuple[float, Deliver]] = deque(maxlen=REMEMBERED)

    def remember(self, deliver: Deliver) -> None:
        """Keep a delivery to repeat; deliveries are idempotent."""
        now = time.monotonic()
        while self._recent and self._recent[0][0] < now - REMEMBERED_SECONDS:
            self._recent.popleft()
        self._recent.append((now, deliver))

    async def watch(self) -> None:
        """Redeliver whenever an older state is noticed, until cancelled."""
        known: str | None = None
        while True:
            try:
                restored_at = await self._restored_at()
                if known is not None and restored_at != known:
                    await self._redeliver()
                known = restored_at
            except StoreUnavailable as error:
                log.debug("redelivery_delayed", error=str(error))
            await asyncio.sleep(self._connection.timing.restore_check)

    async def _restored_at(self) -> str:
        return await self._connection.execute("HGET", self._keys.pulse, "restored_at") or ""

    async def _redeliver(self) -> None:
        log.warning("messages_redelivered", messages=len(self._recent))
        for _, deliver in list(self._recent):
            await deliver()
