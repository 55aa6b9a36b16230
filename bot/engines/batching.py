"""The kernel collects small pieces of a streamed body, so that one wake-up reads several."""

import asyncio
import platform
import re
import socket
from contextlib import suppress

HELD_SECONDS, HELD_BYTES = 0.04, 2048
"""Pieces are held back for as long or as many. A model sends a hundred tokens a second, each as one
piece, and waking the process for each costs more than reading it. The last events of a run repeat
its answer, so they are seldom held back."""


def can_release(system: str, release: str) -> bool:
    """Whether the kernel signals what it has held back once that is released: Linux, from 4.18 on.
    With another, the last events of a run may never be read."""
    version = re.match(r"(\d+)\.(\d+)", release)
    return (
        system == "Linux" and version is not None and (int(version[1]), int(version[2])) >= (4, 18)
    )


IS_USED = can_release(platform.system(), platform.release())


class KernelBatch:
    """Whether the kernel holds back the pieces of one connection.

    All connections are released at the same moments, so that one wake-up reads them all.
    """

    __slots__ = ("_link", "_timer")

    def __init__(self) -> None:
        self._link: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def hold(self, link: asyncio.Transport) -> None:
        """Hold back what comes next, for a moment; where the system cannot, nothing happens."""
        if IS_USED and self._timer is None and _wake_at(link, HELD_BYTES):
            loop, self._link = asyncio.get_running_loop(), link
            release = (loop.time() // HELD_SECONDS + 1) * HELD_SECONDS
            self._timer = loop.call_at(release, self.release)

    def release(self) -> None:
        """Hold back nothing more."""
        if self._timer is not None and self._link is not None:
            self._timer.cancel()
            _wake_at(self._link, 1)
        self._timer = self._link = None


def _wake_at(link: asyncio.Transport, size: int) -> bool:
    """Set after how many bytes the kernel wakes the process; False where it is not supported."""
    used = link.get_extra_info("socket")
    if used is not None:
        with suppress(OSError):
            used.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, size)
            return True
    return False
