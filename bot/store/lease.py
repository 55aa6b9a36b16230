"""Leases: work that only one process of the deployment does at a time."""

from bot.store.connection import Connection
from bot.store.keys import Keys


class Leases:
    """Leases by name."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def take(self, name: str, owner: str, seconds: float) -> bool:
        """Take a free lease or extend our own; False while another process holds it."""
        return await self._set(name, owner, int(seconds * 1000))

    async def give_back(self, name: str, owner: str) -> None:
        """End our own lease."""
        await self._set(name, owner, 0)

    async def _set(self, name: str, owner: str, ms: int) -> bool:
        keys = {"lease": self._keys.lease(name)}
        return bool(await self._connection.run("lease", keys=keys, owner=owner, ms=ms))
