"""The node of a Redis Cluster that owns the slot of our hash tag."""

from collections import Counter
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from bot.settings.addresses import Address, Host
from bot.store.topology import Clients, Located, majority

ASKED = 12
"""Nodes of a cluster that are asked who owns our slot, at most."""


class Cluster(Located):
    """The node of a Redis Cluster that owns the slot of our hash tag."""

    def __init__(
        self,
        address: Address,
        options: dict[str, Any],
        patience: float,
        slot: int,
        clients: Clients,
    ) -> None:
        super().__init__(address, options, patience, clients)
        self.slot = slot
        self._known = list(address.hosts)

    async def _locate(self) -> Host:
        """The owner that most nodes name: one that was cut off has an old map."""
        asks = [self._ask(host) for host in self._known[:ASKED]]
        answers = await majority(asks, self._patience, "no node of the cluster answers")
        nodes = dict.fromkeys(node for _, named in answers for node in named)
        self._known = list(dict.fromkeys([*nodes, *self._address.hosts]))
        owners = Counter(owner for owner, _ in answers if owner)
        if not owners:
            raise RedisConnectionError(f"no node of the cluster owns slot {self.slot}")
        return owners.most_common(1)[0][0]

    async def _ask(self, host: Host) -> tuple[Host | None, list[Host]]:
        """The owner of our slot, and all nodes, as one node sees them."""
        slots = await (await self.node(host)).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call]  # redis-py's gap
        owner, nodes = None, []
        for first, last, *servers in slots:
            # A node that does not know its own name leaves it out: then it is the one we asked.
            named = [(server[0] or host[0], int(server[1])) for server in servers]
            nodes += named
            if first <= self.slot <= last:
                owner = named[0]
        return owner, nodes
