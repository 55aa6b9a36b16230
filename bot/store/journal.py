"""The journal of a turn (durable execution): a resumed turn continues at its first open step."""

import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from bot.errors import BotError
from bot.models import Conversation, Record
from bot.store.claims import (
    Claim,
    InterruptReason,
    pairs,
    parse_conversation,
    parse_interrupt,
    parse_journal,
    parse_messages,
)
from bot.store.connection import Connection
from bot.store.conversations import Conversations
from bot.store.deferred import NO_WRITES, Deferred, Rider
from bot.store.scripts import ScriptCall
from bot.store.step_results import StepResults
from bot.store.steps import Step
from bot.telemetry import trace
from bot.telemetry.log import log

T = TypeVar("T")

StoredSteps = Mapping[str, str]
"""The values of steps as JSON, by the name of the step."""


class Paused(Exception):
    """A step was not begun because of a pause; `pause` is its key."""

    def __init__(self, pause: str) -> None:
        super().__init__(pause)
        self.pause = pause


class Turns:
    """Opens the journals of claims."""

    def __init__(self, connection: Connection, conversations: Conversations) -> None:
        self._connection = connection
        self._conversations = conversations

    def open(self, claim: Claim) -> "Turn":
        """The journal of the claim's turn, with every step recorded so far."""
        return Turn(claim, self._connection, self._conversations)

    async def begin_again(
        self, turn: "Turn", dropped: Sequence[str], values: StoredSteps
    ) -> "Turn":
        """Begin a turn again, with the older messages that arrived since it was taken.

        The steps `dropped` are as if they had never been begun; `values` are recorded.
        """
        claim, thread = turn.claim, turn.claim.thread
        fields = [part for name, value in values.items() for part in (f"={name}", value)]
        dropped = [f"{mark}{name}" for name in dropped for mark in "?="]
        messages, journal, kept = await turn.call(
            "reorder",
            ScriptCall(
                thread,
                args={
                    "claim": claim.fence,
                    "name": thread.key,
                    "dropped": json.dumps(dropped),
                    "fields": fields,
                },
            ),
        )
        steps, intents = parse_journal(pairs(journal))
        again = replace(
            claim,
            messages=parse_messages(thread, messages),
            steps=steps,
            intents=intents,
            conversation=parse_conversation(thread, pairs(kept)),
            interrupt=None,
        )
        return self.open(again)


class Turn:
    """The journal of one turn. Writes raise Superseded once the claim is lost.

    A deferred write shares the round trip of the next one. A crash before that loses it, so only
    what can be found or worked out again is deferred, never an intent.
    """

    __slots__ = (
        *("_begun", "_connection", "_conversation", "_conversations", "_deferred", "_running"),
        *("_steps", "claim", "id", "on_interrupt"),
    )

    def __init__(self, claim: Claim, connection: Connection, conversations: Conversations) -> None:
        self.claim = claim
        self.id = claim.turn_id
        self._connection = connection
        self._conversations = conversations
        self._steps = StepResults(claim.steps)
        self._begun = tuple(claim.intents)  # a set takes four times the memory
        self._deferred = NO_WRITES
        self._conversation = claim.conversation
        self._running = 0
        self.on_interrupt: Callable[[Turn, InterruptReason], None] = _ignore
        """Called when the reply to a write of the journal says that the turn is to end."""

    @property
    def conversation(self) -> Conversation | None:
        """The thread's conversation, as far as this turn knows."""
        return self._conversation

    @property
    def journal(self) -> dict[str, str]:
        """The fields of the journal: `?step` begun, `=step` recorded or deferred."""
        return {f"?{name}": "" for name in sorted(self._begun)} | {
            f"={name}": text for name, text in self._steps.texts.items()
        }

    @property
    def in_step(self) -> bool:
        """Whether a step is running. Cancelling now would leave its outcome unknown."""
        return self._running > 0

    async def once(
        self,
        step: Step[T],
        work: Callable[[bool], Awaitable[T]],
        *,
        undone_by: type[BotError] | tuple[type[BotError], ...] = (),
        unless: Sequence[str] = (),
        rider: Rider | None = None,
        deferred: bool = False,
    ) -> T:
        """Run a step, or return its recorded value.

        `work(again)`: with `again`, an earlier attempt may have taken effect without being
        recorded, so `work` looks for its result before it repeats it. The errors `undone_by` mean
        that the work had no effect: the step then counts as not begun. Raises Paused, and begins
        nothing, while one of the keys `unless` exists. With `deferred`, the record of the value is
        deferred.
        """
        with self._span(step):
            again = await self._intend(step, unless, rider)
            if again is not None:
                began = time.monotonic()
                try:
                    value = await work(again)
                except BotError as error:
                    if isinstance(error, undone_by) and not again:
                        await self.undo(step)
                    raise
                self.defer(step, value)
                if not deferred:
                    await self.flush()
                self._log(step, began)
        return self._value(step)

    async def derive(self, step: Step[T], work: Callable[[], Awaitable[T]]) -> T:
        """The value of a step without effects: it needs no intent, and its record is deferred."""
        if step.name not in self._steps:
            with self._span(step):
                began = time.monotonic()
                self.defer(step, await work())
                self._log(step, began)
        return self._value(step)

    async def begin_conversation(
        self,
        step: Step[Conversation],
        work: Callable[[], Awaitable[Conversation]],
        records: Sequence[Record] = (),
        *,
        deferred: bool = False,
    ) -> Conversation:
        """Like `once`, for a step that creates a conversation, which also becomes the thread's.

        It needs no intent: a conversation whose id was lost in a crash cannot be found again, and
        another one takes its place.

        `records` (a list that `work` may fill) replaces our record of the conversation. If the
        claim is lost by the time that the conversation is recorded, it becomes an orphan.
        """
        with self._span(step):
            if step.name not in self._steps:
                began = time.monotonic()
                conversation = await work()
                self._steps.add(step, conversation)
                save = await self._conversations.saving(
                    self.claim, conversation, step=step.name, records=records
                )
                self._deferred = replace(self._deferred, save=save)
                if not deferred:
                    await self.flush()
                self._log(step, began)
        self._conversation = self._value(step)
        return self._conversation

    async def undo(self, step: Step[T]) -> None:
        """Delete the intent of a step whose work is known to have had no effect."""
        self._begun = tuple(name for name in self._begun if name != step.name)
        args = {"claim": self.claim.fence, "step": step.name}
        await self.call("unbegin", ScriptCall(self.claim.thread, args=args))

    def recall(self, step: Step[T]) -> T | None:
        """The recorded value of a step, or None if it is not done."""
        return self._value(step) if step.name in self._steps else None

    def is_begun(self, step: Step[T]) -> bool:
        """Whether an earlier attempt began the step; its outcome may be unknown."""
        return step.name in self.claim.intents

    def may_be_done(self, step: Step[T]) -> bool:
        """Whether the work of a step may have taken effect, recorded or not."""
        return self.claim.maybe_done or step.name in self._begun or step.name in self._steps

    async def note(self, step: Step[T], value: T) -> None:
        """Record the value of a step; it replaces an earlier one."""
        self.defer(step, value)
        await self.flush()

    def defer(self, step: Step[T], value: T) -> None:
        """Like `note`, together with the next write."""
        self._deferred = self._deferred.with_value(step.name, self._steps.add(step, value))

    async def flush(self) -> None:
        """Make the deferred writes now."""
        if deferred := self._deferred:
            replies = await self._connection.run_each(deferred.calls(self.claim))
            self._deferred = self._deferred.without(deferred)
            if deferred.values:
                self._report(replies[-1])

    async def save(self) -> None:
        """Make the deferred write of a conversation now."""
        deferred = Deferred(save=self._deferred.save)
        await self._connection.run_each(deferred.saving)
        self._deferred = self._deferred.without(deferred)

    async def call(self, script: str, call: ScriptCall) -> Any:
        """Run a script after the deferred writes."""
        deferred = self._deferred
        replies = await self._connection.run_each([*deferred.calls(self.claim), (script, call)])
        self._deferred = self._deferred.without(deferred)
        return replies[-1]

    def learn(self, step: Step[T], text: str) -> None:
        """Take note of a step that a script has recorded: `text` is its value as it is stored."""
        self._steps.add_stored(step.name, text)

    def family(self, step: Step[Any]) -> dict[str, str]:
        """The recorded values of all steps whose name begins with this prefix, by the rest of the
        name."""
        return self._steps.family(step.name)

    def _value(self, step: Step[T]) -> T:
        return self._steps.value(step)

    def _log(self, step: Step[T], began: float) -> None:
        ms = round((time.monotonic() - began) * 1000, 1)
        log.debug("step_done", thread=self.claim.thread.key, turn=self.id, step=step.name, ms=ms)

    @contextmanager
    def _span(self, step: Step[T]) -> Iterator[None]:
        self._running += 1
        try:
            with trace.span(step.name.partition(":")[0], step=step.name):
                yield
        finally:
            self._running -= 1

    async def _intend(
        self, step: Step[T], unless: Sequence[str] = (), rider: Rider | None = None
    ) -> bool | None:
        """Record the intent of a step. True if an earlier attempt began it; None if it is done."""
        if step.name in self._steps:
            return None
        self._begun = tuple(dict.fromkeys((*self._begun, step.name)))
        thread, deferred = self.claim.thread, self._deferred
        args = {"name": thread.key, "step": step.name, "fields": deferred.fields}
        begin = ScriptCall(thread, {"pauses": unless}, {"claim": self.claim.fence, **args})
        riders = [(rider.script, rider.call)] if rider else []
        calls = [*deferred.saving, ("begin", begin), *riders]
        replies = await self._connection.run_each(calls)
        self._deferred = self._deferred.without(deferred)
        value, again, interrupt, paused = replies[len(deferred.saving)]
        self._report(interrupt)
        if paused:
            self._begun = tuple(name for name in self._begun if name != step.name)
            raise Paused(unless[paused - 1])
        if value is None:
            if rider:
                rider.reply = replies[-1]
            return bool(again) or self.claim.maybe_done
        self._steps.add_stored(step.name, value)
        return None

    def _report(self, interrupt: str | None) -> None:
        if reason := parse_interrupt(interrupt):
            self.on_interrupt(self, reason)


def _ignore(_: Turn, __: InterruptReason) -> None:
    """The default for callers that handle no interrupts."""
