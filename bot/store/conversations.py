"""The conversation of each thread, and our record of it, from which a lost one is rebuilt."""

import json
from collections.abc import Mapping, Sequence

from bot.models import Conversation, Message, Record, Thread, encode
from bot.store.begun import MOST
from bot.store.claims import Claim, pairs, parse_conversation
from bot.store.connection import Connection
from bot.store.corrupt import UNREADABLE, read_count, read_each, read_members
from bot.store.inbox_part import TOMBSTONE_SECONDS
from bot.store.keys import Keys
from bot.store.recent import SECONDS
from bot.store.records import RecordWriter, decode_line
from bot.store.scripts import ScriptCall

BATCH = 100


class Conversations:
    """Thread -> Conversation. Writes raise Superseded once the claim is no longer ours."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._records = RecordWriter(connection, keys)

    async def find(self, thread: Thread) -> Conversation | None:
        """The thread's conversation. A claim includes it: `claim.conversation`."""
        fields = await self._connection.execute("HGETALL", self._keys.conversation(thread))
        return await self._parse(thread, fields)

    async def _parse(self, thread: Thread, fields: Mapping[str, str]) -> Conversation | None:
        """The conversation in a hash; None if there is none. A corrupt one is set aside."""
        try:
            return parse_conversation(thread, fields)
        except UNREADABLE:
            await self._connection.set_aside(self._keys.conversation(thread))
            return None

    async def save(
        self,
        claim: Claim,
        conversation: Conversation,
        *,
        step: str = "",
        records: Sequence[Record] = (),
    ) -> None:
        """Map the thread to its conversation and record the turn's `step` atomically.

        `records`, if any, replace our record. A previous conversation of the thread becomes an
        orphan, and the counts restart. If the claim is lost, the new one becomes an orphan.
        """
        save = await self.saving(claim, conversation, step=step, records=records)
        await self._connection.run_each([("save", save)])

    async def saving(
        self,
        claim: Claim,
        conversation: Conversation,
        *,
        step: str = "",
        records: Sequence[Record] = (),
    ) -> ScriptCall:
        """The call of `save`."""
        thread = claim.thread
        return ScriptCall(
            thread,
            {"recent": self._keys.recent(thread.team_id, conversation.user_id)},
            {
                "claim": claim.fence,
                "name": thread.key,
                "place": f"{thread.channel_id}:{thread.thread_ts}",
                "step": step,
                "value": encode(conversation) if step else "",
                "orphan": f"{conversation.engine}|{conversation.id}",
                "records": json.dumps(await self._records.encode(records)) if records else "",
                "most_begun": MOST,
                "begun_seconds": int(SECONDS),
                "fields": fields_of(conversation),
            },
        )

    async def forget(self, claim: Claim) -> Conversation | None:
        """Detach the thread from its conversation and drop our record; returns the conversation.

        The thread stays ours: `is_ours` holds for 90 days more.
        """
        thread = claim.thread
        flat = await self._connection.run(
            "forget",
            thread,
            claim=claim.fence,
            name=thread.key,
            tombstone_seconds=TOMBSTONE_SECONDS,
        )
        return await self._parse(thread, pairs(flat))

    async def abandon(self, claim: Claim) -> None:
        """Continue the thread in a new conversation, filled from our record, from the next run on.

        The current one becomes an orphan.
        """
        await self._connection.run("abandon", claim.thread, claim=claim.fence)

    async def forget_person(self, claim: Claim, user_id: str) -> None:
        """Remove a person's messages and the answers to them; other people's stay.

        The thread continues in a new conversation. If nothing is left, the conversation is
        forgotten.
        """
        thread = claim.thread
        known = claim.conversation.owed if claim.conversation else ()
        owed = tuple(message for message in known if message.user_id != user_id)
        await self._connection.run(
            "forget_person",
            thread,
            {"recent": self._keys.recent(thread.team_id, user_id)},
            claim=claim.fence,
            name=thread.key,
            place=f"{thread.channel_id}:{thread.thread_ts}",
            user=user_id,
            owed=encode(owed, tuple[Message, ...]),
            tombstone_seconds=TOMBSTONE_SECONDS,
        )

    async def retract(self, claim: Claim, ts: str) -> None:
        """Remove a person's message from our record."""
        await self._connection.run("retract", claim.thread, claim=claim.fence, ts=ts)

    async def history(self, thread: Thread) -> list[Record]:
        """Our record of the conversation, oldest line first."""
        [found] = await self.histories([thread])
        return found

    async def histories(self, threads: Sequence[Thread]) -> list[list[Record]]:
        """`history` of several conversations, in one round trip."""
        found = await self._connection.execute_many(
            [("LRANGE", self._keys.record(thread), 0, -1) for thread in threads]
        )
        return [
            [record for _, record in read_each(self._keys.record(thread), lines, decode_line)]
            for thread, lines in zip(threads, found, strict=True)
        ]

    async def is_ours(self, thread: Thread) -> bool:
        """Whether the bot takes part in this thread: it has answered there, or is about to."""
        keys = self._keys
        return bool(
            await self._connection.execute("EXISTS", keys.conversation(thread), keys.thread(thread))
        )

    async def recent(
        self, team_id: str, user_id: str, *, channel_id: str = "", limit: int | None = 10
    ) -> list[Conversation]:
        """The conversations that a person wrote in, last used first; all of them without a limit.

        With a limit the person's list is read in pages: it may have 100,000 entries.

        Forgotten conversations are removed from the person's list as a side effect.
        """
        key = self._keys.recent(team_id, user_id)
        found: list[Conversation] = []
        start, last = 0, -1 if limit is None else BATCH - 1
        while places := await self._connection.execute("ZREVRANGE", key, start, last):
            sound = 0
            for at in range(0, len(places), BATCH):
                known = await self._used_by(team_id, key, places[at : at + BATCH])
                sound += len(known)
                found += [c for c in known if channel_id in ("", c.thread.channel_id)]
            if limit is None or len(found) >= limit:
                break
            start, last = start + sound, start + sound + BATCH - 1
        return found[:limit]

    async def _used_by(self, team_id: str, key: str, places: Sequence[str]) -> list[Conversation]:
        """The conversations at the places of a person's list; places without one are removed."""
        members = await read_members(
            self._connection, key, places, lambda place: Thread.parse(f"{team_id}:{place}")
        )
        fields = await self._connection.execute_many(
            [("HGETALL", self._keys.conversation(thread)) for _, thread in members]
        )
        known: list[Conversation] = []
        gone: list[str] = []
        for (place, thread), values in zip(members, fields, strict=True):
            conversation = await self._parse(thread, values)
            if conversation is None:
                gone.append(place)
            else:
                known.append(conversation)
        if gone:
            await self._connection.execute("ZREM", key, *gone)
        return known

    async def idle(self, before: float, limit: int = 100) -> list[Thread]:
        """Threads whose conversation was last used before a time (epoch seconds)."""
        names = await self._connection.execute(
            "ZRANGEBYSCORE", self._keys.idle, "-inf", f"({before}", "LIMIT", 0, limit
        )
        found = await read_members(self._connection, self._keys.idle, names, Thread.parse)
        return [thread for _, thread in found]

    async def figures(self, thread: Thread) -> dict[str, int]:
        """Counts of the thread's conversation: turns, messages, tokens by kind."""
        key = self._keys.conversation(thread)
        fields = await self._connection.execute("HGETALL", key)
        return {name: read_count(key, fields.get(name)) for name in FIGURES}


def fields_of(conversation: Conversation) -> list[str]:
    """The fields and values of a conversation's hash, as a flat list."""
    fields = {
        "id": conversation.id,
        "engine": conversation.engine,
        "user_id": conversation.user_id,
        "created_at": repr(conversation.created_at),
        "last_item_id": conversation.last_item_id,
        "owed": encode(conversation.owed, tuple[Message, ...]),
    }
    return [part for field in fields.items() for part in field]


FIGURES = (
    *("turns", "messages"),
    *("input_tokens", "cached_tokens", "output_tokens", "reasoning_tokens"),
)
