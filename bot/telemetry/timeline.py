"""Measures the time that an attempt at a turn spends in calls of its dependencies."""

import time
from collections import Counter
from contextvars import ContextVar


class Timeline:
    """Seconds that one attempt spent in calls, by service (`ai`, `slack`).

    Each moment counts once, even if calls overlap: calls of Slack while the AI server works (a
    status, a growing answer) are not counted, since they delay nothing.
    """

    def __init__(self) -> None:
        self.began = time.time()
        self.seconds: dict[str, float] = {"ai": 0.0, "slack": 0.0}
        self._calls: Counter[str] = Counter()
        self._since = time.monotonic()

    def begin_call(self, service: str) -> None:
        """Note the start of a call."""
        self._count()
        self._calls[service] += 1

    def end_call(self, service: str) -> None:
        """Note the end of a call."""
        self._count()
        self._calls[service] -= 1

    def _count(self) -> None:
        """Add the seconds since the last change to the service that the attempt waited for."""
        now = time.monotonic()
        busy = [service for service, calls in self._calls.items() if calls]
        if busy:
            service = "ai" if "ai" in busy else busy[0]
            self.seconds[service] = self.seconds.get(service, 0.0) + now - self._since
        self._since = now


_current: ContextVar[Timeline | None] = ContextVar("timeline", default=None)


def begin() -> Timeline:
    """Begin the timeline of an attempt; calls of this task and its children are counted in it."""
    timeline = Timeline()
    _current.set(timeline)
    return timeline


class calling:
    """A block whose time is counted in the current timeline, if any.

    A class, because a generator takes three times the memory, and thousands of turns wait inside.
    """

    __slots__ = ("_service", "_timeline")

    def __init__(self, service: str) -> None:
        self._service = service
        self._timeline = _current.get()

    def __enter__(self) -> None:
        if self._timeline is not None:
            self._timeline.begin_call(self._service)

    def __exit__(self, *_: object) -> None:
        if self._timeline is not None:
            self._timeline.end_call(self._service)
