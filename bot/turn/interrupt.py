"""The signals between a turn and its worker while the turn runs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from bot.slack.answer.lazy_event import LazyEvent, Stop


@dataclass(slots=True)
class Interrupt:
    """A request to end the running turn: `reason` is `stop` or `reset`, and "" without one.

    `late` asks it to begin again, because an older message has arrived; it is ignored unless the
    turn `can_begin_again`, and after a stop or a reset. Both set `cancelled`; only the first sets
    `raised`.

    In the other direction the turn reports `waiting` (it only waits for its run or for the
    throttle, and may be cancelled safely) and `begun` (its run was started, or it needs none).
    """

    reason: str = ""
    late: bool = False
    can_begin_again: bool = False
    waiting: bool = False
    begun: bool = False
    raised: Stop = field(default_factory=Stop)
    cancelled: LazyEvent = field(default_factory=LazyEvent)
    on_cancel: Callable[[], None] | None = None
    """Called when `cancelled` is set; a task that waits for it would need memory."""

    def set(self, reason: str) -> None:
        """Ask the turn to end, or to begin again."""
        if reason != "late":
            self.reason, self.late = reason, False
            self.raised.set()
            self._cancel()
        elif self.can_begin_again and not self.raised.is_set():
            self.late = True
            self._cancel()

    def _cancel(self) -> None:
        self.cancelled.set()
        if self.on_cancel:
            self.on_cancel()

    def keep_order(self) -> None:
        """From now on, ignore older messages that arrive late: the turn answers the ones it
        has."""
        self.can_begin_again = self.late = False
        if not self.raised.is_set():
            self.cancelled.clear()

    @contextmanager
    def idle(self) -> Iterator[None]:
        """A block in which the turn only waits."""
        self.waiting = True
        try:
            yield
        finally:
            self.waiting = False
