"""The nodes of a Redis Cluster, and which of them owns the slot of a hash tag."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from bot.settings.addresses import Address, Host
from bot.store.topology import Clients, DiscoveredServer, majority

ASKED = 12
"""Nodes of a cluster that are asked who owns our slot, at most."""

Ranges = list[tuple[int, int, Host]]
"""The first and the last slot, and their owner."""


class SlotMap:
    """The owners of the slots, according to the nodes.

    The shards of a process share one map: after a failover all of them ask at the same time.
    """

    def __init__(self, hosts: tuple[Host, ...], patience: float) -> None:
        self._hosts = hosts
        self._known = list(hosts)
        self._patience = patience
        self._look: asyncio.Task[list[Ranges] | RedisConnectionError] | None = None

    async def owner(self, slot: int, client: Callable[[Host], Awaitable["Redis"]]) -> Host:
        """The owner that most nodes name: one that was cut off has an old map. Raises
        ConnectionError.

        `client` makes a client of a node.
        """
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._ask_all(client))
        answers = await asyncio.shield(self._look)
        if isinstance(answers, RedisConnectionError):
            raise answers.with_traceback(None)
        named = [
            next((owner for first, last, owner in ranges if first <= slot <= last), None)
            for ranges in answers
        ]
        owners = Counter(owner for owner in named if owner)
        if not owners:
            raise RedisConnectionError(f"no node of the cluster owns slot {slot}")
        return owners.most_common(1)[0][0]

    async def _ask_all(
        self, client: Callable[[Host], Awaitable["Redis"]]
    ) -> list[Ranges] | RedisConnectionError:
        """The answer of a majority, or the reason why there is none."""
        asks = [self._ask(host, client) for host in self._known[:ASKED]]
        try:
            answers = await majority(asks, self._patience, "no node of the cluster answers")
        except RedisConnectionError as error:
            return error
        nodes = dict.fromkeys(node for _, named in answers for node in named)
        self._known = list(dict.fromkeys([*nodes, *self._hosts]))
        return [ranges for ranges, _ in answers]

    async def _ask(
        self, host: Host, client: Callable[[Host], Awaitable["Redis"]]
    ) -> tuple[Ranges, list[Host]]:
        """The owners of all slots, and all nodes, as one node sees them."""
        slots: list[Any] = await (await client(host)).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]  # redis-py's gap
        ranges, nodes = [], []
        for first, last, *servers in slots:
            # A node that does not know its own name leaves it out: then it is the one we asked.
            named = [(server[0] or host[0], int(server[1])) for server in servers]
            nodes += named
            ranges.append((first, last, named[0]))
        return ranges, nodes

    async def close(self) -> None:
        """Cancel a look-up that is under way."""
        if self._look is not None:
            self._look.cancel()
            await asyncio.wait([self._look])


class Cluster(DiscoveredServer):
    """The node of a Redis Cluster that owns the slot of our hash tag."""

    def __init__(
        self,
        address: Address,
        options: dict[str, Any],
        patience: float,
        slot: int,
        clients: Clients,
        slots: SlotMap,
    ) -> None:
        super().__init__(address, options, patience, clients)
        self.slot = slot
        self._slots = slots

    async def _locate(self) -> Host:
        return await self._slots.owner(self.slot, self.node)

    async def close(self) -> None:
        await self._slots.close()
        await super().close()
