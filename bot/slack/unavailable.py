"""Logs requests of Slack that fail because Redis does not answer, or refuses writes.

Slack repeats each of them.
"""

from bot.errors import StoreUnavailable
from bot.telemetry.log import log
from bot.telemetry.log_limit import LogLimit

_limit = LogLimit()
"""Of this process: an outage of Redis is that of all workspaces."""


def report_unavailable(error: StoreUnavailable) -> None:
    """Log a request that failed, or count it for the next line."""
    if requests := _limit.count():
        log.error("redis_unavailable", error=str(error)[:200], requests=requests)
