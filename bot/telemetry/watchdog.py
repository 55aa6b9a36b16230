"""Watches the event loop from outside: a blocked loop cannot report itself.

One thread logs the stack of a blocked loop. Another one, in C and without the GIL, ends the
process: it works even if a regular expression never releases the GIL. The platform then restarts
the process, and other workers take its threads over.
"""

import asyncio
import faulthandler
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from bot.telemetry.log import log

TICKS = 10
"""How often the loop is checked within the shorter of the two limits."""
START_FACTOR = 4
"""The limits are so many times longer during the start: imports block the loop on a slow
machine."""


class Watchdog:
    """Watches the loop of one process.

    After the loop was blocked for `log_after` seconds it logs the stack, once, and `is_stalled` is
    true until the loop has run for as long again. After `exit_after` seconds the stacks of all
    threads go to standard error, and the process exits with 1. Until `started` it has longer.
    """

    def __init__(self, log_after: float, exit_after: float) -> None:
        self._log_after = log_after
        self._exit_after = exit_after
        self._factor = START_FACTOR
        self._tick = min(log_after, exit_after) / TICKS
        self._turned_at = time.monotonic()
        self._stalled_at: float | None = None
        self._stop = threading.Event()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_stalled(self) -> bool:
        """Whether the loop is blocked, or was until a moment ago."""
        if self._stalled_at is None:
            return False
        return time.monotonic() - self._stalled_at < self._log_after

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the running loop inside the block. What follows it, the end of the process, may
        take as long as a turn of the loop."""
        thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="watchdog", daemon=True
        )
        self._turn()
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            if self._timer is not None:
                self._timer.cancel()
            faulthandler.dump_traceback_later(self._exit_after, exit=True)

    def started(self) -> None:
        """The start is complete."""
        self._factor = 1
        self._turn()

    def _turn(self) -> None:
        self._turned_at = time.monotonic()
        faulthandler.dump_traceback_later(self._exit_after * self._factor, exit=True)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._tick, self._turn)

    def _watch(self, loop_thread: int) -> None:
        logged = False
        while not self._stop.wait(self._tick):
            seconds = time.monotonic() - self._turned_at
            if seconds < self._log_after * self._factor:
                logged = False
                continue
            self._stalled_at = time.monotonic()
            if not logged:
                logged = True
                log.error("event_loop_blocked", seconds=round(seconds, 1), stack=stack(loop_thread))


def stack(thread: int) -> list[str]:
    """The stack of a thread, innermost call last: `file:line function`, without any values."""
    frame = sys._current_frames().get(thread)
    if frame is None:
        return []
    return [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_stack(frame)]
