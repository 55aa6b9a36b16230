"""The requests from Slack that this process is answering now."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bot.store.shards import shard_of

FEW = 8
"""Up to this many requests are not a burst. Some take long, because they call Slack."""
HUNG_SECONDS = 2.0
"""A shard with open requests that has answered none for so long counts as hung: they need no
CPU."""


class Receiving:
    """Counts requests until they are answered.

    In a process with both parts, turns that start together would delay the acknowledgements of the
    messages behind them, for which Slack waits three seconds. So they start after a burst.
    """

    def __init__(self, shards: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._shards = shards
        self._clock = clock
        self._open: Counter[int] = Counter()
        """The number of open requests of each shard that has any."""
        self._moved_at: dict[int, float] = {}
        """When each of these shards last answered a request, or began its first one."""
        self._calm = asyncio.Event()

    @contextmanager
    def request(self, id: str) -> Iterator[None]:
        """Count a request of this workspace inside the block."""
        shard = shard_of(id, self._shards)
        if not self._open[shard]:
            self._moved_at[shard] = self._clock()
        self._open[shard] += 1
        try:
            yield
        finally:
            self._open[shard] -= 1
            self._moved_at[shard] = self._clock()
            if not self._open[shard]:
                del self._open[shard], self._moved_at[shard]
            if not self._is_burst:
                self._calm.set()

    @property
    def _is_burst(self) -> bool:
        since = self._clock() - HUNG_SECONDS
        moving = (shard for shard, at in self._moved_at.items() if at > since)
        return sum(self._open[shard] for shard in moving) > FEW

    async def wait(self, most: float) -> None:
        """Wait until few requests are left to answer, or for this number of seconds."""
        if self._is_burst:
            self._calm.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(most):
                    await self._calm.wait()
