"""The journal of a turn: a turn that is taken up again goes on where it stopped."""

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from bot.models import Conversation, Record, decode, encode
from bot.store.claims import Claim
from bot.store.connection import Connection
from bot.store.conversations import Conversations
from bot.store.keys import Keys
from bot.telemetry import trace
from bot.telemetry.log import log

T = TypeVar("T")


class Turns:
    """Opens the journal of a claim."""

    def __init__(self, connection: Connection, keys: Keys, conversations: Conversations) -> None:
        self._connection = connection
        self._keys = keys
        self._conversations = conversations

    def open(self, claim: Claim) -> "Turn":
        """The journal of the claim's turn, with all that was done before."""
        return Turn(claim, self._connection, self._keys, self._conversations)


class Turn:
    """The journal of one turn. Every write raises Superseded once the claim is no longer ours."""

    def __init__(
        self, claim: Claim, connection: Connection, keys: Keys, conversations: Conversations
    ) -> None:
        self.claim = claim
        self.id = claim.turn_id
        self._connection = connection
        self._names = (keys.thread(claim.thread), keys.turn(claim.thread))
        self._conversations = conversations
        self._steps = dict(claim.steps)
        self._running = 0

    @property
    def in_step(self) -> bool:
        """Whether a step is under way now: a bad moment to leave, for it would be looked up."""
        return self._running > 0

    async def once(self, step: str, kind: Any, work: Callable[[bool], Awaitable[T]]) -> T:
        """Do a step, or give what it gave the first time.

        `work(again)` is told whether an earlier attempt may have done the step without living to
        record it: then it looks before it acts. `kind` is the type of what it gives.
        """
        with self._step(step):
            again = await self._intend(step)
            if again is not None:
                began = time.monotonic()
                await self.note(step, await work(again), kind)
                self._tell(step, began)
        return cast(T, decode(kind, self._steps[step]))

    async def begin(
        self,
        work: Callable[[bool], Awaitable[Conversation]],
        step: str = "begin",
        records: Sequence[Record] = (),
    ) -> Conversation:
        """Like `once`, for the step that makes the conversation: it becomes the thread's, too.

        `records`, which `work` may fill, replace our own record of it.
        """
        with self._step(step):
            again = await self._intend(step)
            if again is not None:
                began = time.monotonic()
                conversation = await work(again)
                await self._conversations.save(self.claim, conversation, step=step, records=records)
                self._steps[step] = encode(conversation)
                self._tell(step, began)
        return decode(Conversation, self._steps[step])

    async def retract(self, step: str) -> None:
        """Forget that a step was begun: it is known to have done nothing."""
        await self._connection.run("unbegin", self._names, self.claim.fence, step)

    def recall(self, step: str, kind: type[T]) -> T | None:
        """What a step gave, or None where it was not done."""
        return decode(kind, self._steps[step]) if step in self._steps else None

    async def note(self, step: str, value: object, kind: Any = None) -> None:
        """Write down what a step gave, in the place of what was there."""
        text = encode(value, kind)
        await self._connection.run("record", self._names, self.claim.fence, step, text)
        self._steps[step] = text

    def _tell(self, step: str, began: float) -> None:
        ms = round((time.monotonic() - began) * 1000, 1)
        log.debug("step_done", thread=self.claim.thread.key, turn=self.id, step=step, ms=ms)

    @contextmanager
    def _step(self, name: str) -> Iterator[None]:
        self._running += 1
        try:
            with trace.span(name.partition(":")[0], step=name):
                yield
        finally:
            self._running -= 1

    async def _intend(self, step: str) -> bool | None:
        """Whether the step was begun before; None where it is done, and recorded."""
        if step in self._steps:
            return None
        value, again = await self._connection.run("begin", self._names, self.claim.fence, step)
        if value is None:
            return bool(again)
        self._steps[step] = value
        return None
