"""The connections of this process to an address of `REDIS_URL`, shared by all shards there."""

from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot

from bot.errors import ConfigError
from bot.settings.addresses import Address, parse_address
from bot.store.cluster import Cluster, SlotMap
from bot.store.connection import Confirm, Connection
from bot.store.keys import Keys
from bot.store.limits import CallLimits
from bot.store.pipelining import Pipelines
from bot.store.retries import Admit
from bot.store.topology import Clients, OneServer, Sentinels, Topology
from bot.timing import StoreTiming

CALLS_A_CONNECTION = 8
"""Calls that are under way for each connection, before others wait: see `pipelining`."""


class Server:
    """The connections of this process to one address, which all shards there share.

    At most `connections` are opened to each server for calls, on demand. The pool checks a
    connection before lending it, so that one closed by the server (Heroku: after 300 idle seconds)
    is reopened. redis-py's own retries and health checks are off: they trigger each other endlessly
    when a server refuses new connections. Raises ConfigError if `url` cannot be read.
    """

    def __init__(
        self,
        url: str,
        *,
        tls_verify: bool,
        connections: int,
        timing: StoreTiming = StoreTiming(),
        confirm: Confirm = "",
    ) -> None:
        self._topologies = Topologies(
            url, tls_verify=tls_verify, connections=connections, timing=timing
        )
        self._limits = CallLimits(connections * CALLS_A_CONNECTION)
        self._confirmed = CallLimits(connections)  # each has a connection for itself
        self._pipelines = Pipelines(connections)
        self._timing = timing
        self._confirm = confirm

    @property
    def address(self) -> Address:
        return self._topologies.address

    def connect(self, keys: Keys, admit: Admit | None = None) -> "Connection":
        """The access to some keys. `admit` is awaited before each call."""
        topology = self._topologies.of(keys.name(""))
        return Connection(
            *(topology, keys, self._limits, self._confirmed, self._pipelines, self._timing),
            self._confirm,
            admit,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._topologies.close()


def open_connection(
    url: str, keys: Keys, *, tls_verify: bool, connections: int, timing: StoreTiming = StoreTiming()
) -> "Connection":
    """A connection that shares nothing, to be closed. Raises ConfigError if `url` cannot be
    read."""
    return Server(url, tls_verify=tls_verify, connections=connections, timing=timing).connect(keys)


class Topologies:
    """The topology of each hash tag at one address; they share connections, `connections` at most
    to a server.

    Raises ConfigError if `url` cannot be read.
    """

    def __init__(self, url: str, *, tls_verify: bool, connections: int, timing: StoreTiming):
        self._options: dict[str, Any] = {
            "max_connections": connections,
            "socket_timeout": None,
            "socket_connect_timeout": timing.connect_timeout,
            "health_check_interval": 0,
            "decode_responses": True,
            "protocol": 2,
            "retry": Retry(NoBackoff(), 0),
        }
        if not tls_verify:
            self._options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
        self._timing = timing
        self._clients = Clients()
        self._slots: SlotMap | None = None
        self._topologies: dict[int, Topology] = {}
        try:
            self.address = parse_address(url)
            if self.address.kind == "server":
                self._topologies[0] = OneServer(_pool_of_url(self.address, self._options))
        except ValueError:
            # The text of redis-py's error may contain part of the password.
            raise ConfigError("REDIS_URL", "is not a valid address of a Redis server") from None

    def of(self, key: str) -> Topology:
        """The topology that leads to a key. Raises ConfigError for a key without a hash tag."""
        slot = 0
        if self.address.kind == "cluster":
            if key.startswith("{}"):
                problem = "must not be empty or begin with }: it is a hash tag"
                raise ConfigError("BOT_REDIS_PREFIX", problem)
            slot = key_slot(key.encode())
        if slot not in self._topologies:
            self._topologies[slot] = self._open(slot)
        return self._topologies[slot]

    def _open(self, slot: int) -> Topology:
        if self.address.kind == "sentinel":
            return Sentinels(self.address, self._options, self._timing)
        patience = self._timing.connect_timeout
        if self._slots is None:
            self._slots = SlotMap(self.address.hosts, patience)
        return Cluster(self.address, self._options, patience, slot, self._clients, self._slots)

    async def close(self) -> None:
        """Close all connections."""
        for topology in self._topologies.values():
            await topology.close()


def _pool_of_url(address: Address, options: dict[str, Any]) -> ConnectionPool:
    kept = {name: value for name, value in options.items() if not name.startswith("ssl_")}
    if not address.url.startswith("unix:"):
        kept["socket_keepalive"] = True
    return ConnectionPool.from_url(address.url, **(options if address.tls else kept))
