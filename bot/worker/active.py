"""The threads that this worker has claimed."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Coroutine
from typing import Any

from bot.errors import BotError
from bot.models import Thread
from bot.store import Claim, Entry, Turn
from bot.store.claims import InterruptReason
from bot.telemetry.log import log
from bot.turn.interrupt import Interrupt
from bot.turn.reordering import can_begin_again

Permitted = Callable[[Thread, InterruptReason], Awaitable[InterruptReason | None]]
"""Returns the part of a stop or reset that may take effect. Raises BotError if unknown."""


class ActiveThread:
    """A claimed thread and the task that answers it."""

    __slots__ = ("_check", "claim", "entry", "interrupt", "permitted", "since", "task", "turn")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.interrupt = Interrupt()
        self.since = time.monotonic()
        """When `interrupt` was made."""
        self.claim: Claim | None = None
        self.turn: Turn | None = None
        self.task: asyncio.Task[None]
        self.permitted: Permitted | None = None
        self._check: asyncio.Task[None] | None = None

    def begin(self, turn: Turn) -> Interrupt:
        """Begin a turn, or begin it again. A pending stop or reset is kept."""
        reason = self.interrupt.reason
        self.turn, self.claim = turn, turn.claim
        self.interrupt = Interrupt(can_begin_again=can_begin_again(turn))
        self.since = time.monotonic()
        if reason:
            self.interrupt.set(reason)
        turn.on_interrupt = self._note_from_journal
        return self.interrupt

    def _note_from_journal(self, turn: Turn, reason: InterruptReason) -> None:
        if turn is self.turn:  # otherwise it has begun again
            self.note_interrupt(self.interrupt, reason)

    def note_interrupt(self, interrupt: Interrupt, reason: InterruptReason) -> None:
        """Note an interrupt from Redis, for the turn that `interrupt` belongs to.

        Each heartbeat repeats it, so a check that fails is retried.
        """
        if reason == "late":
            interrupt.set(reason)
        elif interrupt.reason != reason and (self._check is None or self._check.done()):
            self._check = asyncio.create_task(self.check(interrupt, reason))
            interrupt.raised.check = self._check

    async def check(self, interrupt: Interrupt, reason: InterruptReason) -> None:
        """Let an interrupt take effect if its person has the right."""
        if self.permitted is None:
            return  # the turn has not begun yet
        try:
            allowed = await self.permitted(self.entry.thread, reason)
        except BotError as error:
            log.info("interrupt_not_checked", error=str(error)[:100])
            return
        except Exception as error:
            log.exception("interrupt_not_checked", error=type(error).__name__)
            return
        if allowed:
            interrupt.set(allowed)

    def end(self) -> None:
        """End the background work beside the task."""
        if self._check is not None:
            self._check.cancel()

    @property
    def known_turn(self) -> Turn:
        """The turn, once it has begun."""
        assert self.turn is not None
        return self.turn

    @property
    def is_starting(self) -> bool:
        """Whether its run has not started yet."""
        return not (self.interrupt.begun or self.interrupt.waiting)

    @property
    def can_be_cancelled(self) -> bool:
        """Whether no step is running whose outcome would be unknown after a cancellation."""
        if self.claim is None:
            return True
        return self.interrupt.waiting and not (self.turn and self.turn.in_step)


class ActiveThreads(dict[str, ActiveThread]):
    """The active threads by the id of their entry."""

    def __init__(self) -> None:
        super().__init__()
        self._unstarted: list[ActiveThread] = []

    def __setitem__(self, entry_id: str, thread: ActiveThread) -> None:
        super().__setitem__(entry_id, thread)
        self._unstarted.append(thread)

    @property
    def turns(self) -> list[Turn]:
        """The turns under way."""
        return [thread.turn for thread in self.values() if thread.turn]

    @property
    def claims(self) -> list[Claim]:
        """The claims that are held."""
        return [thread.claim for thread in self.values() if thread.claim]

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks that answer."""
        return [thread.task for thread in self.values()]

    @property
    def starting(self) -> int:
        """How many have no run yet. Called for each claim, so a thread whose run has started is
        not checked again.
        """
        self._unstarted = [
            thread
            for thread in self._unstarted
            if thread.entry.id in self and not thread.interrupt.begun
        ]
        return sum(thread.is_starting for thread in self._unstarted)

    def cancel(self, which: Callable[[ActiveThread], bool] = lambda _: True) -> None:
        """Cancel the tasks of the threads for which `which` is true."""
        for thread in list(self.values()):
            if which(thread):
                thread.task.cancel()


async def end_tasks(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are done: before Python 3.12 a cancellation can get lost in
    `asyncio.wait_for`, which redis-py uses."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)


async def first_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait until one of several coroutines is done, and cancel the others."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
