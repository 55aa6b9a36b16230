"""The one way to Redis: runs commands and scripts, and maps Redis's errors to ours."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from bot.errors import ConfigError, StoreUnavailable, Superseded

# Slack waits 3 seconds for its 200; a blocking read must end before SOCKET_TIMEOUT.
CONNECT_TIMEOUT = 2.0
SOCKET_TIMEOUT = 5.0
POOL_TIMEOUT = 5.0
# Heroku closes connections that were idle for 300 seconds.
HEALTH_CHECK_INTERVAL = 60

# Before version 7 the word of an error inside a script stands somewhere in the text.
_AWAY = re.compile(
    r"\b(OOM|READONLY|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|BUSY)\b"
)


class NoGroup(Exception):
    """The stream or its consumer group is gone: the data was lost."""


def open_redis(url: str, *, tls_verify: bool, connections: int) -> "Redis":
    """A client over a bounded pool; connects at the first command.

    A command is sent a second time only where the connection broke. All our scripts bear that: a
    second `deliver` is a redelivery, a second `settle` is refused.
    """
    options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": POOL_TIMEOUT,
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "health_check_interval": HEALTH_CHECK_INTERVAL,
        "decode_responses": True,
        "protocol": 2,
        "retry": Retry(ExponentialBackoff(cap=0.2, base=0.05), 1, (RedisConnectionError,)),
    }
    if not url.startswith("unix:"):
        options["socket_keepalive"] = True
    if url.startswith("rediss:") and not tls_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    try:
        pool = BlockingConnectionPool.from_url(url, **options)
    except ValueError:
        # The text of the error may hold a part of the password.
        raise ConfigError("REDIS_URL", "is not a valid address of a Redis server") from None
    return Redis.from_pool(pool)


class Link:
    """Runs commands and the scripts in `lua/`.

    Raises StoreUnavailable where Redis cannot be reached or takes no writes, and Superseded where
    a script refused a claim.
    """

    def __init__(self, redis: "Redis") -> None:
        self.redis = redis
        self._scripts: dict[str, AsyncScript] = {}

    async def execute(self, *command: str | int | float) -> Any:
        """Run one command."""
        with _mapped_errors():
            return await self.redis.execute_command(*command)  # type: ignore[no-untyped-call]

    async def run(self, script: str, keys: Sequence[str], *args: str | int | float) -> Any:
        """Run `lua/<script>.lua`."""
        with _mapped_errors():
            return await self._script(script)(keys=keys, args=args)

    async def run_many(
        self, script: str, calls: Sequence[tuple[Sequence[str], Sequence[str | int | float]]]
    ) -> list[Any]:
        """Run a script once for each pair of keys and arguments, in one round trip."""
        if not calls:
            return []
        with _mapped_errors():
            async with self.redis.pipeline(transaction=False) as pipeline:
                for keys, args in calls:
                    await self._script(script)(keys=keys, args=args, client=pipeline)
                return await pipeline.execute()

    async def execute_many(self, commands: Sequence[Sequence[str | int | float]]) -> list[Any]:
        """Run commands in one round trip."""
        with _mapped_errors():
            async with self.redis.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return await pipeline.execute()

    def _script(self, name: str) -> AsyncScript:
        if name not in self._scripts:
            self._scripts[name] = self.redis.register_script(_source(name))
        return self._scripts[name]

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()


@cache
def _source(script: str) -> str:
    folder = Path(__file__).parent / "lua"
    return (folder / "prelude.lua").read_text() + (folder / f"{script}.lua").read_text()


@contextmanager
def _mapped_errors() -> Iterator[None]:
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise StoreUnavailable(f"{type(error).__name__}: {error}") from error
    except ResponseError as error:
        raise _mapped(error) from error


def _mapped(error: RedisError) -> Exception:
    text = str(error)
    if text.startswith("SUPERSEDED"):
        return Superseded(text)
    if text.startswith(("NOGROUP", "UNBLOCKED", "no such key")):
        return NoGroup(text)
    # redis-py takes the first word off some errors and makes it their class.
    if _AWAY.search(text) or type(error) is not ResponseError:
        return StoreUnavailable(f"{type(error).__name__}: {error}")
    return error
