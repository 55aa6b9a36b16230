"""Remembers recent events, as far as there is room."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

SECONDS = 300.0


class Recent(Generic[T]):
    """The things of the last five minutes; if they exceed `room` bytes, only the newest."""

    def __init__(self, room: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._room = room
        self._clock = clock
        self._bytes = 0
        self._kept: deque[tuple[float, int, T]] = deque()

    def add(self, thing: T, size: int) -> None:
        """Keep a thing that takes about `size` bytes."""
        now = self._clock()
        self._kept.append((now, size, thing))
        self._bytes += size
        self._trim(now)

    def __iter__(self) -> Iterator[tuple[float, T]]:
        """The things by the time when they happened (monotonic)."""
        self._trim(self._clock())
        return ((at, thing) for at, _, thing in self._kept)

    def has_any(self, within: float = SECONDS) -> bool:
        """Whether something happened in the last seconds."""
        return bool(self._kept) and self._kept[-1][0] > self._clock() - within

    def _trim(self, now: float) -> None:
        while self._kept and (self._kept[0][0] < now - SECONDS or self._bytes > self._room):
            self._bytes -= self._kept.popleft()[1]
