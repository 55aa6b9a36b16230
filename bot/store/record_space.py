"""The memory that records take: measured, reduced for idle conversations, freed when it is full.

The texts of a record serve to rebuild a conversation, for titles and for exports. If they are
gone, a rebuild reads Slack's thread instead. So they are the first data that a full Redis drops.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis.exceptions import ResponseError

from bot.models import Thread
from bot.store.claims import pairs
from bot.store.connection import Connection
from bot.store.corrupt import UNREADABLE, read_count, read_each
from bot.store.keys import Keys
from bot.store.records import (
    RecordWriter,
    decode_line,
    encode_compressed,
    encode_evicted,
    shorten,
    size,
)
from bot.store.scripts import ScriptCall

SAMPLE = 50
"""Conversations in the sample of an estimate."""
ASSUMED_BYTES = 3_000
"""Bytes of a turn if there is none to measure."""
REPLAYED = "replay_"
"""The first part of the ids of conversations that live in the record alone: these are not cut."""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of the server in bytes; `limit` is 0 if there is none."""

    used: int
    limit: int

    @property
    def ratio(self) -> float:
        """The used part of the limit; 0 without a limit."""
        return self.used / self.limit if self.limit else 0.0


@dataclass(frozen=True, slots=True)
class IdleConversations:
    """Some conversations, longest idle first; `last` is when the newest of them was used."""

    threads: tuple[Thread, ...]
    last: float


def judge_memory(info: object, budget: int) -> Memory | None:
    """The reply to INFO; `budget` in bytes counts if the server has no limit of its own."""
    if not isinstance(info, dict) or "used_memory" not in info:
        return None
    return Memory(int(info["used_memory"]), int(info.get("maxmemory", 0)) or budget)


class RecordSpace:
    """The records of all conversations."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._writer = RecordWriter(connection, keys)

    async def may_squeeze(self) -> bool:
        """Whether every worker reads compressed lines."""
        return await self._writer.compresses()

    async def memory(self, budget: int) -> Memory | None:
        """The memory of the server; None if it does not report that."""
        try:
            return judge_memory(await self._connection.execute("INFO", "memory"), budget)
        except ResponseError:
            return None

    async def idle(self, after: float, before: float, limit: int) -> IdleConversations | None:
        """Conversations last used after one time and before another; None if there is none."""
        flat = await self._connection.execute(
            *("ZRANGEBYSCORE", self._keys.idle, f"({after!r}", f"({before!r}", "WITHSCORES"),
            *("LIMIT", 0, limit),
        )
        used_at = pairs(flat)
        found = read_each(self._keys.idle, used_at, Thread.parse)
        if not used_at:
            return None
        return IdleConversations(
            tuple(thread for _, thread in found), max(map(float, used_at.values()))
        )

    async def squeeze(self, threads: Sequence[Thread]) -> int:
        """Compress and shorten the records of idle conversations; returns how many got smaller."""
        return await self._rewrite(threads, _squeezed)

    async def evict(self, threads: Sequence[Thread]) -> int:
        """Delete the texts of the records of idle conversations; returns how many had some.

        The authors and times stay, because rights and deletions depend on them.
        """
        return await self._rewrite(threads, lambda lines, _: _evicted(lines))

    async def _rewrite(
        self, threads: Sequence[Thread], change: Callable[[Sequence[str], bool], list[str]]
    ) -> int:
        read = [("LRANGE", self._keys.record(thread), 0, -1) for thread in threads]
        ids = [("HGET", self._keys.conversation(thread), "id") for thread in threads]
        replies = await self._connection.execute_many([*read, *ids])
        records, names = replies[: len(threads)], replies[len(threads) :]
        is_whole = [str(name or "").startswith(REPLAYED) for name in names]
        changed = await asyncio.to_thread(
            lambda: [change(*each) for each in zip(records, is_whole, strict=True)]
        )
        calls = [
            ScriptCall(thread, args={"length": len(before), "lines": after})
            for thread, before, after in zip(threads, records, changed, strict=True)
            if after != before
        ]
        fates: list[str] = await self._connection.run_many("rewrite_record", calls)
        return fates.count("done")

    async def bytes_per_turn(self) -> int:
        """The bytes that a turn leaves in Redis, by a sample of conversations."""
        names = await self._connection.execute("ZRANDMEMBER", self._keys.idle, SAMPLE)
        threads = [thread for _, thread in read_each(self._keys.idle, names, Thread.parse)]
        keys = self._keys
        families = (keys.record, keys.conversation, keys.speakers, keys.latest)
        counts = [("HGET", keys.conversation(thread), "turns") for thread in threads]
        sizes = [("MEMORY", "USAGE", of(thread)) for thread in threads for of in families]
        try:
            replies = await self._connection.execute_many([*counts, *sizes])
        except ResponseError:
            return ASSUMED_BYTES
        turns = sum(read_count(keys.idle, count) for count in replies[: len(threads)])
        used = sum(int(each or 0) for each in replies[len(threads) :])
        return max(1, used // turns) if turns else ASSUMED_BYTES


def _evicted(lines: Sequence[str]) -> list[str]:
    records = [record for _, record in read_each("record", lines, decode_line)]
    return [encode_evicted(record) for record in records if record.role == "user"]


def _squeezed(lines: Sequence[str], is_whole: bool) -> list[str]:
    return [_squeezed_line(line, is_whole) for line in lines]


def _squeezed_line(line: str, is_whole: bool) -> str:
    try:
        record = decode_line(line)
    except UNREADABLE:
        return line
    return min(line, encode_compressed(record if is_whole else shorten(record)), key=size)
