"""Routing: which messages of a thread are for the bot, and which are only context."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from bot.models import FollowUps, Message, Thread, decode, encode
from bot.store.connection import Connection
from bot.store.corrupt import read_each
from bot.store.duplicate_mentions import DuplicateMentions
from bot.store.inbox_part import SEEN_SECONDS, TOMBSTONE_SECONDS, InboxBounds
from bot.store.journal import Turn
from bot.store.keys import Keys
from bot.store.redelivery import Redelivery
from bot.store.steps import Step

Addressing = Literal["direct", "mention", ""]
"""How a message addresses the bot: in a direct message, by a mention, or not at all."""

EARLY_SECONDS = 90
"""Seconds for which a message is kept whose mention may still arrive: Slack's third delivery comes
after a minute."""
OVERHEARD_SECONDS = 30 * 86400
OVERHEARD_MESSAGES = 50
MAX_MOVES = 100
EDIT_SECONDS = 86400
TRANSCRIPT_SECONDS = 3600
OVERHEARD_CHARS = 4_000
SUSPENDED = 2


@dataclass(frozen=True, slots=True)
class Bound:
    """How often one author may write in a thread while it is idle, that is, in reply to us.

    This ends a loop of two bots that answer each other, whatever their messages look like.
    """

    burst: int
    burst_seconds: int
    daily: int


PERSON_BOUND = Bound(burst=40, burst_seconds=300, daily=250)
APP_BOUND = Bound(burst=5, burst_seconds=3600, daily=20)


@dataclass(frozen=True, slots=True)
class Routed:
    """The result of routing a message.

    `new`: it waits for its answer. `seen`: a duplicate. `full`: not stored, because too many
    messages wait in the thread. `overheard`: not for the bot, but in one of its threads, so it is
    kept as context for the next turn. `ignored`: neither. `unknown`: its thread is older than our
    data, as after a loss of data; the caller asks Slack whether the bot takes part in it, calls
    `adopt` and routes again. `late_files`: a duplicate with files that the first delivery lacked,
    too late to add them. `looping`: not stored, because its author replies to each of our answers
    as another bot would. `waiting` and `active` are those of `DeliveryResult`.
    """

    verdict: Literal[
        "new", "seen", "full", "overheard", "ignored", "unknown", "late_files", "looping"
    ]
    waiting: int
    active: bool
    suspended: bool = False
    """Whether the turn under way waits for a person's approval."""


@dataclass(frozen=True, slots=True)
class ThreadContext:
    """The context of a turn besides its messages.

    `overheard`: messages since the last turn that were not for the bot. `speakers`: all known
    authors of the thread. `first`: the bot has not answered in this thread before.
    """

    overheard: tuple[Message, ...] = ()
    speakers: tuple[str, ...] = ()
    first: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    overheard: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    first: bool = False


BACKGROUND = Step("background", _Step)
STORED = frozenset({"new", "seen"})
"""Verdicts after which the inbox has, or had, the message."""
REPEATED = frozenset({"new", "overheard", "ignored", "unknown"})
"""Verdicts after which a message is routed again if Redis comes back with an older state. A reply
that is ignored waits for the mention of its thread, which may be delivered later."""


class Routing:
    """The routing of all threads, for the event listeners and the turns."""

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        bounds: InboxBounds = InboxBounds(),
        redelivery: Redelivery | None = None,
    ) -> None:
        self._connection = connection
        self._redelivery = redelivery
        self._bounds = bounds
        self._keys = keys
        self._duplicates = DuplicateMentions()

    async def route(
        self,
        message: Message,
        address: Addressing,
        follow_ups: FollowUps,
        bound: Bound = PERSON_BOUND,
    ) -> Routed:
        """Classify a message and store it accordingly, in one round trip. The
        second event of a mention that this process has just stored needs none.

        `follow_ups` applies if the channel has no setting of its own. Afterwards the message may be
        acknowledged to Slack. Unaddressed messages should be replies: a root cannot be ours.
        """
        route = partial(self._route, message, address, follow_ups, bound)
        if address != "mention":
            return await route()
        if await self._duplicates.was_stored(message):
            return Routed("seen", 0, active=False)
        return await self._duplicates.store(message, route, lambda routed: routed.verdict in STORED)

    async def _route(
        self, message: Message, address: Addressing, follow_ups: FollowUps, bound: Bound
    ) -> Routed:
        keys, thread = self._keys, message.thread
        if not address:
            message = replace(message, text=message.text[:OVERHEARD_CHARS])
        verdict, waiting, active = await self._connection.run_confirmed(
            "route",
            thread,
            {
                "channel": keys.channel(thread.team_id, thread.channel_id),
                "seen": keys.seen(message),
            },
            ts=message.ts,
            message=encode(message),
            name=thread.key,
            user=message.user_id,
            address=address,
            follow_ups=follow_ups,
            seen_seconds=SEEN_SECONDS,
            early_seconds=EARLY_SECONDS,
            kept_seconds=OVERHEARD_SECONDS,
            speaker_seconds=TOMBSTONE_SECONDS,
            most_aside=OVERHEARD_MESSAGES,
            root=thread.thread_ts,
            most=self._bounds.room_for(message),
            burst=bound.burst,
            burst_seconds=bound.burst_seconds,
            daily=bound.daily,
        )
        if self._redelivery and verdict in REPEATED:
            repeat = partial(self._route, message, address, follow_ups, bound)
            self._redelivery.remember(repeat, message, aside=verdict != "new")
        return Routed(verdict, waiting, bool(active), suspended=active == SUSPENDED)

    async def adopt(self, thread: Thread, *, ours: bool) -> None:
        """Record whether an unknown thread is one of ours."""
        owner = "ours" if ours else "others"
        await self._connection.execute(
            "SET", self._keys.adopted(thread), owner, "EX", OVERHEARD_SECONDS
        )

    async def catch_up(self, turn: Turn, ts: str) -> ThreadContext:
        """The context of the turn up to `ts`; every call of one turn returns the same."""
        if turn.recall(BACKGROUND) is None:
            if turn.claim.overheard:
                await self._take_overheard(turn, ts)
            else:
                turn.defer(BACKGROUND, _Step((), turn.claim.speakers, turn.claim.is_first))
        step = turn.recall(BACKGROUND) or _Step()
        key = self._keys.overheard(turn.claim.thread)
        read = read_each(key, step.overheard, lambda text: decode(Message, text))
        return ThreadContext(tuple(message for _, message in read), step.speakers, step.first)

    async def _take_overheard(self, turn: Turn, ts: str) -> None:
        value = await self._connection.run(
            "catch_up",
            turn.claim.thread,
            claim=turn.claim.fence,
            step=BACKGROUND.name,
            last=ts,
            first=int(turn.claim.is_first),
        )
        turn.learn(BACKGROUND, value)

    async def revise(self, message: Message) -> bool:
        """Replace the text of an overheard message; False if there is none."""
        return await self._amend(message.thread, message.ts, encode(message))

    async def withdraw(self, thread: Thread, ts: str) -> bool:
        """Remove a deleted message that was only overheard; False if there is none."""
        return await self._amend(thread, ts, "")

    async def _amend(self, thread: Thread, ts: str, message: str) -> bool:
        return bool(await self._connection.run("amend_overheard", thread, ts=ts, message=message))

    async def keep_edit(self, message: Message) -> None:
        """Store an edited question for a day, in case it is to be answered again."""
        key = self._keys.edited(message.thread, message.ts)
        await self._connection.execute("SET", key, encode(message), "EX", EDIT_SECONDS)

    async def edited(self, thread: Thread, ts: str) -> Message | None:
        """Return an edited question and delete it."""
        key = self._keys.edited(thread, ts)
        text = await self._connection.execute("GETDEL", key)
        found = read_each(key, [text] if text else [], lambda text: decode(Message, text))
        return found[0][1] if found else None

    async def await_transcript(self, file_id: str, message: Message) -> None:
        """Store a message, without its text, whose recording has no transcript yet."""
        key = self._keys.untranscribed(file_id)
        value = encode(replace(message, text="", files=()))
        await self._connection.execute("SET", key, value, "EX", TRANSCRIPT_SECONDS)

    async def awaits_transcript(self, file_id: str) -> Message | None:
        """The message that waits for the transcript of this file."""
        key = self._keys.untranscribed(file_id)
        text = await self._connection.execute("GET", key)
        found = read_each(key, [text] if text else [], lambda text: decode(Message, text))
        return found[0][1] if found else None

    async def end_await(self, file_id: str) -> None:
        """Forget the message that waited for a transcript."""
        await self._connection.execute("DEL", self._keys.untranscribed(file_id))

    async def move(self, thread: Thread, ts: str, new_ts: str) -> None:
        """Record that a message is now stored under the ts of its "Answer again"."""
        key = self._keys.moved(thread, ts)
        await self._connection.execute("SET", key, new_ts, "EX", TOMBSTONE_SECONDS)

    async def moved_to(self, thread: Thread, ts: str) -> str:
        """The ts under which a message is stored: its own, unless it was moved (several times,
        maybe)."""
        first = ts
        for _ in range(MAX_MOVES):
            found = await self._connection.execute("GET", self._keys.moved(thread, ts))
            if not found:
                break
            ts = found
        if ts != first:
            await self.move(thread, first, ts)  # keeps the chain short
        return ts

    async def note_speakers(self, thread: Thread, spoke_at: Mapping[str, str]) -> None:
        """Record the authors who wrote in the thread, and when, before the bot was mentioned."""
        key = self._keys.speakers(thread)
        await self._connection.execute_many(
            [
                *(("HSETNX", key, user_id, ts) for user_id, ts in spoke_at.items()),
                ("EXPIRE", key, TOMBSTONE_SECONDS),
            ]
        )
