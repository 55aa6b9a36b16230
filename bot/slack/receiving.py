"""The requests from Slack that this process is answering now."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FEW = 8
"""Up to this many requests are not a burst. Some take long, because they call Slack."""


class Receiving:
    """Counts requests until they are answered.

    In a process with both parts, turns that start together would delay the acknowledgements of the
    messages behind them, for which Slack waits three seconds. So they start after a burst.
    """

    def __init__(self) -> None:
        self._count = 0
        self._calm = asyncio.Event()
        self._calm.set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request inside the block."""
        self._count += 1
        if self._count > FEW:
            self._calm.clear()
        try:
            yield
        finally:
            self._count -= 1
            if self._count <= FEW:
                self._calm.set()

    async def wait(self, most: float) -> None:
        """Wait until few requests are left to answer, at most so many seconds."""
        if not self._calm.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(most):
                    await self._calm.wait()
