"""Several processes of the bot as one: `bot worker --processes 4`.

The parent imports everything and forks, so the children share the memory of the code. It passes
SIGTERM and SIGINT on, starts a child again that has crashed, and ends all of them if one cannot
start (its exit code says why). If the parent is killed, the children notice the end of a pipe, and
leave.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from bot.telemetry.log import log

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds until a child that crashed is started again; doubled with each crash in a row."""
STEADY = 60.0
"""A child that has run for this long has not crashed in a row."""
CHECK = 0.1
SIGNALS = (signal.SIGTERM, signal.SIGINT)

Work = Callable[[int], int]
"""The work of a child; takes the end of a pipe that is closed with the parent, and returns the exit
code."""


@dataclass
class _Child:
    work: Work
    pid: int = 0
    """0: it does not run."""
    starts: int = 0
    due: float = 0.0
    began: float = 0.0
    pause: float = field(default=FIRST_PAUSE)


class Supervisor:
    """Runs children until a signal, or until one of them cannot start at first."""

    def __init__(self, works: Sequence[Work], fatal: Sequence[int]) -> None:
        """`fatal` are the exit codes of a child that cannot start."""
        self._children = [_Child(work) for work in works]
        self._fatal = fatal
        self._leaving = False
        self._code = 0
        self._lifeline, self._held = os.pipe()

    def run(self) -> int:
        """Returns the exit code for the parent."""
        for number in SIGNALS:
            signal.signal(number, self._pass_on)
        gc.freeze()  # the collector would write to objects, and so copy memory that is shared
        while self._start_due():
            self._reap()
        return self._code

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._leaving = True
        for child in self._children:
            if child.pid:
                os.kill(child.pid, number)

    def _start_due(self) -> bool:
        """Start the children that are due; returns whether any runs or is to run."""
        now = time.monotonic()
        for child in self._children:
            if not child.pid and not self._leaving and now >= child.due:
                self._fork(child)
        return any(child.pid for child in self._children) or not self._leaving

    def _fork(self, child: _Child) -> None:
        # A signal in between would reach a child with the parent's handlers, or be missed by it.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for number in SIGNALS:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            os.close(self._held)
            os._exit(_exit_code(child.work, self._lifeline))
        child.pid, child.began = pid, time.monotonic()
        child.starts += 1
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)

    def _reap(self) -> None:
        """Wait for the end of a child, or for a moment if one is to be started again."""
        is_due = any(not child.pid for child in self._children) and not self._leaving
        pid = status = 0
        if any(child.pid for child in self._children):
            pid, status = os.waitpid(-1, os.WNOHANG if is_due else 0)
        if not pid:
            time.sleep(CHECK)
        for child in self._children:
            if pid and child.pid == pid:
                child.pid = 0
                self._judge(child, os.waitstatus_to_exitcode(status))

    def _judge(self, child: _Child, code: int) -> None:
        if self._leaving:
            self._code = self._code or (code if code > 0 else 0)
            return
        now = time.monotonic()
        is_steady = now - child.began >= STEADY
        if code in self._fatal and child.starts == 1 and not is_steady:
            self._code = code
            self._pass_on(signal.SIGTERM, None)
            return
        if is_steady:
            child.pause = FIRST_PAUSE
        child.due, child.pause = now + child.pause, min(2 * child.pause, LONGEST_PAUSE)
        log.error("process_ended", code=code, again_in=round(child.due - now, 1))


def _exit_code(work: Work, lifeline: int) -> int:
    """Do the work of a child. Nothing may be raised into the code of the parent."""
    try:
        return work(lifeline)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.exception("process_failed")
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
