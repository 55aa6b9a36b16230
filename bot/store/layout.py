"""How the workspaces are spread: the number of shards and of servers, noted on each server.

A process with another number or another order of the servers would not find what is stored, and
begin all conversations again. It is refused. Each server of a list has a note. A cluster has one,
and a copy in each shard: where the data can be read, so can the note.
"""

import asyncio
import re
from abc import ABC, abstractmethod

from bot.errors import StoreUnavailable
from bot.store.cluster import Cluster
from bot.store.connection import Connection
from bot.store.keys import Keys

ONE_SHARD = "1 1/1"
HOW_TO = "see docs/how-to/many-workspaces.md, Change the number of shards"

_NOTE = re.compile(r"(\d+) (\d+)/(\d+)")


class WrongLayout(StoreUnavailable):
    """The data of this server is spread differently; the text says how, and what to do."""

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.variable = variable
        self.problem = problem


class Note(ABC):
    """A note that is checked once, before the first call."""

    def __init__(self, connection: Connection, keys: Keys, text: str) -> None:
        self._connection = connection
        self._keys = keys
        self._text = text
        self._is_known = False
        self._checking = asyncio.Lock()
        self._failures = 0
        self._failure: StoreUnavailable | None = None

    async def check(self) -> None:
        """Look once, and write the note if there is none. Raises WrongLayout and StoreUnavailable.

        Calls that wait for a look share its failure: while a server hangs, they would queue up
        behind one timeout each.
        """
        if self._is_known:
            return
        failures = self._failures
        async with self._checking:
            if self._failure is not None and self._failures > failures:
                raise self._failure.with_traceback(None)
            if not self._is_known:
                await self._look()

    async def _look(self) -> None:
        try:
            await self._check()
        except StoreUnavailable as error:
            self._failures += 1
            self._failure = error
            raise
        self._is_known = True

    @abstractmethod
    async def _check(self) -> None:
        """Compare the note with ours, or write it."""


class Layout(Note):
    """The note on one server: it is number `place` (from 1) of `servers`."""

    def __init__(
        self, connection: Connection, keys: Keys, *, shards: int, place: int = 1, servers: int = 1
    ) -> None:
        super().__init__(connection, keys, f"{shards} {place}/{servers}")

    def copy(self, connection: Connection, keys: Keys) -> Note:
        """The copy in a shard of a cluster."""
        return Copy(self, connection, keys, self._text)

    async def _check(self) -> None:
        keys = self._keys
        found, old = await self._connection.execute_many(
            [("GET", keys.shards), ("EXISTS", *_signs(keys))]
        )
        if found == self._text:
            return  # without a write: a full Redis, or a replica, can still be read
        if found is None and old:
            found = ONE_SHARD  # a version without shards wrote the data
        if found not in (None, self._text) and not await self._has_data(found):
            await self._connection.execute("DEL", keys.shards)  # `bot doctor` wrote it
            found = None
        if found in (None, self._text):
            _, found = await self._connection.execute_many(
                [("SET", keys.shards, self._text, "NX"), ("GET", keys.shards)]
            )
        if found != self._text:
            raise compare(str(found), self._text)

    async def need_own(self) -> None:
        """Raises WrongLayout if another address of the list also leads to this server."""
        if await self._connection.execute("GET", self._keys.shards) != self._text:
            _, place = _read(self._text)
            raise WrongLayout("REDIS_URL", f"names one server twice: address {place} and another")

    async def _has_data(self, note: str) -> bool:
        """Whether a bot with this note has worked here. On a cluster its shards may be on other
        nodes."""
        numbers = _NOTE.fullmatch(note)
        if numbers is None:
            return False
        shards, place, servers = map(int, numbers.groups())
        if shards > 1 and isinstance(self._connection.topology, Cluster):
            return True
        each = [self._keys.of_shard(number, shards) for number in range(place - 1, shards, servers)]
        names = [name for keys in each for name in _signs(keys)]
        return bool(await self._connection.execute("EXISTS", *names))


class Copy(Note):
    """The copy of a cluster's note in one of its shards, which may be on another node."""

    def __init__(self, original: Layout, connection: Connection, keys: Keys, text: str) -> None:
        super().__init__(connection, keys, text)
        self._original = original

    async def _check(self) -> None:
        found = await self._connection.execute("GET", self._keys.shards)
        if found == self._text:
            return
        if _NOTE.fullmatch(found or ""):
            raise compare(found, self._text)
        await self._original.check()
        await self._connection.execute("SET", self._keys.shards, self._text)


def _signs(keys: Keys) -> tuple[str, ...]:
    """Keys, at least one of which exists in each shard that was used."""
    return keys.pulse, keys.ready, keys.idle, keys.installed


def compare(found: str, wanted: str) -> WrongLayout:
    """The difference between two notes, and what to do about it."""
    (old_shards, old_place), (shards, place) = _read(found), _read(wanted)
    if old_shards != shards:
        problem = f"is {shards}, but the data in Redis is in {old_shards}: set it to {old_shards}"
        return WrongLayout("BOT_SHARDS", f"{problem}, or move the data; {HOW_TO}")
    problem = f"names as server {place} the one with the data of server {old_place}: restore "
    return WrongLayout("REDIS_URL", f"{problem}the list and its order, or move the data; {HOW_TO}")


def _read(note: str) -> tuple[str, str]:
    shards, _, place = note.partition(" ")
    return shards, place.replace("/", " of ")
