"""The signals between a turn and its worker while the turn runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Interrupt:
    """A request to end the running turn: `reason` is `stop` or `reset`.

    In the other direction the turn reports `waiting` (it only waits for its run or for the
    throttle, and may be cancelled safely) and `begun` (its run was started, or it needs none).
    """

    reason: str = ""
    waiting: bool = False
    begun: bool = False
    raised: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, reason: str) -> None:
        """Ask the turn to end."""
        self.reason = reason
        self.raised.set()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """A block in which the turn only waits."""
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False

    async def idle_between(self, items: AsyncIterator[T]) -> AsyncIterator[T]:
        """The items; the turn is `idle` while it waits for the next one."""
        while True:
            with self.idle():
                try:
                    item = await anext(items)
                except StopAsyncIteration:
                    return
            yield item
