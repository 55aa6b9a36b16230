"""Logs requests of Slack that fail because Redis does not answer, or refuses writes.

Slack repeats each of them: a line for each would hide everything else for as long as that lasts.
"""

import time
from collections.abc import Callable

from bot.errors import StoreUnavailable
from bot.telemetry.log import log

PAUSE = 60.0
"""Seconds between two lines."""


class FailedRequests:
    """Logs at most one line in `PAUSE` seconds, with the number of requests since the last one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._count = 0
        self._quiet_until = float("-inf")

    def report(self, error: StoreUnavailable) -> None:
        """A request failed."""
        self._count += 1
        now = self._clock()
        if now < self._quiet_until:
            return
        log.error("redis_unavailable", error=str(error)[:200], requests=self._count)
        self._count, self._quiet_until = 0, now + PAUSE


failed_requests = FailedRequests()
"""Those of this process: an outage of Redis is that of all workspaces."""
