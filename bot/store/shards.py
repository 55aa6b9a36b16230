"""The shards: the workspaces with all their data, spread over hash tags, and so over servers.

A workspace lives in the shard that the hash of its id names. The id is the first part of the keys
of its threads: that of the organization, if the bot is installed for all of it. Shards share
nothing, so one that is down stops only its own workspaces. What belongs to no workspace (links
that are under way, notes for `bot doctor`) is in the first shard, `home`.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.crc import key_slot

from bot.errors import ConfigError, StoreUnavailable
from bot.settings import Settings
from bot.settings.addresses import Address, split_addresses
from bot.store import PULSE_CONNECTIONS, Store, make_store
from bot.store.keys import Keys
from bot.store.layout import Layout, Note, WrongLayout
from bot.store.servers import Server
from bot.timing import StoreTiming

ROSTERS = 3
"""Nodes of a cluster go down one by one, so there its shards share several rosters."""
SLOTS = 16384


@dataclass(frozen=True, slots=True)
class ShardGroup:
    """The shards at one address of `REDIS_URL`."""

    address: Address
    stores: tuple[Store, ...]
    layout: Layout

    @property
    def rosters(self) -> tuple[Store, ...]:
        """The stores that hold the list of the workers that share this group."""
        if self.address.kind != "cluster":
            return self.stores[:1]
        # Neighbouring slots are on one node.
        spread = {_slot(store) * ROSTERS // SLOTS: store for store in reversed(self.stores)}
        return tuple(spread.values())

    async def error(self) -> StoreUnavailable | None:
        """The problem of this server: all its shards have failed, or one has another layout."""
        asked = self.stores if self.address.kind == "cluster" else self.stores[:1]
        found = await asyncio.gather(*(_error_of(store.ping()) for store in asked))
        errors = [error for error in found if error is not None]
        wrong = [error for error in errors if isinstance(error, WrongLayout)]
        return next(iter(wrong or (errors if len(errors) == len(asked) else ())), None)

    async def down(self, seconds: float | None = None) -> list[int]:
        """The numbers of the shards that do not answer; those on one server do so together."""
        asked = self.stores if self.address.kind == "cluster" else self.stores[:1]
        answers = await asyncio.gather(*(_answers(store, seconds) for store in asked))
        if len(asked) < len(self.stores):
            return [] if answers[0] else [store.number for store in self.stores]
        return [store.number for store, up in zip(asked, answers, strict=True) if not up]


class Shards:
    """All shards of a deployment."""

    def __init__(self, groups: Sequence[ShardGroup]) -> None:
        self.groups = tuple(groups)
        every = [store for group in groups for store in group.stores]
        self._stores = tuple(sorted(every, key=lambda store: store.number))

    def __len__(self) -> int:
        return len(self._stores)

    def __iter__(self) -> Iterator[Store]:
        return iter(self._stores)

    @property
    def home(self) -> Store:
        """The shard of what belongs to no workspace."""
        return self._stores[0]

    def of(self, id: str) -> Store:
        """The shard of a workspace, by the first part of the keys of its threads."""
        return self._stores[shard_of(id, len(self._stores))]

    async def down(self, seconds: float | None = None) -> list[int]:
        """The numbers of the shards that do not answer, within `seconds` if given."""
        found = await asyncio.gather(*(group.down(seconds) for group in self.groups))
        return sorted(number for numbers in found for number in numbers)

    async def need_all(self) -> None:
        """Raises StoreUnavailable, with their numbers, if a shard does not answer; ConfigError like
        `ping`."""
        await self.ping()
        if found := await self.down():
            numbers = ", ".join(map(str, found))
            raise StoreUnavailable(f"shards {numbers} of {len(self)} do not answer")

    async def first(self, act: Callable[[Store], Awaitable[bool]]) -> bool:
        """Do something in each shard until one has the object; returns whether one had it.

        Raises StoreUnavailable if it may be in a shard that does not answer.
        """
        problem: StoreUnavailable | None = None
        for store in self:
            try:
                if await act(store):
                    return True
            except StoreUnavailable as error:
                problem = error
        if problem is not None:
            raise problem
        return False

    async def ping(self) -> None:
        """Raises StoreUnavailable if no server answers, and ConfigError if the data on one of them
        is not spread as the settings say."""
        errors = await self._errors()
        if not errors and len(self.groups) > 1:
            errors = await self._errors(again=True)
        for error in errors:
            if isinstance(error, WrongLayout):
                raise ConfigError(error.variable, error.problem)
        if len(errors) == len(self.groups):
            raise errors[0]

    async def _errors(self, *, again: bool = False) -> list[StoreUnavailable]:
        """The problems of the servers; `again`: once all have their notes."""
        found = await asyncio.gather(
            *(
                _error_of(group.layout.need_own()) if again else group.error()
                for group in self.groups
            )
        )
        return [error for error in found if error is not None]


async def _error_of(work: Awaitable[None]) -> StoreUnavailable | None:
    try:
        await work
    except StoreUnavailable as error:
        return error
    return None


def shard_of(id: str, count: int) -> int:
    """The number of a workspace's shard. A change of it would lose all data."""
    return zlib.crc32(id.encode()) % count


async def _answers(store: Store, seconds: float | None) -> bool:
    try:
        async with asyncio.timeout(seconds):
            return await _error_of(store.ping()) is None
    except TimeoutError:
        return False


@asynccontextmanager
async def open_shards(
    settings: Settings, timing: StoreTiming = StoreTiming()
) -> AsyncIterator[Shards]:
    """The shards that the settings name. Redis need not be running yet.

    Raises ConfigError if an address cannot be read.
    """
    async with AsyncExitStack() as stack:
        urls = split_addresses(settings.redis_url)
        groups = [_open_group(settings, timing, urls, at, stack) for at in range(len(urls))]
        yield Shards(groups)


def _open_group(
    settings: Settings, timing: StoreTiming, urls: Sequence[str], at: int, stack: AsyncExitStack
) -> ShardGroup:
    """The shards on one server: every `len(urls)`th, beginning with number `at`."""
    count, own = settings.bot_shards, Keys(settings.bot_redis_prefix)
    numbers = range(at, count, len(urls))

    def open_server(connections: int) -> Server:
        server = Server(
            urls[at],
            tls_verify=settings.redis_tls_verify,
            connections=connections,
            timing=timing,
            confirm=settings.bot_redis_confirm,
        )
        stack.push_async_callback(server.close)
        return server

    calls = open_server(settings.bot_redis_connections - PULSE_CONNECTIONS)
    pulses = open_server(pulse_connections(len(numbers)))
    layout = Layout(pulses.connect(own), own, shards=count, place=at + 1, servers=len(urls))
    stores = []
    for number in numbers:
        keys = own.of_shard(number, count)
        note: Note = layout
        if calls.address.kind == "cluster" and count > 1:
            note = layout.copy(pulses.connect(keys), keys)
        stores.append(
            make_store(
                calls.connect(keys, note.check),
                pulses.connect(keys, note.check),
                keys,
                audit_days=settings.bot_audit_days,
                keyring=settings.keyring,
                number=number,
                shards=len(numbers),
            )
        )
    return ShardGroup(calls.address, tuple(stores), layout)


def pulse_connections(shards: int) -> int:
    """Connections for a worker's heartbeats and its blocking reads, one for each shard that it
    serves: they must not queue behind the calls of its turns."""
    return shards + PULSE_CONNECTIONS - 1


def _slot(store: Store) -> int:
    """The slot of a shard's keys in a cluster."""
    return key_slot(store.keys.name("").encode())
