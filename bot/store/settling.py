"""The end of turns: their messages leave the inbox, answered or as a dead letter."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

from bot.models import Message, Record, Run, Usage, encode
from bot.store.claims import SOURCE, Claim
from bot.store.dead import DeadLetter
from bot.store.feedback import LATEST_SECONDS
from bot.store.inbox_part import (
    RECORD_BYTES,
    RECORDS,
    RUNS,
    SEEN_SECONDS,
    TOMBSTONE_SECONDS,
    InboxPart,
)
from bot.store.scripts import RedisValues, ScriptCall
from bot.store.usage import ROWS_SECONDS, SUMS_SECONDS, Charge
from bot.telemetry.log import log


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ends: see `Settling.settle`. `counts` are added to those of its conversation."""

    answered: tuple[Message, ...]
    counts: Mapping[str, int]
    records: tuple[Record, ...] = ()
    last_item_id: str = ""
    owed: tuple[Message, ...] | None = None
    runs: tuple[Run, ...] = ()
    kept: frozenset[str] = frozenset()
    """The ts of messages that are not done."""
    charges: tuple[Charge, ...] = ()
    answer_ts: str = ""
    letter: DeadLetter | None = None

    @property
    def people(self) -> tuple[str, ...]:
        """The authors of the answered messages."""
        return tuple(dict.fromkeys(message.user_id for message in self.answered))


class Settling(InboxPart):
    """Ends turns."""

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
        ending = Ending(
            tuple(messages),
            counts,
            tuple(records),
            last_item_id,
            None if owed is None else tuple(owed),
            tuple(runs),
            frozenset(message.ts for message in kept),
            tuple(charges),
            answer_ts,
        )
        return await self._end(claim, ending, reserved)

    async def mark_answered(self, claim: Claim, stamps: Collection[str]) -> None:
        """Note that messages outside of the turn are answered, by their `ts`: they leave the inbox,
        and later deliveries of them are recognized."""
        ordered, thread = sorted(stamps, key=float), claim.thread
        if ordered:
            await self._connection.run(
                "mark_answered",
                thread,
                {"seen": [self._keys.seen_at(thread, ts) for ts in ordered]},
                claim=claim.fence,
                seen_seconds=SEEN_SECONDS,
                stamps=ordered,
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
        external content: how far the turn got is unknown here.
        """
        letter = DeadLetter.of(claim, reason, dependency)
        ending = Ending(claim.messages, {"external": 1}, tuple(records), letter=letter)
        await self._end(claim, ending)

    async def _end(self, claim: Claim, ending: Ending, reserved: Sequence[str] = ()) -> str | None:
        call = ScriptCall(
            claim.thread, self._keys_of(claim, ending), await self._args_of(claim, ending)
        )
        releases = [("HDEL", key, claim.turn_id) for key in reserved]
        (dropped, previous), *_ = await self._connection.run_each([("settle", call)], *releases)
        if dropped:
            log.error("dead_letters_dropped", letters=dropped)
        turn_id, _, ts = (previous or "").partition(" ")
        return ts if ts and turn_id != claim.turn_id else None

    def _keys_of(self, claim: Claim, ending: Ending) -> dict[str, str | Sequence[str]]:
        keys, thread, runs = self._keys, claim.thread, ending.runs
        return {
            "runs": keys.runs(runs[-1].conversation_id if runs else ""),
            "latest": keys.latest(thread),
            "others": [
                *(keys.recent(thread.team_id, user_id) for user_id in ending.people),
                *(key for charge in ending.charges for key in charge.keys(keys, claim)),
            ],
        }

    async def _args_of(self, claim: Claim, ending: Ending) -> dict[str, RedisValues]:
        thread, letter, owed = claim.thread, ending.letter, ending.owed
        counts = {"turns": 1, "messages": len(ending.answered), **ending.counts}
        charges = [charge.facts(claim, turns=int(charge.is_first)) for charge in ending.charges]
        return {
            "claim": claim.fence,
            "name": thread.key,
            "place": f"{thread.channel_id}:{thread.thread_ts}",
            "last_item_id": ending.last_item_id,
            "counts": json.dumps({name: count for name, count in counts.items() if count}),
            "records": json.dumps(await self._records.encode(ending.records)),
            "letter_id": letter.id if letter else "",
            "letter": encode(letter) if letter else "",
            "most": RECORDS,
            "most_bytes": RECORD_BYTES,
            "tombstone_seconds": TOMBSTONE_SECONDS,
            "owed": encode(owed, tuple[Message, ...]) if owed is not None else "",
            "most_dead": self._bounds.dead_letters,
            "run_ids": json.dumps([run.id for run in ending.runs]),
            "most_runs": RUNS,
            "people": len(ending.people),
            "charges": json.dumps(charges),
            "row_seconds": ROWS_SECONDS,
            "sum_seconds": SUMS_SECONDS,
            "answer": f"{claim.turn_id} {ending.answer_ts}" if ending.answer_ts else "",
            "latest_seconds": LATEST_SECONDS,
            "done": [message.ts for message in claim.messages if message.ts not in ending.kept],
        }
