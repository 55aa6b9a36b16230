"""Timers that thousands of turns share."""

import asyncio
import math
import weakref
from collections.abc import Callable, MutableMapping
from typing import Generic, TypeVar

T = TypeVar("T")

STEP = 0.05
"""Seconds between two moments at which shared timers end."""
SHORT = 0.5
"""Shorter waits need a timer of their own: they end exactly when they should."""


class SharedTimers(Generic[T]):
    """Calls `ring` with each item when its time has come, and with the step of that time.

    All that ends within the same step has one timer of the event loop. Waking the process for each
    item costs as much as a poll, and a timer takes 250 bytes, even for a while after it is
    cancelled.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[T, int], None]) -> None:
        self._loop = weakref.ref(loop)
        self._ring = ring
        self._items: dict[int, list[T]] = {}

    def add(self, item: T, seconds: float) -> int:
        """Add an item; returns the first step after these seconds."""
        loop = self._loop()
        assert loop is not None
        step = math.ceil((loop.time() + seconds) / STEP)
        if step not in self._items:
            self._items[step] = []
            loop.call_at(step * STEP, self._end, step)
        self._items[step].append(item)
        return step

    def _end(self, step: int) -> None:
        for item in self._items.pop(step):
            self._ring(item, step)


class PerLoop(Generic[T]):
    """One object for each event loop."""

    def __init__(self, make: Callable[[asyncio.AbstractEventLoop], T]) -> None:
        self._make = make
        self._made: MutableMapping[asyncio.AbstractEventLoop, T] = weakref.WeakKeyDictionary()

    def __call__(self) -> T:
        """The object of the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self._made:
            self._made[loop] = self._make(loop)
        return self._made[loop]
