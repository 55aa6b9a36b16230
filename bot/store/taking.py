"""Taking from the inbox: ready threads are read, and each becomes a claim with its messages."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

from redis.exceptions import ResponseError

from bot.store.claims import Claim, Entry, pairs, parse_claim, parse_conversation, parse_rows
from bot.store.connection import ASIDE_SECONDS, Connection
from bot.store.corrupt import UNREADABLE
from bot.store.inbox_part import InboxPart
from bot.store.keys import GROUP, Keys
from bot.store.places import recover_places
from bot.store.retries import NoGroup
from bot.store.scripts import ScriptCall
from bot.telemetry.log import log


class Taking(InboxPart):
    """How workers take threads from the inbox."""

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

    async def _take(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run `take`. After a rollback of Redis it waits until the workers have reinstated their
        turns."""
        while True:
            replies = await self._connection.run_many("take", calls)
            if "settling" not in replies:
                return replies
            await asyncio.sleep(self._connection.timing.settling / 4)

    def _taking(self, entry: Entry, fence: str, worker: str) -> ScriptCall:
        keys, thread = self._keys, entry.thread
        return ScriptCall(
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


async def read_entries(connection: Connection, keys: Keys, reply: Any) -> list[Entry]:
    """Read the reply to XREADGROUP. Skips deleted entries and deletes corrupt ones."""
    rows = [(id, fields) for id, fields in reply[0][1] if fields] if reply else []
    entries, corrupt = parse_rows(keys.ready, rows)
    if corrupt:
        await connection.execute_many(
            [("XACK", keys.ready, GROUP, *corrupt), ("XDEL", keys.ready, *corrupt)]
        )
    return entries
