"""Measures the time that an attempt at a turn spends in calls of its dependencies."""

import time
from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType

NONE: Mapping[str, float] = MappingProxyType({})


class Timeline:
    """The time that one attempt spent in calls.

    Each moment counts once, even if calls overlap: calls of Slack while the AI server works (a
    status, a growing answer) are not counted, since they delay nothing.
    """

    __slots__ = ("_ai", "_calls", "_others", "_since", "_slack", "began")

    def __init__(self) -> None:
        self.began = time.time()
        self._ai = self._slack = 0.0  # no dictionary: thousands of attempts wait
        self._others: Mapping[str, float] = NONE
        self._calls: tuple[str, ...] = ()
        """The services of the calls under way: a counter takes six times the memory."""
        self._since = time.monotonic()

    @property
    def seconds(self) -> dict[str, float]:
        """The seconds by service (`ai`, `slack`)."""
        return {"ai": self._ai, "slack": self._slack, **self._others}

    def begin_call(self, service: str) -> None:
        """Note the start of a call."""
        self._count()
        self._calls = (*self._calls, service)

    def end_call(self, service: str) -> None:
        """Note the end of a call."""
        self._count()
        at = self._calls.index(service)
        self._calls = self._calls[:at] + self._calls[at + 1 :]

    def _count(self) -> None:
        """Add the seconds since the last change to the service that the attempt waited for."""
        now = time.monotonic()
        if self._calls:
            service = "ai" if "ai" in self._calls else self._calls[0]
            self._add(service, now - self._since)
        self._since = now

    def _add(self, service: str, seconds: float) -> None:
        if service == "ai":
            self._ai += seconds
        elif service == "slack":
            self._slack += seconds
        else:
            spent = self._others.get(service, 0.0) + seconds
            self._others = {**self._others, service: spent}


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
