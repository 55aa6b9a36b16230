"""The ordered inbox: every message is taken once, in order, with one turn per thread at a time.

Delivery, pending entries and consumers are those of a Redis stream; the scripts in `lua/` tie a
thread's messages to its single entry in it. `prelude.lua` says how.
"""

import asyncio
import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from redis.exceptions import ResponseError

from bot.models import Message, Record, Run, Thread, Usage, decode, encode
from bot.store.claims import (
    SOURCE,
    Amendment,
    Claim,
    Delivery,
    Depth,
    Entry,
    Interrupt,
    ThreadState,
    Wait,
    pairs,
    parse_claim,
    parse_conversation,
    parse_interrupt,
    parse_rows,
)
from bot.store.connection import ASIDE_SECONDS, Connection, NoGroup
from bot.store.corrupt import UNREADABLE, read_count, read_each
from bot.store.dead import DeadLetter
from bot.store.feedback import LATEST_SECONDS
from bot.store.keys import GROUP, Keys
from bot.store.places import recover_places
from bot.store.records import RecordWriter
from bot.store.redelivery import Redelivery
from bot.store.scripts import Call
from bot.store.usage import ROWS_SECONDS, SUMS_SECONDS, Charge
from bot.telemetry.log import log

# Slack delivers again up to 25 hours later.
SEEN_SECONDS = 26 * 3600
TOMBSTONE_SECONDS = 90 * 86400
RECORDS = 200
RUNS = 1000
RECORD_BYTES = 400_000


@dataclass(slots=True)
class SeenBeats:
    """The highest count of heartbeats that this process saw in Redis. A lower count in Redis means
    that it came back with an older state."""

    count: int = 0


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum sizes: messages in one thread's inbox, spare room there for commands (a stop, a
    reset), and dead letters."""

    messages: int = 1_000
    spare: int = 100
    dead_letters: int = 10_000

    def room_for(self, message: Message) -> int:
        """The size of the thread's inbox up to which this message is accepted."""
        return self.messages if message.kind == "message" else self.messages + self.spare


class Inbox:
    """The inbox of all threads, for `web` (deliver) and for the workers (claim, settle)."""

    def __init__(
        self,
        connection: Connection,
        pulse: Connection,
        keys: Keys,
        bounds: Bounds = Bounds(),
        seen: "SeenBeats | None" = None,
        redelivery: Redelivery | None = None,
    ) -> None:
        self._connection = connection
        self._seen = seen or SeenBeats()
        self._redelivery = redelivery
        self._bounds = bounds
        self._pulse = pulse
        self._keys = keys
        self._records = RecordWriter(connection, keys)

    async def deliver(self, message: Message) -> Delivery:
        """Store a message durably, once; then it may be acknowledged to Slack.

        Duplicates are recognized by (team, channel, ts) or by event id for 26 hours. A message is
        not stored (and not `new`) if too many wait in its thread.
        """
        thread = message.thread
        new, waiting, active = await self._connection.run_confirmed(
            "deliver",
            thread,
            {"seen": self._keys.seen(message)},
            ts=message.ts,
            message=encode(message),
            name=thread.key,
            user=message.user_id,
            seen_seconds=SEEN_SECONDS,
            most=self._bounds.room_for(message),
        )
        if new < 0:
            log.warning("inbox_full", thread=thread.key, kind=message.kind)
        if new == 1 and self._redelivery:
            self._redelivery.remember(partial(self.deliver, message))
        return Delivery(new == 1, waiting, bool(active))

    async def revise(self, message: Message, *, edited: bool = False) -> Amendment:
        """Replace the text of a message, as long as no turn has begun to answer it.

        `edited`: by its author, not by Slack. Then the turn that answers it withdraws what it asks
        people to approve.
        """
        return await self._amend(message.thread, message.ts, encode(message), withdraws=edited)

    async def withdraw(self, thread: Thread, ts: str) -> Amendment:
        """Remove a deleted message, as long as no turn has begun to answer it."""
        return await self._amend(thread, ts, "", withdraws=True)

    async def _amend(self, thread: Thread, ts: str, message: str, *, withdraws: bool) -> Amendment:
        amendment: Amendment = await self._connection.run(
            *("amend", thread),
            ts=ts,
            name=thread.key,
            message=message,
            withdraws=int(withdraws),
        )
        return amendment

    async def interrupt(self, thread: Thread, reason: Interrupt) -> bool:
        """Ask the thread's turn to end; False if none is under way.

        A turn that waits for its next attempt is resumed at once.
        """
        return bool(await self._connection.run("interrupt", thread, name=thread.key, reason=reason))

    async def interrupt_of(self, thread: Thread) -> Interrupt | None:
        """The pending interrupt of the thread's turn, if any."""
        found = await self._connection.execute("HGET", self._keys.interrupts, thread.key)
        return parse_interrupt(found)

    async def read_ready(self, worker: str, count: int, block: float) -> list[Entry]:
        """Read up to `count` ready threads, waiting up to `block` seconds for the first.

        `block` is cut to what the socket's timeout allows; 0 does not wait.
        """
        block = min(block, self._connection.timing.call_timeout - 1)
        wait = ("BLOCK", max(1, int(block * 1000))) if block > 0 else ()
        command = (
            *("XREADGROUP", "GROUP", GROUP, worker, "COUNT", count),
            *wait,
            *("STREAMS", self._keys.ready, ">"),
        )
        try:
            reply = await self._pulse.execute(*command)
        except NoGroup:
            await self._create_group()
            await recover_places(self._pulse, self._keys)
            try:
                reply = await self._pulse.execute(*command)
            except NoGroup:  # lost again: the next call starts over
                return []
        return await read_entries(self._pulse, self._keys, reply)

    async def _create_group(self) -> None:
        try:
            await self._pulse.execute("XGROUP", "CREATE", self._keys.ready, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def take(self, entry: Entry, worker: str) -> Claim | None:
        """Begin the turn of a thread, or resume the one that was begun.

        None if the entry is no longer the thread's, or no message waits.
        """
        fence = secrets.token_hex(8)
        [reply] = await self._take([self._taking(entry, fence, worker)])
        return await self._claim_of(entry, fence, worker, reply)

    async def take_all(self, entries: Sequence[Entry], worker: str) -> dict[str, Claim]:
        """Like `take` for many entries in one round trip; returns the claims by the entry's id."""
        fences = [secrets.token_hex(8) for _ in entries]
        replies = await self._take(
            [
                self._taking(entry, fence, worker)
                for entry, fence in zip(entries, fences, strict=True)
            ]
        )
        claims = {}
        for entry, fence, reply in zip(entries, fences, replies, strict=True):
            if claim := await self._claim_of(entry, fence, worker, reply):
                claims[entry.id] = claim
        return claims

    async def _take(self, calls: Sequence[Call]) -> list[Any]:
        """Run `take`. After a rollback of Redis it waits until the workers have reinstated their
        turns."""
        while True:
            replies = await self._connection.run_many("take", calls)
            if "settling" not in replies:
                return replies
            await asyncio.sleep(self._connection.timing.settling / 4)

    async def _claim_of(self, entry: Entry, fence: str, worker: str, reply: Any) -> Claim | None:
        corrupt = reply if isinstance(reply, int) else reply[5] if reply else 0
        if corrupt:
            log.error("redis_value_corrupt", key=self._keys.inbox(entry.thread), values=corrupt)
        if not isinstance(reply, list):
            return None
        conversation = None
        try:
            conversation = parse_conversation(entry.thread, pairs(reply[3]))
        except UNREADABLE:
            await self._connection.set_aside(self._keys.conversation(entry.thread))
        return parse_claim(entry, fence, worker, reply, conversation)

    def _taking(self, entry: Entry, fence: str, worker: str) -> Call:
        keys, thread = self._keys, entry.thread
        return Call(
            thread,
            keys={
                "settings": keys.settings(thread.team_id, thread.channel_id),
                "aside": keys.set_aside(keys.inbox(thread)),
            },
            args={
                "entry": entry.id,
                "claim": fence,
                "worker": worker,
                "name": thread.key,
                "aside_seconds": ASIDE_SECONDS,
                "seen_beats": self._seen.count,
                "settling_seconds": self._connection.timing.settling,
            },
        )

    async def release(self, claim: Claim, after: float, reason: str, *, counts: bool = True) -> int:
        """Give the claim back; the turn is resumed in `after` seconds. Returns its failures so
        far."""
        attempts: int = await self._connection.run(
            "release",
            claim.thread,
            claim=claim.fence,
            name=claim.thread.key,
            after=after,
            counts=int(counts),
            reason=reason,
        )
        return attempts

    async def settle(
        self,
        claim: Claim,
        *,
        answered: Sequence[Message] | None = None,
        records: Sequence[Record] = (),
        usage: Usage | None = None,
        last_item_id: str = "",
        owed: Sequence[Message] | None = None,
        runs: Sequence[Run] = (),
        kept: Sequence[Message] = (),
        external: bool = False,
        sources: Collection[str] = (),
        charges: Sequence[Charge] = (),
        reserved: Sequence[str] = (),
        answer_ts: str = "",
    ) -> str | None:
        """End the turn: its messages are done, except those in `kept`, which wait for the next
        turn.

        The authors of `answered` (default: all messages) become participants of the conversation.
        Atomically, `records` are appended to our record of it, `usage` is added to its counts,
        `owed`, if given, replaces what the conversation is owed, and people are charged. The
        turn's reservations under the keys `reserved` end. `external` and `sources` mark the
        conversation as holding external content, for as long as it lives.

        With `answer_ts` the turn's answer is the thread's last one from now on. Returns the ts of
        the one before, if any.
        """
        messages = claim.messages if answered is None else answered
        counts = asdict(usage or Usage()) | ({"external": 1} if external else {})
        counts |= {SOURCE + source: 1 for source in sources}
        return await self._settle(
            claim,
            None,
            messages,
            records,
            counts,
            last_item_id,
            owed,
            runs,
            kept,
            charges,
            reserved,
            answer_ts,
        )

    async def dead_letter(
        self,
        claim: Claim,
        reason: str,
        *,
        dependency: str = "",
        records: Sequence[Record] = (),
    ) -> None:
        """End the turn without an answer: its messages become a dead letter.

        With a `dependency` the letter is retried once that recovers. Its conversation may hold
        external content: how far the turn came is not known here.
        """
        letter = DeadLetter.of(claim, reason, dependency)
        await self._settle(claim, letter, claim.messages, records, {"external": 1}, "", None, ())

    async def _settle(
        self,
        claim: Claim,
        letter: DeadLetter | None,
        messages: Sequence[Message],
        records: Sequence[Record],
        counts: Mapping[str, int],
        last_item_id: str,
        owed: Sequence[Message] | None,
        runs: Sequence[Run],
        kept: Sequence[Message] = (),
        charges: Sequence[Charge] = (),
        reserved: Sequence[str] = (),
        answer_ts: str = "",
    ) -> str | None:
        keys, thread = self._keys, claim.thread
        people = dict.fromkeys(message.user_id for message in messages)
        stamps = [message.ts for message in claim.messages]
        counts = {"turns": 1, "messages": len(messages), **counts}
        facts = [charge.facts(claim, turns=int(charge.is_first)) for charge in charges]
        call = Call(
            thread,
            {
                "runs": keys.runs(runs[-1].conversation_id if runs else ""),
                "latest": keys.latest(thread),
                "others": [
                    *(keys.recent(thread.team_id, user) for user in people),
                    *(key for charge in charges for key in charge.keys(keys, claim)),
                ],
            },
            {
                "claim": claim.fence,
                "name": thread.key,
                "place": f"{thread.channel_id}:{thread.thread_ts}",
                "last_item_id": last_item_id,
                "counts": json.dumps(counts),
                "records": json.dumps(await self._records.encode(records)),
                "letter_id": letter.id if letter else "",
                "letter": encode(letter) if letter else "",
                "most": RECORDS,
                "most_bytes": RECORD_BYTES,
                "tombstone_seconds": TOMBSTONE_SECONDS,
                "owed": encode(tuple(owed), tuple[Message, ...]) if owed is not None else "",
                "most_dead": self._bounds.dead_letters,
                "run_ids": json.dumps([run.id for run in runs]),
                "most_runs": RUNS,
                "people": len(people),
                "charges": json.dumps(facts),
                "row_seconds": ROWS_SECONDS,
                "sum_seconds": SUMS_SECONDS,
                "answer": f"{claim.turn_id} {answer_ts}" if answer_ts else "",
                "latest_seconds": LATEST_SECONDS,
                "done": [ts for ts in stamps if ts not in {message.ts for message in kept}],
            },
        )
        releases = [("HDEL", key, claim.turn_id) for key in reserved]
        (dropped, previous), *_ = await self._connection.run_each([("settle", call)], *releases)
        if dropped:
            log.error("dead_letters_dropped", letters=dropped)
        turn_id, _, ts = (previous or "").partition(" ")
        return ts if ts and turn_id != claim.turn_id else None

    async def depth(self) -> Depth:
        """The backlog."""
        waiting, claimed, later, dead, workers, age = await self._connection.run("depth")
        return Depth(waiting, claimed, later, dead, workers, age / 1000)

    async def unattended(self, seconds: float, most: int = 200) -> dict[Thread, Wait]:
        """Threads that no live worker has held for `seconds`, and why; at most `most` of each
        kind. Threads that wait for a person's approval are not among them.
        """
        found = await self._connection.run("unattended", seconds=seconds, most=most)
        pairs = zip(found[::2], found[1::2], strict=True)
        rows = read_each(self._keys.ready, pairs, lambda pair: Thread.parse(pair[1]))
        if not rows:
            return {}
        asking = await self._connection.execute_many(
            [("HMGET", self._keys.thread(thread), "requester", "entry") for _, thread in rows]
        )
        return {
            thread: why
            for ((why, _), thread), (requester, entry) in zip(rows, asking, strict=True)
            if entry or not requester
        }

    async def state(self, thread: Thread) -> ThreadState:
        """The state of one thread, for diagnosis and tests."""
        keys = self._keys
        busy, messages, turn, due, interrupt = await self._connection.execute_many(
            [
                ("HGETALL", keys.thread(thread)),
                ("HKEYS", keys.inbox(thread)),
                ("HGETALL", keys.turn(thread)),
                ("ZSCORE", keys.later, thread.key),
                ("HGET", keys.interrupts, thread.key),
            ]
        )
        found = read_each(keys.turn(thread), [turn.get("taken", "[]")], _parse_taken)
        taken = found[0][1] if found else ()
        return ThreadState(
            state=_state(busy, due),
            waiting=tuple(sorted(set(messages) - set(taken))),
            taken=taken,
            worker=busy.get("worker", ""),
            turn_id=turn.get("id", ""),
            attempts=read_count(keys.thread(thread), busy.get("attempts")),
            crashes=read_count(keys.thread(thread), busy.get("crashes")),
            reason=busy.get("reason", ""),
            interrupt=interrupt or "",
            requester=busy.get("requester", ""),
        )


async def read_entries(connection: Connection, keys: Keys, reply: Any) -> list[Entry]:
    """Read the reply to XREADGROUP. Skips deleted entries and deletes corrupt ones."""
    rows = [(id, fields) for id, fields in reply[0][1] if fields] if reply else []
    entries, corrupt = parse_rows(keys.ready, rows)
    if corrupt:
        await connection.execute_many(
            [("XACK", keys.ready, GROUP, *corrupt), ("XDEL", keys.ready, *corrupt)]
        )
    return entries


def _parse_taken(text: str) -> tuple[str, ...]:
    return decode(tuple[str, ...], text)


def _state(busy: dict[str, str], due: str | None) -> Literal["idle", "ready", "claimed", "later"]:
    if due is not None:
        return "later"
    if not busy:
        return "idle"
    return "claimed" if "claim" in busy else "ready"
