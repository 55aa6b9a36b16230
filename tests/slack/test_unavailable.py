"""Failures that repeat as long as Redis is away."""

from structlog.testing import capture_logs

from bot.errors import StoreUnavailable
from bot.slack import unavailable
from bot.slack.workspace_app import _report
from bot.telemetry.log_limit import PAUSE, LogLimit

OOM = StoreUnavailable("OutOfMemoryError: used memory > 'maxmemory'")


def test_an_hour_of_failures_is_a_line_a_minute() -> None:
    now = 0.0
    limit = LogLimit(lambda: now)
    lines = []
    for _ in range(3600):
        lines.append(limit.count())
        now += 1
    logged = [count for count in lines if count]
    assert len(logged) == 3600 / PAUSE
    assert logged[:3] == [1, 60, 60]
    limit.reset()
    assert limit.count() == 1


async def test_a_listener_names_redis_s_error_and_not_each_event() -> None:
    unavailable._limit.reset()
    with capture_logs() as lines:
        for number in range(3):
            assert await _report(OOM, {"type": "event_callback", "event_id": f"Ev{number}"}) is None
    [line] = lines
    assert (line["event"], line["error"], line["requests"]) == ("redis_unavailable", str(OOM), 1)
