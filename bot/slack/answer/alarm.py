"""Occasional work of a turn. While it waits, there is no task, and a timer that many turns share.

Thousands of turns wait for their runs at the same time: a task for each needs ten times the memory.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context, copy_context

from bot.concurrency.timers import SHORT, PerLoop, SharedTimers

Work = Callable[[], Awaitable[None]]

LONG, LONG_STEP = 10.0, 1.0
"""Seconds: work that is due after a longer wait may begin this much later."""


class Alarm:
    """One piece of work at a time; each decides itself when the next one is due."""

    __slots__ = ("_at", "_timer", "_waiting", "task")

    def __init__(self) -> None:
        self.task: asyncio.Task[None] | None = None
        """The work that was begun last, unless it has succeeded."""
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0
        self._waiting: tuple[Context, Work] | None = None
        """The work that a shared timer begins at this time."""

    @property
    def is_at_work(self) -> bool:
        """Whether work was begun and has not ended."""
        return self.task is not None and not self.task.done()

    def set(self, seconds: float, work: Work) -> None:
        """Begin a piece of work in `seconds`, instead of one that has not begun yet."""
        self.off()
        if seconds < SHORT:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, seconds), self._begin, work)
        else:
            self._waiting = copy_context(), work
            self._at = (_late_alarms() if seconds >= LONG else _alarms()).add(self, seconds)

    def off(self) -> None:
        """Begin nothing more."""
        self._waiting = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def end(self) -> None:
        """Begin nothing more, and cancel the work that was begun."""
        self.off()
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])

    def ring(self, at: float) -> None:
        """Begin the work that waits for this time, unless it was put off or given up."""
        if self._waiting is not None and self._at == at:
            (context, work), self._waiting = self._waiting, None
            context.run(self._begin, work)

    def _begin(self, work: Work) -> None:
        self._timer = None
        self.task = asyncio.ensure_future(work())
        self.task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Free the memory of work that has succeeded."""
        if self.task is task and not task.cancelled() and task.exception() is None:
            self.task = None


_alarms = PerLoop(lambda loop: SharedTimers(loop, Alarm.ring))
_late_alarms = PerLoop(lambda loop: SharedTimers(loop, Alarm.ring, LONG_STEP))
