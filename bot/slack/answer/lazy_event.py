"""An event that is small until a task waits for it."""

import asyncio


class LazyEvent:
    """Like `asyncio.Event`, which needs 800 bytes even if no task ever waits for it. Every turn in
    flight has several."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Set it, and wake all tasks that wait."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        self._is_set = False
        if self._event is not None:
            self._event.clear()

    async def wait(self) -> None:
        """Return once it is set; immediately if it is already."""
        if self._is_set:
            return
        if self._event is None:
            self._event = asyncio.Event()
        await self._event.wait()


DECIDE_SECONDS = 3.0
"""How long posting is held back while Slack does not say who asked for a stop."""


class Stop(LazyEvent):
    """Set once an answer is to end. `check` decides whether a person who asked for that may."""

    __slots__ = ("check",)

    def __init__(self) -> None:
        super().__init__()
        self.check: asyncio.Task[None] | None = None

    @property
    def is_being_checked(self) -> bool:
        """Whether a person has asked for it, and the check is under way."""
        return self.check is not None and not self.check.done()

    async def decided(self) -> bool:
        """Whether it is set, once a check under way has decided it."""
        if self.check is not None and self.is_being_checked:
            await asyncio.wait([self.check], timeout=DECIDE_SECONDS)
        return self.is_set()
