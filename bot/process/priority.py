"""The priority of a worker for the processor."""

import os
from contextlib import suppress

NICENESS = 5
"""Linux gives such a process a third of what an ordinary one gets, if both want the same core."""


def lower_priority() -> None:
    """Let other processes of this machine go first: `web`, for which Slack waits three seconds at
    most, and Redis, for which both wait.

    It changes nothing where a core is free, or where `web` is on another machine. Windows has no
    such priorities.
    """
    if hasattr(os, "nice"):
        with suppress(OSError):  # a sandbox may forbid it
            os.nice(NICENESS)
