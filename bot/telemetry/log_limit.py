"""Limits the lines of a failure that repeats: during an outage they would hide everything else."""

import time
from collections.abc import Callable

PAUSE = 60.0
"""Seconds between two lines."""


class LogLimit:
    """Allows a line for the first failure, then one in `PAUSE` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """The failure is over: the next one is logged at once."""
        self._count = 0
        self._quiet_until = float("-inf")

    def count(self) -> int:
        """Count a failure. Returns how many a line stands for, this one and those since the last
        line; 0 if none is due."""
        self._count += 1
        now = self._clock()
        if now < self._quiet_until:
            return 0
        count, self._count, self._quiet_until = self._count, 0, now + PAUSE
        return count
