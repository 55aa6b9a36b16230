"""The time that an attempt at a turn spends in calls of its dependencies."""

import time
from contextvars import ContextVar


class Timeline:
    """Seconds that one attempt spent in calls, by service (`ai`, `slack`).

    Calls of Slack while the AI server works (a status, a growing answer) are not counted: they
    delay nothing.
    """

    def __init__(self) -> None:
        self.began = time.time()
        self.seconds: dict[str, float] = {"ai": 0.0, "slack": 0.0}
        self._ai_calls = 0

    def begin_call(self, service: str) -> bool:
        """Note the start of a call; returns whether its time counts."""
        counts = service == "ai" or self._ai_calls == 0
        self._ai_calls += service == "ai"
        return counts

    def end_call(self, service: str, seconds: float) -> None:
        """Note the end of a call, and the seconds of it that count."""
        self._ai_calls -= service == "ai"
        self.seconds[service] = self.seconds.get(service, 0.0) + seconds


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

    __slots__ = ("_began", "_counts", "_service", "_timeline")

    def __init__(self, service: str) -> None:
        self._service = service
        self._timeline = _current.get()

    def __enter__(self) -> None:
        self._began = time.monotonic()
        self._counts = self._timeline is not None and self._timeline.begin_call(self._service)

    def __exit__(self, *_: object) -> None:
        if self._timeline is not None:
            spent = time.monotonic() - self._began if self._counts else 0.0
            self._timeline.end_call(self._service, spent)
