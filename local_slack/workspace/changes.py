"""The feed of changes of a workspace, for deliveries, the terminal and the web page."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

HISTORY = 2_000


@dataclass(frozen=True)
class Change:
    """One change: its `kind`, and `data` as JSON in Slack's shapes."""

    number: int
    kind: str
    data: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {"number": self.number, "kind": self.kind, "data": self.data}


class ChangeFeed:
    """A numbered feed of changes. Observers are called synchronously, subscribers read from a
    queue."""

    def __init__(self) -> None:
        self._number = 0
        self._observers: list[Callable[[Change], None]] = []
        self._queues: set[asyncio.Queue[Change]] = set()
        self._history: deque[Change] = deque(maxlen=HISTORY)

    def publish(self, kind: str, /, **data: Any) -> None:
        self._number += 1
        change = Change(self._number, kind, data)
        self._history.append(change)
        for observer in tuple(self._observers):
            observer(change)
        for queue in self._queues:
            queue.put_nowait(change)

    @property
    def last_number(self) -> int:
        return self._number

    def observe(self, observer: Callable[[Change], None]) -> Callable[[], None]:
        """Call `observer` with every change; returns a function that unsubscribes it."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    async def subscribe(self, after: int | None = None) -> AsyncGenerator[Change, None]:
        """All changes from now on, or those after the given number, as far as they are kept."""
        queue: asyncio.Queue[Change] = asyncio.Queue()
        if after is not None:
            for change in self._history:
                if change.number > after:
                    queue.put_nowait(change)
        self._queues.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)
