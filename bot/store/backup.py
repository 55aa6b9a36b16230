"""Backups: all data of the bot in a file, and back into an empty Redis.

The bot may keep running meanwhile. All keys of a thread are read by one script, so each thread is
as it was at one moment. The keys that span threads (idle conversations, usage) are read after all
threads, so they name every thread in the file; readers skip what they name beyond it. Places in the
stream of ready threads are not in the file: they are recovered.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from bot.models import Thread
from bot.store.backup_file import KeyLine, UnusableBackup, Writer, read_header, read_lines, writing
from bot.store.backup_pages import pages
from bot.store.cluster import Cluster
from bot.store.connection import ASIDE_SECONDS, Connection
from bot.store.keys import Keys
from bot.store.scanning import PAGE, scan
from bot.store.scripts import ScriptCall

T = TypeVar("T")

THREADS_AT_ONCE = 25
"""A record may have 400 kB, an inbox 1,000 messages."""
BYTES = 1_000_000
"""Bytes that are written at one time."""
REMEMBERED = 500_000
"""Threads that are known to be in the file; beyond that a thread may be in it twice."""
OF_A_THREAD = frozenset(
    {"thread", "inbox", "turn", "conversation", "record", "speakers", "adopted", "overheard"}
)
OF_THE_MOMENT = frozenset(
    {
        *("ready", "later", "interrupts", "workers", "sockets", "lease", "doctor", "recover"),
        *("pace", "places", "rest", "requests", "epoch", "roster", "shards", "begun"),
    }
)
"""Families that are not read: they are rebuilt, or mean nothing after a restore."""


@dataclass(slots=True)
class Copied:
    """The extent of a copy. `at`: Redis's time of the backup, in epoch seconds."""

    at: float
    keys: int = 0


class Backup:
    """Backup and restore of one store."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys
        self._now = 0.0

    async def write(self, path: Path) -> Copied:
        """Write a new file. Raises UnusableBackup, also if another server took over meanwhile: a
        scan cannot be continued there."""
        at = await self._time()
        with writing(path) as writer:
            writer.header(at)
            await self.add_to(writer)
        return Copied(at, writer.keys)

    async def add_to(self, writer: Writer) -> None:
        """Write all keys. Raises UnusableBackup like `write`."""
        server = await self._server()
        self._now = await self._time()
        await self._write_threads(writer)
        await self._write_audit(writer)
        await self._write_others(writer)
        if await self._server() != server:
            raise UnusableBackup("another Redis server took over meanwhile; run it again")

    async def restore(self, path: Path) -> Copied:
        """Write a file's keys into an empty Redis, and mark that the state is an older one.

        Raises UnusableBackup if Redis holds keys of the bot, or if the file is damaged.
        """
        copied = Copied(at=read_header(path).at)
        await self.need_empty()
        for lines in by_size(read_lines(path)):
            await self.put(lines)
            copied.keys += sum(not line.more for line in lines)
        await self.mark_as_older()
        return copied

    async def need_empty(self) -> None:
        """Raises UnusableBackup if Redis holds keys of the bot. Call it before `put`."""
        async for found in self._scan():
            if any(self._family(key) not in ("doctor", "lease", "shards") for key in found):
                raise UnusableBackup(
                    f"Redis holds keys of the bot ({self._keys.name('')}*): stop all processes, "
                    "and restore into an empty database or under another BOT_REDIS_PREFIX"
                )
        self._now = await self._time()

    async def put(self, lines: Sequence[KeyLine]) -> None:
        """Write the keys of some lines."""
        await self._connection.execute_many([c for line in lines for c in self._commands(line)])

    async def mark_as_older(self) -> None:
        """Mark that later changes are unknown: see `bot.store.recovery`."""
        keys = self._keys
        await self._connection.execute_many(
            [
                ("HSET", keys.pulse, "restored_at", f"{self._now:.6f}", "run_id", "restored"),
                ("SET", keys.recover, "", "EX", ASIDE_SECONDS),
            ]
        )

    def _commands(self, line: KeyLine) -> Iterator[Sequence[str | int | float]]:
        """The commands that write a line; none if it has expired since."""
        if line.expires is not None and line.expires <= self._now * 1000:
            return
        key = self._keys.name("") + line.key
        if not line.more:
            yield "DEL", key
        for values in _batched(line.values, 2 * PAGE):
            yield from _additions(key, line.type, values)
        if line.expires is not None:
            yield "PEXPIREAT", key, line.expires

    async def _write_threads(self, writer: Writer) -> None:
        written: set[int] = set()
        async for found in self._scan():
            self._now = await self._time()
            names = {
                rest
                for family, _, rest in (self._rest(key).partition(":") for key in found)
                if family in OF_A_THREAD and hash(rest) not in written
            }
            threads = [thread for name in names if (thread := _thread(name))]
            for some in _batched(threads, THREADS_AT_ONCE):
                calls = [ScriptCall(thread, args={"name": thread.key}) for thread in some]
                replies = await self._connection.run_many("backup_thread", calls)
                for thread, parts in zip(some, replies, strict=True):
                    for part in parts:
                        writer.add(self._line_of(thread, *part))
            if len(written) > REMEMBERED:
                written.clear()
            written |= {hash(thread.key) for thread in threads}

    def _line_of(
        self, thread: Thread, family: str, type_: str, ttl: int, values: list[Any]
    ) -> KeyLine:
        shared = family in ("later", "interrupts")
        key = family if shared else f"{family}:{thread.key}"
        return KeyLine(key, type_, self._expiry(ttl), values, more=shared)

    async def _write_audit(self, writer: Writer) -> None:
        """The audit trail up to its head of this moment: later lines would break the chain."""
        head = await self._connection.execute("GET", self._keys.audit_head)
        if not head:
            return
        writer.add(KeyLine("audit_head", "string", None, [head]))
        more = False
        async for values in pages(self._connection, self._keys.audit, "stream"):
            hashes = [dict(zip(f[::2], f[1::2], strict=True)).get("hash") for f in values[1::2]]
            end = 2 * (hashes.index(head) + 1) if head in hashes else len(values)
            writer.add(KeyLine("audit", "stream", None, values[:end], more))
            more = True
            if end < len(values):
                break

    async def _write_others(self, writer: Writer) -> None:
        async for found in self._scan():
            self._now = await self._time()
            names = [key for key in found if self._is_single(key)]
            facts = await self._connection.execute_many(
                [command for key in names for command in (("TYPE", key), ("PTTL", key))]
            )
            for key, type_, ttl in zip(names, facts[::2], facts[1::2], strict=True):
                more = False
                async for values in pages(self._connection, key, type_):
                    name, expires = self._rest(key), self._expiry(ttl)
                    writer.add(KeyLine(name, type_, expires, values, more))
                    more = True

    def _is_single(self, key: str) -> bool:
        """Whether a key is read by itself. One whose name is no thread's is not lost either."""
        family, _, rest = self._rest(key).partition(":")
        if family in OF_A_THREAD:
            return _thread(rest) is None
        return family not in OF_THE_MOMENT | {"audit", "audit_head"}

    async def _scan(self) -> AsyncIterator[list[str]]:
        """All keys of the bot, page by page; some more than once."""
        async for found in scan(self._connection, "SCAN", match=self._keys.escaped("*")):
            yield list(dict.fromkeys(found))

    async def _server(self) -> str:
        """The server that is scanned. Raises UnusableBackup if a part of our keys is elsewhere."""
        if isinstance(self._connection.topology, Cluster):
            nodes = str(await self._connection.execute("CLUSTER", "NODES"))
            if any("myself" in node and "->-" in node for node in nodes.splitlines()):
                raise UnusableBackup("the cluster is moving a slot; run it again afterwards")
        try:
            info = await self._connection.execute("INFO", "server")
        except ResponseError:  # the command is forbidden
            return ""
        return str(info.get("run_id", ""))

    async def _time(self) -> float:
        seconds, microseconds = await self._connection.execute("TIME")
        return int(seconds) + int(microseconds) / 1e6

    def _rest(self, key: str) -> str:
        return key.removeprefix(self._keys.name(""))

    def _family(self, key: str) -> str:
        return self._rest(key).partition(":")[0]

    def _expiry(self, ttl: int) -> int | None:
        return round(self._now * 1000) + ttl if ttl >= 0 else None


def _additions(
    key: str, type_: str, values: Sequence[Any]
) -> Iterator[Sequence[str | int | float]]:
    """The commands that add values to a key."""
    if type_ == "string":
        yield "SET", key, values[0]
    elif type_ == "zset":
        yield "ZADD", key, *(part for pair in _batched(values, 2) for part in reversed(pair))
    elif type_ == "stream":
        for id_, fields in _batched(values, 2):
            yield "XADD", key, id_, *fields
    else:
        yield {"hash": "HSET", "list": "RPUSH", "set": "SADD"}[type_], key, *values


def by_size(lines: Iterable[KeyLine]) -> Iterator[list[KeyLine]]:
    """Lines in lists that are no longer than a page, and no larger than `BYTES` and one line."""
    some: list[KeyLine] = []
    length = 0
    for line in lines:
        some.append(line)
        length += sum(len(str(value)) for value in line.values)
        if length > BYTES or len(some) >= PAGE:
            yield some
            some, length = [], 0
    if some:
        yield some


def _batched(values: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(values)
    while batch := list(islice(rest, size)):
        yield batch


def _thread(name: str) -> Thread | None:
    try:
        return Thread.parse(name)
    except ValueError:
        return None
