"""Flags: something that may happen at most once in a period, over all processes."""

from bot.models import Thread
from bot.store.connection import Connection
from bot.store.keys import Keys

REFUSED = "refused"


def refusal_mark(thread: Thread, user_id: str, what: str = REFUSED) -> str:
    """The name of the flag that a person was informed of a refusal in a thread."""
    return f"{what}:{thread.key}:{user_id}"


class Flags:
    """Names that one owner holds for a time."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def is_free(self, name: str) -> bool:
        """Whether the flag is not set."""
        return not await self._connection.execute("EXISTS", self._keys.flag(name))

    async def take(self, name: str, owner: str, seconds: int) -> bool:
        """Set the flag if it is free; returns whether `owner` holds it, from this or an earlier
        call.

        Idempotent for the same owner, such as a resumed turn.
        """
        key = self._keys.flag(name)
        _, holder = await self._connection.execute_many(
            [("SET", key, owner, "NX", "EX", seconds), ("GET", key)]
        )
        return bool(holder == owner)

    async def note(self, name: str, value: str, seconds: int) -> None:
        """Store a value under a name for a time."""
        await self._connection.execute("SET", self._keys.flag(name), value, "EX", seconds)

    async def read(self, name: str) -> str | None:
        """The stored value, or None once it has expired."""
        found = await self._connection.execute("GET", self._keys.flag(name))
        return str(found) if found is not None else None
