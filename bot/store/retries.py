"""Calls of Redis that survive broken connections, fail-overs and moved keys.

Maps Redis's errors to ours.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bot.errors import StoreUnavailable, Superseded
from bot.store.limits import CallLimits
from bot.store.topology import Topology
from bot.telemetry import metrics
from bot.timing import StoreTiming

T = TypeVar("T")

Admit = Callable[[], Awaitable[None]]
"""Raises StoreUnavailable while the keys must not be used."""

# Owners of a slot that one call may be sent to, one after another.
REDIRECTS = 5
# Between attempts while a slot is being moved.
PAUSE = 0.05

# Before version 7 the code of an error raised in a script can be anywhere in the text.
_AWAY = re.compile(
    r"\b(OOM|READONLY|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|BUSY)\b"
    # Of a server that was set up differently: no such database, or commands that it does not have.
    r"|DB index is out of range|unknown command|Unknown Redis command"
    # Of a server that wants a password by now, about a command with many words.
    r"|unauthenticated (?:multi)?bulk length"
)


class NoGroup(Exception):
    """The stream or its consumer group is gone: the data was lost."""


class Retries:
    """Makes calls of the server that holds our keys, and repeats those that may succeed then."""

    def __init__(
        self, topology: Topology, limits: CallLimits, timing: StoreTiming, admit: Admit | None
    ) -> None:
        self._topology = topology
        self._limits = limits
        self._timing = timing
        self._admit = admit

    async def call(self, call: Callable[["Redis"], Awaitable[T]]) -> T:
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
            await self._topology.lead_to((error.host, error.port))
        elif isinstance(error, AskError | TryAgainError):
            reason, most, pause = "moving", round(self._timing.slot_patience / PAUSE), PAUSE
        elif isinstance(error, RedisConnectionError) or _is_demoted(error):
            reason, most, pause = "broken", 1, self._timing.retry_delay
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
            async with asyncio.timeout(self._timing.call_timeout):
                return await call(client)
        except ResponseError as error:
            if _is_demoted(error) or isinstance(error, ClusterDownError):
                self._topology.suspect(client)
            raise
        except (RedisConnectionError, RedisTimeoutError, OSError):
            self._topology.suspect(client)
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
        async with asyncio.timeout(self._timing.queue_timeout):
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
        async with asyncio.timeout(self._timing.call_timeout):
            return await self._topology.find()


def _is_demoted(error: Exception) -> bool:
    """Whether a server refuses writes because it is a replica now."""
    return isinstance(error, ReadOnlyError) or "READONLY" in str(error)


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
