"""The only access to Redis: runs commands and scripts, and maps Redis's errors to ours."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, ResponseError

from bot.errors import StoreUnavailable
from bot.models import Thread
from bot.store.exchange import Exchange, without_errors
from bot.store.keys import Keys
from bot.store.limits import CallLimits
from bot.store.pipelining import Pipelines
from bot.store.retries import Admit, Retries
from bot.store.scripts import RedisCommand, RedisValues, Script, ScriptCall, load
from bot.store.topology import Topology
from bot.telemetry.log import log
from bot.timing import StoreTiming

T = TypeVar("T")

ASIDE_SECONDS = 30 * 24 * 3600
# Corrupt keys that one call may run into, one after another.
REPAIRS = 10

_CORRUPT = re.compile(r"CORRUPT <(.+?)>")


Confirm = Literal["", "replica", "disk", "both"]
CONFIRMED_SECONDS = 60
CONFIRMATIONS: dict[Confirm, tuple[str | int, ...]] = {
    "": (),
    "replica": ("WAIT", 1),
    "disk": ("WAITAOF", 1, 0),
    "both": ("WAITAOF", 1, 1),
}


class Connection:
    """Runs commands and the scripts in `lua/`.

    `confirmed` limits the writes that wait for their confirmation. Raises StoreUnavailable if Redis
    cannot be reached or takes no writes, and Superseded where a script refused a claim.
    """

    def __init__(
        self,
        topology: Topology,
        keys: Keys,
        limits: CallLimits,
        confirmed: CallLimits,
        pipelines: Pipelines,
        timing: StoreTiming,
        confirm: Confirm = "",
        admit: Admit | None = None,
    ) -> None:
        self.topology = topology
        self.timing = timing
        self._keys = keys
        self._exchange = Exchange(topology, limits, pipelines)
        self._retries = Retries(topology, limits, timing, admit)
        self._confirmed = Retries(topology, confirmed, timing, admit)
        self._confirmation = CONFIRMATIONS[confirm]

    @property
    def redis(self) -> "Redis":
        """A client of the server that holds our keys; it is known after the first call."""
        return self.topology.current

    async def execute(self, *command: str | int | float) -> Any:
        """Run one command. A key of the wrong type is set aside, and the command run again."""
        [reply] = await self.execute_many([command])
        return reply

    async def execute_many(self, commands: Sequence[RedisCommand]) -> list[Any]:
        """Run commands in one round trip."""

        async def execute(client: "Redis") -> list[Any]:
            return without_errors(await self._exchange.send(client, commands))

        return await self._repaired(_words(commands), execute) if commands else []

    async def run(
        self,
        script: str,
        thread: Thread | None = None,
        keys: Mapping[str, str | Sequence[str]] | None = None,
        **args: RedisValues,
    ) -> Any:
        """Run `lua/<script>.lua` with what its contract names: see `ScriptCall`.

        A key of the wrong type is set aside, and the script repeated.
        """
        [reply] = await self.run_many(script, [ScriptCall(thread, keys or {}, args)])
        return reply

    async def run_many(self, script: str, calls: Sequence[ScriptCall]) -> list[Any]:
        """Run a script once for each call, in one round trip."""
        return await self.run_each([(script, call) for call in calls])

    async def run_each(
        self,
        calls: Sequence[tuple[str, ScriptCall]],
        *more: RedisCommand,
        retries: Retries | None = None,
    ) -> list[Any]:
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
            replies = await self._exchange.send(client, commands, follow=not more)
            unknown = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
            if unknown:  # not the other scripts: they have run
                await self._load(client, scripts)
                again = [*unknown, *range(len(scripts), len(commands))]
                found = await self._exchange.send(client, [commands[at] for at in again])
                for at, reply in zip(again, found, strict=True):
                    replies[at] = reply
            return without_errors(replies)

        return await self._repaired(_words(commands), run, retries) if commands else []

    async def _load(self, client: "Redis", scripts: Sequence[Script]) -> None:
        """Load scripts into a server that does not know them: it is new, or was flushed."""
        sources = {script.sha: script.source for script in scripts}.values()
        loads = [("SCRIPT", "LOAD", source) for source in sources]
        without_errors(await self._exchange.send(client, loads, follow=False))

    async def run_confirmed(
        self,
        script: str,
        thread: Thread,
        keys: Mapping[str, str | Sequence[str]],
        **args: RedisValues,
    ) -> Any:
        """Like `run`, then wait until a replica or the disk has confirmed the write, if configured.

        Raises StoreUnavailable if it is not confirmed in time; it may be stored nevertheless.
        """
        if not self._confirmation:
            return await self.run(script, thread, keys, **args)
        calls = [(script, ScriptCall(thread, keys, args))]
        # WAIT counts from the last write on its connection, and a redelivery writes nothing.
        write = ("SET", self._keys.flag("confirmed"), "", "EX", CONFIRMED_SECONDS)
        wait = (*self._confirmation, round(self.timing.confirmation * 1000))
        reply, _, found = await self.run_each(calls, write, wait, retries=self._confirmed)
        wanted = self._confirmation[1:]
        found = found if isinstance(found, list) else [found]
        if any(have < int(want) for have, want in zip(found, wanted, strict=True)):
            raise StoreUnavailable("not confirmed by Redis's replica or disk")
        return reply

    async def _repaired(
        self,
        words: Sequence[str],
        call: Callable[["Redis"], Awaitable[T]],
        retries: Retries | None = None,
    ) -> T:
        """Make a call. If Redis finds a corrupt key, set that aside and repeat the call.

        Otherwise one foreign value under a shared key (`ready`, `interrupts`) would stop the whole
        deployment.
        """
        retries = retries or self._retries
        for _ in range(REPAIRS):
            try:
                return await retries.call(call)
            except ResponseError as error:
                if found := _CORRUPT.search(str(error)):
                    await self.set_aside(found[1])
                elif "WRONGTYPE" in str(error):
                    await self._set_aside_wrong_types(words)
                else:
                    raise
        return await retries.call(call)

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

    async def close(self) -> None:
        """Close all connections."""
        await self.topology.close()


def _words(commands: Iterable[RedisCommand]) -> list[str]:
    return [str(word) for command in commands for word in command]
