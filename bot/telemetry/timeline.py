"""The time that an attempt at a turn spends in calls of its dependencies."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
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

    @contextmanager
    def calling(self, service: str) -> Iterator[None]:
        """Count the time inside the block."""
        began, overlaps = time.monotonic(), service != "ai" and self._ai_calls > 0
        self._ai_calls += service == "ai"
        try:
            yield
        finally:
            self._ai_calls -= service == "ai"
            if not overlaps:
                spent = time.monotonic() - began
                self.seconds[service] = self.seconds.get(service, 0.0) + spent


_current: ContextVar[Timeline | None] = ContextVar("timeline", default=None)


def begin() -> Timeline:
    """Begin the timeline of an attempt; calls of this task and its children are counted in it."""
    timeline = Timeline()
    _current.set(timeline)
    return timeline


@contextmanager
def calling(service: str) -> Iterator[None]:
    """Count the time inside the block in the current timeline, if any."""
    timeline = _current.get()
    if timeline is None:
        yield
        return
    with timeline.calling(service):
        yield
