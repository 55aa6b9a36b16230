"""The legal hold: while it is on, nothing that people said is deleted.

Deletions that people ask for meanwhile are kept, and carried out once it has ended.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

from bot.models import Message, decode, encode
from bot.store.archive import Archive
from bot.store.connection import Connection
from bot.store.conversations import Conversations
from bot.store.corrupt import read_each
from bot.store.inbox import Inbox
from bot.store.keys import Keys
from bot.telemetry import audit_log


def read_time(value: str) -> float:
    """When a hold began; 0.0 if the value is corrupt: the hold is on nevertheless."""
    found = read_each("hold", [value], float)
    return found[0][1] if found else 0.0


def record_deletion(order: Message, what: str, *, held: bool) -> None:
    """Write to the audit log that a person's request for a deletion was carried out or kept."""
    outcome = "held" if held else "done"
    audit_log.record_message("deletion", order, what=what, outcome=outcome)


class LegalHold:
    """The hold of one deployment."""

    def __init__(
        self,
        connection: Connection,
        keys: Keys,
        inbox: Inbox,
        archive: Archive,
        conversations: Conversations,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._inbox = inbox
        self._archive = archive
        self._conversations = conversations

    async def is_on(self) -> bool:
        """Whether nothing may be deleted now."""
        return bool(await self._connection.execute("EXISTS", self._keys.hold))

    async def since(self) -> float | None:
        """When the hold began, in epoch seconds; None if there is none."""
        found = await self._connection.execute("GET", self._keys.hold)
        return None if found is None else read_time(found)

    async def begin(self) -> bool:
        """Begin a hold; False if one is on already."""
        now = f"{time.time():.3f}"
        return bool(await self._connection.execute("SET", self._keys.hold, now, "NX"))

    async def end(self) -> bool:
        """End the hold; False if there is none. `carry_out` then handles the kept requests."""
        return bool(await self._connection.execute("DEL", self._keys.hold))

    async def keep(self, order: Message) -> None:
        """Keep a request to delete something: of the kind `retract`, `reset` or `JOB`."""
        name = f"{order.thread.key}:{order.kind}:{order.event_id or order.ts}"
        await self._connection.execute("HSET", self._keys.held, name, encode(order))

    async def kept(self) -> list[Message]:
        """The requests that are kept."""
        return [order for _, order in await self._read()]

    async def carry_out(self) -> int:
        """Carry out the requests that were kept; the caller knows that the hold has ended.

        Returns their number. A request for a busy thread stays until the next call. After a crash
        requests may be carried out twice, which changes nothing.
        """
        done = [name for name, order in await self._read() if await self._carry_out(order)]
        if done:
            await self._connection.execute("HDEL", self._keys.held, *done)
        return len(done)

    async def _carry_out(self, order: Message) -> bool:
        if order.kind == "reset":
            conversation = await self._conversations.find(order.thread)
            fates = await self._archive.forget([conversation]) if conversation else []
            if "archived" in fates:
                record_deletion(order, "conversation", held=False)
            return "busy" not in fates
        event_id = f"held:{order.event_id or order.ts}"
        await self._inbox.deliver(replace(order, ts=f"{time.time():.6f}", event_id=event_id))
        return True

    async def _read(self) -> Sequence[tuple[str, Message]]:
        found: dict[str, str] = await self._connection.execute("HGETALL", self._keys.held)
        names = {text: name for name, text in found.items()}
        read = read_each(self._keys.held, found.values(), lambda text: decode(Message, text))
        return [(names[text], order) for text, order in read]
