"""The Socket Mode connections of a deployment; each is registered with an expiry."""

import time

from bot.store.connection import Connection
from bot.store.keys import Keys

ALIVE_SECONDS = 60


class Sockets:
    """Names of connections, over all processes."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._key = keys.sockets

    async def keep(self, name: str) -> int:
        """Register a connection for another minute; returns the number of registered ones."""
        now = time.time()
        *_, count = await self._connection.execute_many(
            [
                ("ZADD", self._key, now + ALIVE_SECONDS, name),
                ("ZREMRANGEBYSCORE", self._key, "-inf", now),
                ("EXPIRE", self._key, ALIVE_SECONDS),
                ("ZCARD", self._key),
            ]
        )
        return int(count)

    async def drop(self, name: str) -> None:
        """Remove a connection."""
        await self._connection.execute("ZREM", self._key, name)
