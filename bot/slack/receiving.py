"""The requests from Slack that this process is answering now."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bot.store.shards import shard_of

FEW = 8
"""Up to this many requests are not a burst. Some take long, because they call Slack."""
HUNG_SECONDS = 2.0
"""Seconds after which a shard with an open request counts as hung: its requests need no CPU."""


class Receiving:
    """Counts requests until they are answered.

    In a process with both parts, turns that start together would delay the acknowledgements of the
    messages behind them, for which Slack waits three seconds. So they start after a burst.
    """

    def __init__(self, shards: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._shards = shards
        self._clock = clock
        self._open: dict[int, dict[object, float]] = {}
        """The open requests of each shard with the times at which they began, in this order."""
        self._calm = asyncio.Event()

    @contextmanager
    def request(self, id: str) -> Iterator[None]:
        """Count a request of this workspace inside the block."""
        shard, request = shard_of(id, self._shards), object()
        self._open.setdefault(shard, {})[request] = self._clock()
        try:
            yield
        finally:
            del self._open[shard][request]
            if not self._open[shard]:
                del self._open[shard]
            if not self._is_burst:
                self._calm.set()

    @property
    def _is_burst(self) -> bool:
        since = self._clock() - HUNG_SECONDS
        count = sum(
            len(requests)
            for requests in self._open.values()
            if next(iter(requests.values())) > since
        )
        return count > FEW

    async def wait(self, most: float) -> None:
        """Wait until few requests are left to answer, or for this number of seconds."""
        if self._is_burst:
            self._calm.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(most):
                    await self._calm.wait()
