"""Requests that fail because Redis is away."""

from structlog.testing import capture_logs

from bot.errors import StoreUnavailable
from bot.slack.unavailable import PAUSE, FailedRequests
from bot.slack.workspace_app import _report

OOM = StoreUnavailable("OutOfMemoryError: used memory > 'maxmemory'")


def test_an_hour_without_redis_is_a_line_a_minute() -> None:
    now = 0.0
    failed = FailedRequests(lambda: now)
    with capture_logs() as lines:
        for _ in range(3600):
            failed.report(OOM)
            now += 1
    assert len(lines) == 3600 / PAUSE
    assert {line["error"] for line in lines} == {str(OOM)}
    assert [line["requests"] for line in lines[:3]] == [1, 60, 60]


async def test_a_listener_names_redis_s_error_and_not_each_event() -> None:
    with capture_logs() as lines:
        for number in range(3):
            assert await _report(OOM, {"type": "event_callback", "event_id": f"Ev{number}"}) is None
    assert [line["event"] for line in lines] in ([], ["redis_unavailable"])
