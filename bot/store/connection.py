"""The only access to Redis: runs commands and scripts, and maps Redis's errors to ours."""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bot.errors import StoreUnavailable, Superseded
from bot.models import Thread
from bot.store.keys import Keys
from bot.store.limits import Limits
from bot.store.scripts import Call, Command, Script, Values, load, source_of
from bot.store.topology import Topology
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.timing import StoreTiming

T = TypeVar("T")

ASIDE_SECONDS = 30 * 24 * 3600
# Corrupt keys that one call may run into, one after another.
REPAIRS = 10
# Owners of a slot that one call may be sent to, one after another.
REDIRECTS = 5
# Between attempts while a slot is being moved.
PAUSE = 0.05

# Before version 7 the code of an error raised in a script can be anywhere in the text.
_AWAY = re.compile(
    r"\b(OOM|READONLY|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|BUSY)\b"
)

_CORRUPT = re.compile(r"CORRUPT <(.+?)>")


Confirm = Literal["", "replica", "disk", "both"]
Admit = Callable[[], Awaitable[None]]
"""Raises StoreUnavailable while the keys must not be used."""
CONFIRMED_SECONDS = 60
CONFIRMATIONS: dict[Confirm, tuple[str | int, ...]] = {
    "": (),
    "replica": ("WAIT", 1),
    "disk": ("WAITAOF", 1, 0),
    "both": ("WAITAOF", 1, 1),
}


class NoGroup(Exception):
    """The stream or its consumer group is gone: the data was lost."""


class Connection:
    """Runs commands and the scripts in `lua/`.

    Raises StoreUnavailable if Redis cannot be reached or takes no writes, and Superseded where
    a script refused a claim.
    """

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        limits: Limits,
        timing: StoreTiming,
        confirm: Confirm = "",
        admit: Admit | None = None,
    ) -> None:
        self.topology = topology
        self.timing = timing
        self._keys = keys
        self._limits = limits
        self._admit = admit
        self._confirmation = CONFIRMATIONS[confirm]

    @property
    def redis(self) -> "Redis":
        """A client of the server that holds our keys; it is known after the first call."""
        return self.topology.current

    async def execute(self, *command: str | int | float) -> Any:
        """Run one command. A key of the wrong type is set aside, and the command run again."""
        [reply] = await self.execute_many([command])
        return reply

    async def execute_many(self, commands: Sequence[Command]) -> list[Any]:
        """Run commands in one round trip."""

        async def execute(client: "Redis") -> list[Any]:
            return _without_errors(await self._send(client, commands))

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

        async def run(client: "Redis") -> list[Any]:
            replies = await self._send(client, commands, follow=not more)
            unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:  # only these: the others have run
                await self._load(client, scripts)
                found = await self._send(client, [commands[at] for at in unknown])
                for at, reply in zip(unknown, found, strict=True):
                    replies[at] = reply
            return _without_errors(replies)

        return await self._repaired(_words(commands), run) if commands else []

    async def _load(self, client: "Redis", scripts: Sequence[Script]) -> None:
        """Load scripts into a server that does not know them: it is new, or was flushed."""
        for source in {script.sha: script.source for script in scripts}.values():
            await client.script_load(source)

    async def _send(
        self, client: "Redis", commands: Sequence[Command], *, follow: bool = True
    ) -> list[Any]:
        """Send commands in one round trip; returns their replies, errors among them.

        `follow`: commands whose key was moved to another node are sent to that one.
        """
        replies = await _exchange(client, commands)
        for at, reply in enumerate(replies if follow else ()):
            if isinstance(reply, AskError) and not isinstance(reply, MovedError):
                replies[at] = await self._ask(reply, commands[at])
        return replies

    async def _ask(self, error: AskError, command: Command) -> Any:
        """The reply of the node that takes over our slot, for a key that it holds already."""
        if command[0] == "EVALSHA":
            command = ("EVAL", source_of(str(command[1])), *command[2:])
        node = await self.topology.node((error.host, error.port))
        async with self._limits.of(node):
            return (await _exchange(node, [("ASKING",), command]))[1]

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
        # WAIT counts from the last write on its connection, and a redelivery writes nothing.
        write = ("SET", self._keys.flag("confirmed"), "", "EX", CONFIRMED_SECONDS)
        wait = (*self._confirmation, round(self.timing.confirmation * 1000))
        reply, _, found = await self.run_each(calls, write, wait)
        wanted = self._confirmation[1:]
        found = found if isinstance(found, list) else [found]
        if any(have < int(want) for have, want in zip(found, wanted, strict=True)):
            raise StoreUnavailable("not confirmed by Redis's replica or disk")
        return reply

    async def _repaired(self, words: Sequence[str], call: Callable[["Redis"], Awaitable[T]]) -> T:
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

    async def _answered(self, call: Callable[["Redis"], Awaitable[T]]) -> T:
        """Make a call; repeat it if the connection broke or the keys are on another server.

        All scripts are idempotent: a second `deliver` is a redelivery, a second `settle` is
        refused. A call that timed out is not repeated: the server is overloaded.
        """
        repeated: Counter[str] = Counter()
        if self._admit is not None:
            await self._admit()
        try:
            while True:
                try:
                    return await self._timed(call)
                except (RedisConnectionError, ResponseError) as error:
                    if not await self._may_repeat(error, repeated):
                        raise
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            metrics.redis_errors.labels(type(error).__name__).inc()
            raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
        except ResponseError as error:
            if mapped := _mapped(error):
                raise mapped from error
            raise

    async def _may_repeat(self, error: Exception, repeated: "Counter[str]") -> bool:
        """Whether to repeat a call after this error; counts it and waits as long as needed."""
        if isinstance(error, MovedError):
            reason, most, pause = "moved", REDIRECTS, 0.0
            await self.topology.lead_to((error.host, error.port))
        elif isinstance(error, AskError | TryAgainError):
            reason, most, pause = "moving", round(self.timing.slot_patience / PAUSE), PAUSE
        elif isinstance(error, RedisConnectionError) or _is_demoted(error):
            reason, most, pause = "broken", 1, self.timing.retry_delay
        else:
            return False
        repeated[reason] += 1
        if repeated[reason] > most:
            return False
        await asyncio.sleep(pause)
        return True

    async def _timed(self, call: Callable[["Redis"], Awaitable[T]]) -> T:
        """Make a call; after a failure of the server, the next one looks for it again.

        A call that its caller cancels says nothing about the server.
        """
        client, limit = await self._admitted()
        try:
            async with asyncio.timeout(self.timing.call_timeout):
                return await call(client)
        except ResponseError as error:
            if _is_demoted(error) or isinstance(error, ClusterDownError):
                self.topology.suspect(client)
            raise
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self.topology.suspect(client)
            raise
        finally:
            limit.release()

    async def _admitted(self) -> tuple["Redis", asyncio.Semaphore]:
        """The server that holds our keys, once it may be used; release its limit afterwards."""
        client = await self._find()
        limit = self._limits.of(client)
        if not limit.locked():
            await limit.acquire()
            return client, limit
        async with asyncio.timeout(self.timing.queue_timeout):
            while True:
                await limit.acquire()
                try:
                    found = await self._find()
                except BaseException:
                    limit.release()
                    raise
                if found is client:
                    return client, limit
                limit.release()  # another server has taken over meanwhile
                client, limit = found, self._limits.of(found)

    async def _find(self) -> "Redis":
        async with asyncio.timeout(self.timing.call_timeout):
            return await self.topology.find()

    async def close(self) -> None:
        """Close all connections."""
        await self.topology.close()


async def _exchange(client: "Redis", commands: Sequence[Command]) -> list[Any]:
    """Send commands in one round trip; returns their replies, errors among them.

    This is what redis-py does for a pipeline, without what it measures and retries around it. A
    connection that was closed, or holds unread data, is reopened first.
    """
    request = b"".join(pack_command(tuple(command)) for command in commands)  # type: ignore[arg-type]  # hiredis's gap
    pool: Any = client.connection_pool
    connection = pool.get_available_connection()
    try:
        if not connection.is_connected or await connection.can_read():
            await pool.ensure_connection(connection)
        await connection.send_packed_command(request)
        return [await _reply(client, connection, command) for command in commands]
    except BaseException:
        await connection.disconnect(nowait=True)  # replies may be left
        raise
    finally:
        await pool.release(connection)


async def _reply(client: "Redis", connection: Any, command: Command) -> Any:
    try:
        return await client.parse_response(connection, str(command[0]))
    except ResponseError as error:
        return error


def _is_demoted(error: Exception) -> bool:
    """Whether a server refuses writes because it is a replica now."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


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
