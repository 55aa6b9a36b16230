"""A measure of work that does not depend on the machine."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import get_ident

_EVENTS = (
    sys.monitoring.events.PY_START,
    sys.monitoring.events.PY_RESUME,
    sys.monitoring.events.JUMP,
)


@dataclass
class Count:
    """The calls and the loops of Python code in this thread."""

    steps: int = 0


@contextmanager
def counted() -> Iterator[Count]:
    """Count inside the block."""
    count, tool, own = Count(), sys.monitoring.PROFILER_ID, get_ident()

    def step(*_: object) -> None:
        count.steps += get_ident() == own

    sys.monitoring.use_tool_id(tool, "steps")
    for event in _EVENTS:
        sys.monitoring.register_callback(tool, event, step)
    sys.monitoring.set_events(tool, sum(_EVENTS))
    try:
        yield count
    finally:
        sys.monitoring.set_events(tool, 0)
        sys.monitoring.free_tool_id(tool)
