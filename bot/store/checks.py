"""The checks of Redis for `bot doctor`. INFO alone is enough if a host forbids CONFIG."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from redis.exceptions import InvalidResponse, ResponseError

from bot.checks import (
    Check,
    Finding,
    Repair,
    failed,
    judge_clock,
    ok,
    skipped,
)
from bot.errors import StoreUnavailable
from bot.settings import Settings
from bot.settings.addresses import split_addresses
from bot.store import PULSE_CONNECTIONS
from bot.store.claims import pairs
from bot.store.judge import (
    Info,
    judge_connections,
    judge_eviction,
    judge_persistence,
    judge_room,
    judge_tls,
    judge_version,
)
from bot.store.keys import Keys
from bot.store.layout import Layout
from bot.store.record_space import RecordSpace, judge_memory
from bot.store.repairs import first_line, lacks_tls, set_on_server
from bot.store.servers import Server
from bot.store.shard_checks import ServerShards, ShardChecks
from bot.store.shards import pulse_connections
from bot.store.topology_check import TopologyCheck

CLOCK_SECONDS = 30.0

_FIXES = (
    (
        "CERTIFICATE_VERIFY_FAILED",
        "the certificate cannot be verified; where the host signs its own (Heroku does), set "
        "BOT_REDIS_TLS_VERIFY=false",
    ),
    ("WRONG_VERSION_NUMBER", "the port speaks no TLS: begin REDIS_URL with redis://"),
    (
        "no Sentinel answers: AuthenticationError",
        "add ?sentinel_password=… to REDIS_URL; the password before the @ is the servers'",
    ),
    ("No such master", "the path of REDIS_URL names no primary that the Sentinels watch"),
    ("no Sentinel answers", "are the Sentinels in REDIS_URL right, and do they run?"),
    ("names one node of a cluster", "begin REDIS_URL with redis+cluster:// or rediss+cluster://"),
    ("no node of the cluster", "does one of the nodes in REDIS_URL run, as part of a cluster?"),
    ("WRONGPASS", "user or password in REDIS_URL are wrong"),
    ("AuthenticationError", "user or password in REDIS_URL are wrong or missing"),
    ("NOAUTH", "put the password into REDIS_URL: redis://:PASSWORD@host:port"),
    (
        "max number of clients",
        "too many connections: lower BOT_REDIS_CONNECTIONS, or a larger plan",
    ),
    ("DB index is out of range", "lower the number at the end of REDIS_URL: 0 always exists"),
    ("Connection closed", "does the server want TLS? begin REDIS_URL with rediss://"),
    ("Connection reset", "does the server want TLS? begin REDIS_URL with rediss://"),
    ("Connection lost", "does the server want TLS? begin REDIS_URL with rediss://"),
)
_FIX_UNREACHABLE = "is REDIS_URL right, is the server running, may this machine reach it?"


@asynccontextmanager
async def open_checks(
    settings: Settings, clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[Check, ...]]:
    """The checks of each server, over one connection to it."""
    urls = split_addresses(settings.redis_url)
    async with AsyncExitStack() as stack:
        places = [_open_place(settings, urls, at, stack) for at in range(len(urls))]
        yield tuple(
            check for place in places for check in RedisChecks(place, settings, clock).all()
        )


def _open_place(
    settings: Settings, urls: Sequence[str], at: int, stack: AsyncExitStack
) -> ServerShards:
    server = Server(urls[at], tls_verify=settings.redis_tls_verify, connections=1)
    stack.push_async_callback(server.close)
    own, count = Keys(settings.bot_redis_prefix), settings.bot_shards
    layout = Layout(server.connect(own), own, shards=count, place=at + 1, servers=len(urls))
    each = {number: own.of_shard(number, count) for number in range(at, count, len(urls))}
    shards = {number: (server.connect(keys), keys) for number, keys in each.items()}
    return ServerShards(urls[at], shards, layout, at + 1, len(urls))


class RedisChecks:
    """The checks of one Redis server, and of the shards on it."""

    def __init__(self, place: ServerShards, settings: Settings, clock: Callable[[], float]) -> None:
        self._place = place
        self._connection, self._keys = next(iter(place.shards.values()))
        self._settings = settings
        self._clock = clock
        self._info: Info = {}

    def all(self) -> tuple[Check, ...]:
        """In the order in which a reader needs them."""
        suffix, checks = self._place.suffix, self._all()
        return tuple(
            Check(check.name + suffix, check.look, tuple(name + suffix for name in check.needs))
            for check in checks
        )

    def _all(self) -> tuple[Check, ...]:
        needs, on_shards = ("redis",), ShardChecks(self._place, self._settings)
        return (
            Check("redis", self.server),
            Check("redis tls", self.tls),
            Check("redis topology", self.topology, needs),
            Check("redis writes", self.writes, needs),
            Check("redis eviction", self.eviction, needs),
            Check("redis room", self.room, needs),
            Check("redis persistence", self.persistence, needs),
            Check("redis connections", self.connections, needs),
            Check("redis clock", self.time, needs),
            Check("shards", on_shards.layout, (*needs, "redis writes")),
            Check("worker", on_shards.worker, (*needs, "redis writes")),
            Check("queue", on_shards.queue, (*needs, "redis writes")),
            Check("encryption", on_shards.encryption, needs),
            Check("legal hold", on_shards.hold, needs),
        )

    async def server(self) -> Finding:
        """Whether the server is reachable and recent enough."""
        if await lacks_tls(self._place.url):
            text = "REDIS_URL begins with rediss://, but the port speaks no TLS"
            return failed(text, "begin REDIS_URL with redis://, or give the port that speaks TLS")
        try:
            self._info = await self._connection.execute("INFO")
        except InvalidResponse:
            fix = "is REDIS_URL right? Redis usually has port 6379"
            return failed("another program than Redis answers there", fix)
        except (StoreUnavailable, ResponseError) as error:
            return failed(first_line(error), _fix(error))
        return judge_version(self._info)

    async def tls(self) -> Finding:
        """Whether the connection is encrypted."""
        return judge_tls(self._place.url, verified=self._settings.redis_tls_verify)

    async def topology(self) -> Finding:
        """Whether another server could take over, and what the address leads to."""
        check = TopologyCheck(self._connection, self._settings, self._info)
        return await check.look()

    async def writes(self) -> Finding:
        """Whether scripts may run and write: no replica, no full memory, no missing permission."""
        key = self._keys.doctor
        script = "return redis.call('SET', KEYS[1], redis.call('TIME')[1], 'EX', 5)"
        try:
            await self._connection.execute("EVAL", script, 1, key)
        except (StoreUnavailable, ResponseError) as error:
            return failed(
                first_line(error), "the bot needs a primary server with room, EVAL and all keys"
            )
        return ok("scripts run and write")

    async def eviction(self) -> Finding:
        """Whether the server evicts data once its memory is full."""
        finding = judge_eviction(self._info)
        if finding.level not in ("failed", "warning") or "maxmemory-policy" not in finding.fix:
            return finding
        return replace(finding, repair=self._set("maxmemory-policy", "noeviction"))

    async def room(self) -> Finding:
        """How many more turns fit into the memory."""
        memory = judge_memory(self._info, self._settings.redis_budget)
        space = RecordSpace(self._connection, self._keys)
        return judge_room(memory, await space.bytes_per_turn())

    async def persistence(self) -> Finding:
        """Whether acknowledged messages survive a restart of the server."""
        finding = judge_persistence(
            self._info, await self._config("save"), await self._config("appendfsync")
        )
        if "appendonly yes" not in finding.fix:
            return finding
        return replace(finding, repair=self._set("appendonly", "yes"))

    async def connections(self) -> Finding:
        """Whether the server allows the connections of all processes of a deploy."""
        cap = self._info.get("maxclients") or await self._config("maxclients")
        if not cap:
            return skipped("this server does not report its limit")
        used = int(self._info.get("connected_clients", 0))
        more = pulse_connections(len(self._place.shards)) - PULSE_CONNECTIONS
        return judge_connections(int(cap), used, self._settings.bot_redis_connections, more)

    async def time(self) -> Finding:
        """Whether the server's clock and this machine's agree."""
        seconds, microseconds = await self._connection.execute("TIME")
        theirs = int(seconds) + int(microseconds) / 1e6
        harm = "ages and deadlines of messages will be wrong"
        return judge_clock("Redis", theirs, self._clock(), CLOCK_SECONDS, harm)

    def _set(self, name: str, value: str) -> Repair:
        return set_on_server(self._place.url, self._settings, name, value)

    async def _config(self, name: str) -> str | None:
        """A setting of the server; None if CONFIG is forbidden."""
        try:
            reply = await self._connection.execute("CONFIG", "GET", name)
        except (StoreUnavailable, ResponseError):
            return None
        return pairs(reply).get(name)


def _fix(error: Exception) -> str:
    text = first_line(error)
    return next((fix for sign, fix in _FIXES if sign in text), _FIX_UNREACHABLE)
