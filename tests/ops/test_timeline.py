"""The parts of an answer's latency."""

import time
from contextlib import ExitStack

from bot.telemetry import timeline
from bot.telemetry.timeline import calling


def test_overlapping_calls_count_once() -> None:
    began, spent = time.monotonic(), timeline.begin()
    with calling("slack"):
        time.sleep(0.01)
        with ExitStack() as calls:
            for service in ("ai", "ai", "slack"):
                calls.enter_context(calling(service))
            time.sleep(0.01)
    with calling("ai"), calling("slack"):
        pass
    elapsed = time.monotonic() - began
    assert min(spent.seconds.values()) >= 0.01
    assert sum(spent.seconds.values()) <= elapsed
