"""Measures the time that an attempt at a turn spends in calls of its dependencies."""

import time
from contextvars import ContextVar


class Timeline:
    """Seconds that one attempt spent in calls, by service (`ai`, `slack`).

    Each moment counts once, even if calls overlap: calls of Slack while the AI server works (a
    status, a growing answer) are not counted, since they delay nothing.
    """

    def __init__(self) -> None:
        self.began = time.time()
        self.seconds: dict[str, float] = {"ai": 0.0, "slack": 0.0}
        self._calls: list[str] = []
        """The services of the calls under way: a counter takes three times the memory."""
        self._since = time.monotonic()

    def begin_call(self, service: str) -> None:
        """Note the start of a call."""
        self._count()
        self._calls.append(service)

    def end_call(self, service: str) -> None:
        """Note the end of a call."""
        self._count()
        self._calls.remove(service)

    def _count(self) -> None:
        """Add the seconds since the last change to the service that the attempt waited for."""
        now = time.monotonic()
        if self._calls:
            service = "ai" if "ai" in self._calls else self._calls[0]
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
