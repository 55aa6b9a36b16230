"""Which worker serves which shards of a server.

A worker process enters itself in the roster of each server, for the length of a lease. All of them
see the same list and derive the same shares from it, so they need not agree on anything. If their
views differ for a moment, a shard has more workers or fewer. That costs commands or time, never a
message, because a claim needs no share.
"""

import hashlib
from collections.abc import Collection, Sequence

from bot.store.connection import Connection

SERVED_BY = 2
"""Workers of each shard: when one dies or leaves, the other is there already."""


class Roster:
    """The worker processes that can reach a server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def check_in(self, worker: str, seconds: float) -> list[str]:
        """Be on the roster for `seconds`; returns all who are. Raises StoreUnavailable."""
        found: list[str] = await self._connection.run("roster", worker=worker, seconds=seconds)
        return found

    async def leave(self, worker: str) -> None:
        """Leave at once. Raises StoreUnavailable."""
        await self._connection.run("roster", worker=worker, seconds=0)


def share(worker: str, workers: Collection[str], shards: Sequence[int]) -> set[int]:
    """The shards that `worker` serves.

    Each shard has two workers, or more if there are more workers than needed, so that each worker
    has a shard. The numbers of shards of two workers differ by one at most.
    """
    load = dict.fromkeys(sorted({*workers, worker}), 0)
    each = min(len(load), max(SERVED_BY, -(-len(load) // len(shards))))
    mine = set()
    for shard in shards:
        ranked = sorted(load, key=lambda name: (load[name], _rank(name, shard)))
        for name in ranked[:each]:
            load[name] += 1
        if worker in ranked[:each]:
            mine.add(shard)
    return mine


def _rank(worker: str, shard: int) -> bytes:
    """A different order of the workers for each shard."""
    return hashlib.blake2b(f"{shard}|{worker}".encode(), digest_size=8).digest()
