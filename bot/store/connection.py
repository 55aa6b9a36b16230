"""The only access to Redis: runs commands and scripts, and maps Redis's errors to ours."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bot.errors import ConfigError, StoreUnavailable, Superseded
from bot.models import Thread
from bot.store.keys import Keys
from bot.store.scripts import Call, Command, Script, Values, load
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
        self._confirmation = CONFIRMATIONS[confirm]

    async def execute(self, *command: str | int | float) -> Any:
        """Run one command. A key of the wrong type is set aside, and the command run again."""
        [reply] = await self.execute_many([command])
        return reply

    async def execute_many(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in one round trip."""

        async def execute() -> list[Any]:
            return _without_errors(await self._send(commands))

        return await self._repaired(_words(commands), execute) if commands else []

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
        [reply] = await self.run_many(script, [Call(thread, keys or {}, args)])
        return reply

    async def run_many(self, script: str, calls: Sequence[Call]) -> list[Any]:
        """Run a script once for each call, in one round trip."""
        return await self.run_each([(script, call) for call in calls])

    async def run_each(self, calls: Sequence[tuple[str, Call]], *more: Command) -> list[Any]:
        """Run several scripts, then the commands in `more`, in this order and one round trip.

        They are not atomic, and after a broken connection all of them are repeated.
        """
        scripts = [load(name) for name, _ in calls]
        commands = [
            *(
                script.command(self._keys, call)
                for script, (_, call) in zip(scripts, calls, strict=True)
            ),
            *more,
        ]

        async def run() -> list[Any]:
            replies = await self._send(commands)
            if any(isinstance(reply, NoScriptError) for reply in replies):
                await self._load(scripts)
                replies = await self._send(commands)
            return _without_errors(replies)

        return await self._repaired(_words(commands), run) if commands else []

    async def _load(self, scripts: Sequence[Script]) -> None:
        """Load scripts into a server that does not know them: it is new, or was flushed."""
        for source in {script.sha: script.source for script in scripts}.values():
            await self.redis.script_load(source)

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one round trip; returns their replies, errors among them."""
        if len(commands) == 1:
            try:
                return [await self.redis.execute_command(*commands[0])]  # type: ignore[no-untyped-call]  # redis-py's gap
            except ResponseError as error:
                return [error]
        async with self.redis.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)

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
        calls = [(script, Call(thread, keys, args))]
        reply, found = await self.run_each(calls, self._confirmation)
        wanted = self._confirmation[1:-1]
        found = found if isinstance(found, list) else [found]
        if any(have < int(want) for have, want in zip(found, wanted, strict=True)):
            raise StoreUnavailable("not confirmed by Redis's replica or disk")
        return reply

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

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()


def _words(commands: Iterable[Command]) -> list[str]:
    return [str(word) for command in commands for word in command]


def _without_errors(replies: list[Any]) -> list[Any]:
    """The replies. Raises the first error among them."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply
    return replies


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
