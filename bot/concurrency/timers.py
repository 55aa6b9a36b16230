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
    """Calls `ring` with each item when its time has come, and with that time.

    All that ends within the same `step` seconds has one timer of the event loop. Waking the process
    for each item costs as much as a poll, and a timer takes 250 bytes, even for a while after it is
    cancelled.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ring: Callable[[T, float], None],
        step: float = STEP,
    ) -> None:
        self._loop = weakref.ref(loop)
        self._ring = ring
        self._step = step
        self._items: dict[float, list[T]] = {}

    def add(self, item: T, seconds: float) -> float:
        """Add an item; returns its time, the first step after these seconds."""
        loop = self._loop()
        assert loop is not None
        at = math.ceil((loop.time() + seconds) / self._step) * self._step
        if at not in self._items:
            self._items[at] = []
            loop.call_at(at, self._end, at)
        self._items[at].append(item)
        return at

    def _end(self, at: float) -> None:
        for item in self._items.pop(at):
            self._ring(item, at)


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
