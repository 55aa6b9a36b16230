"""The only access to Redis: runs commands and scripts, and maps Redis's errors to ours."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bot.errors import ConfigError, StoreUnavailable, Superseded
from bot.models import Thread
from bot.store.keys import Keys
from bot.store.scripts import Call, Values, load
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.timing import StoreTiming

T = TypeVar("T")

ASIDE_SECONDS = 30 * 24 * 3600
# Corrupt keys that one call may run into, one after another.
REPAIRS = 10

# Before version 7 the code of an error raised in a script can be anywhere in the text.
_AWAY = re.compile(
    r"\b(OOM|READONLY|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|BUSY)\b"
)

_CORRUPT = re.compile(r"CORRUPT <(.+?)>")


Confirm = Literal["", "replica", "disk", "both"]
CONFIRM_MS = 1000
CONFIRMATIONS: dict[Confirm, tuple[str | int, ...]] = {
    "": (),
    "replica": ("WAIT", 1, CONFIRM_MS),
    "disk": ("WAITAOF", 1, 0, CONFIRM_MS),
    "both": ("WAITAOF", 1, 1, CONFIRM_MS),
}


class NoGroup(Exception):
    """The stream or its consumer group is gone: the data was lost."""


def open_connection(
    url: str,
    keys: Keys,
    *,
    tls_verify: bool,
    connections: int,
    timing: StoreTiming = StoreTiming(),
    confirm: Confirm = "",
) -> "Connection":
    """A client with a limited number of connections, each opened on demand.

    The pool checks a connection before lending it, so that one closed by the server (Heroku: after
    300 idle seconds) is reopened. redis-py's own retries and health checks are off: they trigger
    each other endlessly when a server refuses new connections. Raises ConfigError if `url`
    cannot be read.
    """
    options: dict[str, Any] = {
        "max_connections": connections,
        "socket_timeout": None,
        "socket_connect_timeout": timing.connect_timeout,
        "health_check_interval": 0,
        "decode_responses": True,
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),
    }
    if not url.startswith("unix:"):
        options["socket_keepalive"] = True
    if url.startswith("rediss:") and not tls_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    try:
        pool = ConnectionPool.from_url(url, **options)
    except ValueError:
        # The text of the error may contain part of the password.
        raise ConfigError("REDIS_URL", "is not a valid address of a Redis server") from None
    return Connection(Redis.from_pool(pool), keys, connections, timing, confirm)


class Connection:
    """Runs commands and the scripts in `lua/`.

    Raises StoreUnavailable if Redis cannot be reached or takes no writes, and Superseded where
    a script refused a claim.
    """

    def __init__(
        self,
        redis: "Redis",
        keys: Keys,
        connections: int,
        timing: StoreTiming,
        confirm: Confirm = "",
    ) -> None:
        self.redis = redis
        self.timing = timing
        self._keys = keys
        # The pool's own queue is unfair: under load some callers would starve.
        self._free = asyncio.Semaphore(connections)
        self._scripts: dict[str, AsyncScript] = {}
        self._confirmation = CONFIRMATIONS[confirm]

    async def execute(self, *command: str | int | float) -> Any:
        """Run one command. A key of the wrong type is set aside, and the command run again."""

        async def execute() -> Any:
            return await self.redis.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's gap

        return await self._repaired([str(part) for part in command], execute)

    async def execute_many(self, commands: Sequence[Sequence[str | int | float]]) -> list[Any]:
        """Run commands in one round trip."""

        async def execute() -> list[Any]:
            async with self.redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute()

        return await self._repaired([str(part) for each in commands for part in each], execute)

    async def run(
        self,
        script: str,
        thread: Thread | None = None,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        **args: Values,
    ) -> Any:
        """Run `lua/<script>.lua` with what its contract names: see `Call`.

        A key of the wrong type is set aside, and the script repeated.
        """
        names, values = load(script).order(self._keys, Call(thread, keys or {}, args))

        async def execute() -> Any:
            return await self._script(script)(keys=names, args=values)

        return await self._repaired(names, execute)

    async def run_confirmed(
        self,
        script: str,
        thread: Thread,
        keys: Mapping[str, str | Sequence[str]],
        **args: Values,
    ) -> Any:
        """Like `run`, then wait until a replica or the disk has confirmed the write, if configured.

        Raises StoreUnavailable if it is not confirmed in time; it may be stored nevertheless.
        """
        if not self._confirmation:
            return await self.run(script, thread, keys, **args)
        names, values = load(script).order(self._keys, Call(thread, keys, args))
        call = partial(self._confirm, script, names, values)
        reply, found = await self._repaired(names, call)
        wanted = self._confirmation[1:-1]
        found = found if isinstance(found, list) else [found]
        if any(have < int(want) for have, want in zip(found, wanted, strict=True)):
            raise StoreUnavailable("not confirmed by Redis's replica or disk")
        return reply

    async def _confirm(
        self, script: str, names: Sequence[str], values: Sequence[str | int | float]
    ) -> list[Any]:
        async with self.redis.pipeline(transaction=False) as pipeline:
            await self._script(script)(keys=names, args=values, client=pipeline)
            pipeline.execute_command(*self._confirmation)
            return await pipeline.execute()

    async def _repaired(self, words: Sequence[str], call: Callable[[], Awaitable[T]]) -> T:
        """Make a call. If Redis finds a corrupt key, set that aside and repeat the call.

        Otherwise one foreign value under a shared key (`ready`, `interrupts`) would stop the whole
        deployment.
        """
        for _ in range(REPAIRS):
            try:
                return await self._answered(call)
            except ResponseError as error:
                if found := _CORRUPT.search(str(error)):
                    await self.set_aside(found[1])
                elif "WRONGTYPE" in str(error):
                    await self._set_aside_wrong_types(words)
                else:
                    raise
        return await self._answered(call)

    async def _set_aside_wrong_types(self, words: Iterable[str]) -> None:
        """Set the keys of a failed call aside that have another type, if any still has."""
        families = {word: family for word in words if (family := self._keys.family(word))}
        types = await self.execute_many([("TYPE", key) for key in families])
        for (key, family), type_ in zip(families.items(), types, strict=True):
            if type_ not in ("none", family.type):
                await self.set_aside(key, family.type)

    async def set_aside(self, key: str, right_type: str = "") -> None:
        """Rename a corrupt key; the copy is kept for 30 days.

        With `right_type`, only if the key still has another: another call that failed may have set
        it aside already.
        """
        aside = self._keys.set_aside(key)
        keys = {"key": key, "aside": aside}
        moved = await self.run("set_aside", keys=keys, right_type=right_type, seconds=ASIDE_SECONDS)
        if not moved:
            return
        log.error("redis_key_corrupt", key=key, moved_to=aside)
        if key in (self._keys.ready, self._keys.later):
            # A worker recovers the threads that were listed in it.
            await self.execute("SET", self._keys.recover, "", "EX", ASIDE_SECONDS)

    async def run_many(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """Run a script once for each call, in one round trip."""
        ordered = [load(script).order(self._keys, call) for call in calls]

        async def run() -> list[Any]:
            async with self.redis.pipeline(transaction=False) as pipeline:
                for keys, args in ordered:
                    await self._script(script)(keys=keys, args=args, client=pipeline)
                return await pipeline.execute()

        names = [key for keys, _ in ordered for key in keys]
        return await self._repaired(names, run) if calls else []

    async def _answered(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call; repeat it once if the connection broke.

        All scripts are idempotent: a second `deliver` is a redelivery, a second `settle` is
        refused. A call that timed out is not repeated: the server is overloaded.
        """
        try:
            try:
                return await self._timed(call)
            except RedisConnectionError:
                await asyncio.sleep(self.timing.retry_delay)
            return await self._timed(call)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            metrics.redis_errors.labels(type(error).__name__).inc()
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        except ResponseError as error:
            if mapped := _mapped(error):
                raise mapped from error
            raise

    async def _timed(self, call: Callable[[], Awaitable[T]]) -> T:
        if self._free.locked():
            async with asyncio.timeout(self.timing.queue_timeout):
                await self._free.acquire()
        else:
            await self._free.acquire()
        try:
            async with asyncio.timeout(self.timing.call_timeout):
                return await call()
        finally:
            self._free.release()

    def _script(self, name: str) -> AsyncScript:
        if name not in self._scripts:
            self._scripts[name] = self.redis.register_script(load(name).source)
        return self._scripts[name]

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()


def _mapped(error: ResponseError) -> Exception | None:
    """Our error for one of Redis's; None if it reports wrong data or a wrong call."""
    text = str(error)
    if text.startswith("SUPERSEDED"):
        return Superseded(text)
    if text.startswith(("NOGROUP", "UNBLOCKED", "no such key")):
        return NoGroup(text)
    # redis-py strips the first word of some errors and turns it into their class.
    if _AWAY.search(text) or type(error) is not ResponseError:
        metrics.redis_errors.labels(type(error).__name__).inc()
        return StoreUnavailable(f"{type(error).__name__}: {error}")
    return None
