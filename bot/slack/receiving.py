"""The requests from Slack that this process is answering now."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Receiving:
    """Counts requests until they are answered.

    In a process with both parts, turns that start together would delay the acknowledgements of the
    messages behind them, for which Slack waits three seconds. So they start after those.
    """

    def __init__(self) -> None:
        self._count = 0
        self._answered = asyncio.Event()
        self._answered.set()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Count a request inside the block."""
        self._count += 1
        self._answered.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._answered.set()

    async def wait(self, most: float) -> None:
        """Wait until every request is answered, at most so many seconds."""
        if self._count:
            with suppress(TimeoutError):
                async with asyncio.timeout(most):
                    await self._answered.wait()
