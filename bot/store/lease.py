"""A lease: work that one process does at a time, all over the deployment."""

from bot.store.connection import Connection
from bot.store.keys import Keys


class Leases:
    """Leases by name."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def take(self, name: str, owner: str, seconds: float) -> bool:
        """Take a free lease, or extend one's own; False while another process has it."""
        return await self._set(name, owner, int(seconds * 1000))

    async def give_back(self, name: str, owner: str) -> None:
        """End one's own lease."""
        await self._set(name, owner, 0)

    async def _set(self, name: str, owner: str, ms: int) -> bool:
        keys = {"lease": self._keys.lease(name)}
        return bool(await self._connection.run("lease", keys=keys, owner=owner, ms=ms))
