"""The checks of Redis for `bot doctor`. INFO alone is enough where a host forbids CONFIG."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

from redis.exceptions import ResponseError

from bot.checks import (
    Check,
    Finding,
    failed,
    judge_clock,
    ok,
    skipped,
    warning,
)
from bot.errors import StoreUnavailable
from bot.settings import Settings
from bot.store.claims import pairs
from bot.store.connection import Connection
from bot.store.hold import read_time
from bot.store.inbox import Inbox
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
from bot.store.record_space import RecordSpace, judge_memory
from bot.store.repairs import connect, first_line, set_on_server, speaks_plain
from bot.store.sealed import Sealed
from bot.store.topology_check import TopologyCheck

CLOCK_SECONDS = 30.0
WAITING_TOO_LONG = 60.0
START_WORKER = "start one: `bot worker`, or `bot run` for everything in one process"

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
    ("Connection closed", "does the server want TLS? begin REDIS_URL with rediss://"),
    ("Connection reset", "does the server want TLS? begin REDIS_URL with rediss://"),
    ("Connection lost", "does the server want TLS? begin REDIS_URL with rediss://"),
)
_FIX_UNREACHABLE = "is REDIS_URL right, is the server running, may this machine reach it?"


@asynccontextmanager
async def open_checks(
    settings: Settings, clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[Check, ...]]:
    """The checks, over one connection."""
    connection = connect(settings)
    try:
        yield RedisChecks(connection, settings, clock).all()
    finally:
        await connection.close()


class RedisChecks:
    """The checks of one Redis server."""

    def __init__(
        self, connection: Connection, settings: Settings, clock: Callable[[], float]
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._keys = Keys(settings.bot_redis_prefix)
        self._clock = clock
        self._info: Info = {}

    def all(self) -> tuple[Check, ...]:
        """In the order in which a reader needs them."""
        needs = ("redis",)
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
            Check("worker", self.worker, (*needs, "redis writes")),
            Check("queue", self.queue, (*needs, "redis writes")),
            Check("encryption", self.encryption, needs),
            Check("legal hold", self.hold, needs),
        )

    async def server(self) -> Finding:
        """Whether the server is reachable and recent enough."""
        if await speaks_plain(self._settings.redis_url):
            text = "REDIS_URL begins with rediss://, but the port speaks no TLS"
            return failed(text, "begin REDIS_URL with redis://, or give the port that speaks TLS")
        try:
            self._info = await self._connection.execute("INFO")
        except (StoreUnavailable, ResponseError) as error:
            return failed(first_line(error), _fix(error))
        return judge_version(self._info)

    async def tls(self) -> Finding:
        """Whether the connection is encrypted."""
        return judge_tls(self._settings.redis_url, verified=self._settings.redis_tls_verify)

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
        return replace(
            finding, repair=set_on_server(self._settings, "maxmemory-policy", "noeviction")
        )

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
        return replace(finding, repair=set_on_server(self._settings, "appendonly", "yes"))

    async def connections(self) -> Finding:
        """Whether the server allows the connections of all processes of a deploy."""
        cap = self._info.get("maxclients") or await self._config("maxclients")
        if not cap:
            return skipped("this server does not report its limit")
        used = int(self._info.get("connected_clients", 0))
        return judge_connections(int(cap), used, self._settings.bot_redis_connections)

    async def time(self) -> Finding:
        """Whether the server's clock and this machine's agree."""
        seconds, microseconds = await self._connection.execute("TIME")
        theirs = int(seconds) + int(microseconds) / 1e6
        harm = "ages and deadlines of messages will be wrong"
        return judge_clock("Redis", theirs, self._clock(), CLOCK_SECONDS, harm)

    async def queue(self) -> Finding:
        """Whether messages wait too long or were given up."""
        depth = await Inbox(self._connection, self._connection, self._keys).depth()
        text = f"{depth.waiting} waiting, {depth.claimed} at work, {depth.workers} workers"
        if depth.oldest_age > WAITING_TOO_LONG:
            fix = "see the worker's log" if depth.workers else START_WORKER
            return warning(f"{text}; the oldest waits for {depth.oldest_age:.0f} s", fix)
        if depth.dead:
            fix = "`bot dead list` says why they were given up, `bot dead retry` tries again"
            return warning(f"{text}; {depth.dead} dead letters", fix)
        return ok(text)

    async def worker(self) -> Finding:
        """Whether a worker lives that answers what comes."""
        count = (await Inbox(self._connection, self._connection, self._keys).depth()).workers
        if not count:
            return warning("none is running: messages are stored, not answered", START_WORKER)
        return ok(f"{count} running")

    async def encryption(self) -> Finding:
        """Whether the stored secrets can be opened, all with the newest key."""
        keyring = self._settings.keyring
        sealed = Sealed(self._connection, self._keys, keyring)
        if unreadable := await sealed.unreadable():
            (first, reason), *more = unreadable.items()
            text = f"{first}: {reason}" + (f" (and {len(more)} more)" if more else "")
            return failed(text, "add the key that encrypted them to BOT_ENCRYPTION_KEYS")
        if old := await sealed.count_old():
            return warning(f"{old} secrets are encrypted with an older key", "bot keys rotate")
        return ok(f"with key {keyring.ids[0]}" if keyring.ids else "no key, and no stored secret")

    async def hold(self) -> Finding:
        """Whether deletions wait for the end of a legal hold, which is easily forgotten."""
        since, kept = await self._connection.execute_many(
            [("GET", self._keys.hold), ("HLEN", self._keys.held)]
        )
        if since is None:
            return ok("none")
        day = datetime.fromtimestamp(read_time(since), UTC).strftime("%Y-%m-%d")
        text = f"on since {day}: nothing is deleted, and {kept} deletions wait"
        return warning(text, "`bot hold end` when it is over")

    async def _config(self, name: str) -> str | None:
        """A setting of the server; None where CONFIG is forbidden."""
        try:
            reply = await self._connection.execute("CONFIG", "GET", name)
        except (StoreUnavailable, ResponseError):
            return None
        return pairs(reply).get(name)


def _fix(error: Exception) -> str:
    text = first_line(error)
    return next((fix for sign, fix in _FIXES if sign in text), _FIX_UNREACHABLE)
