"""Which server holds our keys: the only one, the primary that Sentinels watch, or the node of a
cluster that owns our slot.

All keys of a shard have one hash tag, so they are in one slot and at any time on one server. A
`Topology` finds that server and the connection talks to it as to a plain one. It may therefore
pipeline scripts, wait for replicas on the connection of the write, and scan.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from redis.asyncio import ConnectionPool, Redis, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from bot.settings.addresses import Address, Host
from bot.telemetry.log import log
from bot.timing import StoreTiming

T = TypeVar("T")

ADDRESSES = 20
"""Servers that a client remembers."""
LOOKING = 2
"""Connections to a server beyond those for calls, to ask which server holds our keys."""

_UNKNOWN = "the server that holds our keys is not known yet"
_ONE_NODE = "REDIS_URL names one node of a cluster; it must begin with redis+cluster://"


class Topology(ABC):
    """The server that holds our keys, wherever it is."""

    @abstractmethod
    async def find(self) -> "Redis":
        """A client of the server. Raises redis-py's ConnectionError if it cannot be found."""

    @property
    @abstractmethod
    def current(self) -> "Redis":
        """The client that `find` returned last. Raises ConnectionError if there is none."""

    @abstractmethod
    def suspect(self, client: "Redis") -> None:
        """Note that this server failed or is no longer a primary: the next `find` looks again."""

    @abstractmethod
    async def lead_to(self, host: Host) -> None:
        """Note that, according to a node of the cluster, this one owns our slot."""

    @abstractmethod
    async def node(self, host: Host) -> "Redis":
        """A client of another node of the cluster."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""


class OneServer(Topology):
    """One server at a fixed address."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._redis = Redis.from_pool(pool)

    async def find(self) -> "Redis":
        return self._redis

    @property
    def current(self) -> "Redis":
        return self._redis

    def suspect(self, client: "Redis") -> None:
        """The address does not change."""

    async def lead_to(self, host: Host) -> None:
        raise RedisConnectionError(_ONE_NODE)

    async def node(self, host: Host) -> "Redis":
        raise RedisConnectionError(_ONE_NODE)

    async def close(self) -> None:
        await self._redis.aclose()


class Clients(dict[Host, "Redis"]):
    """The clients of servers by their address, and the topologies that share them."""

    def __init__(self) -> None:
        super().__init__()
        self.users: list[DiscoveredServer] = []

    def unused(self, by: "Redis") -> list[Host]:
        """The servers other than this one that no topology uses now."""
        used = {user.host for user in self.users}
        return [host for host, each in self.items() if each is not by and host not in used]


class DiscoveredServer(Topology):
    """A server whose address has to be asked for, and changes."""

    _breaks_off = False
    """Whether calls that are under way on the previous server end with an error."""

    def __init__(
        self,
        address: Address,
        options: dict[str, Any],
        patience: float,
        clients: Clients | None = None,
    ) -> None:
        self._address = address
        self._options = options
        self._patience = patience
        self._clients = Clients() if clients is None else clients
        self._clients.users.append(self)
        self._current: Redis | None = None
        self.host: Host | None = None
        """The last one that was found."""
        self._looking = asyncio.Lock()
        self._looks = 0
        self._failure: RedisConnectionError | None = None

    @abstractmethod
    async def _locate(self) -> Host:
        """Ask where the server is. Raises ConnectionError."""

    async def find(self) -> "Redis":
        """The client of the server; looks for it if it is not known. Raises ConnectionError."""
        if self._current is not None:
            return self._current
        looks = self._looks
        async with self._looking:
            if self._current is None and self._looks == looks:
                await self._look()
            elif self._current is None and self._failure is not None:
                raise self._failure.with_traceback(None)
        # Another caller may have failed there meanwhile; this one has not tried yet.
        return self._current or await self._found()

    async def _look(self) -> None:
        """Look for the server; callers that wait meanwhile share the outcome. Each would look again
        otherwise, for as long as the answer is a server that is down."""
        failure: RedisConnectionError | None = None
        try:
            await self.lead_to(await self._locate())
        except RedisConnectionError as error:
            failure = error
        self._failure = failure
        self._looks += 1  # not after a cancellation: that has no outcome
        if failure is not None:
            raise failure

    async def _found(self) -> "Redis":
        if self.host is None:
            raise RedisConnectionError(_UNKNOWN)
        return await self.node(self.host)

    @property
    def current(self) -> "Redis":
        """The client of the server found last. Raises ConnectionError if there is none."""
        if self._current is None:
            raise RedisConnectionError(_UNKNOWN)
        return self._current

    def suspect(self, client: "Redis") -> None:
        """Look for the server before the next call: this client has failed."""
        if client is self._current:
            self._current = None

    async def lead_to(self, host: Host) -> None:
        """Use the server at this address from now on."""
        client = await self.node(host)
        if self.host not in (None, host):
            log.warning("redis_server_changed", host=host[0], port=host[1])
        self.host = host
        if client is not self._current:
            self._current = client
            for other in self._clients.unused(client):
                await self._close_idle(other)

    async def _close_idle(self, host: Host) -> None:
        """Close the idle connections to another server. If addresses keep changing, as in
        Kubernetes, the oldest are forgotten."""
        await self._clients[host].connection_pool.disconnect(inuse_connections=self._breaks_off)
        if len(self._clients) > ADDRESSES:
            await self._clients.pop(host).aclose()

    async def node(self, host: Host) -> "Redis":
        """The client of a server; the same one for each call."""
        if host not in self._clients:
            options = self._options | {
                "username": self._address.username,
                "password": self._address.password,
                "db": self._address.db,
            }
            self._clients[host] = _client(host, self._address.tls, options)
        return self._clients[host]

    async def close(self) -> None:
        """Close the connections to all servers."""
        for client in self._clients.values():
            await client.aclose()


class Sentinels(DiscoveredServer):
    """The primary that a group of Sentinels watches.

    For eight seconds after a failover, the Sentinels leave a previous primary that is still running
    as it is: it takes writes, and loses them later. So they are asked again every second.
    """

    _breaks_off = True

    def __init__(self, address: Address, options: dict[str, Any], timing: StoreTiming) -> None:
        super().__init__(address, options, timing.connect_timeout)
        self.primary = address.primary
        self._check_every = timing.primary_check
        self._check_at = 0.0
        self._checking: asyncio.Task[None] | None = None
        own = options | {
            "username": address.sentinel_username,
            "password": address.sentinel_password,
        }
        self.sentinels = {host: _client(host, address.sentinel_tls, own) for host in address.hosts}

    async def find(self) -> "Redis":
        now = asyncio.get_running_loop().time()
        if self._current is None:
            self._check_at = now + self._check_every
        elif now >= self._check_at and (not self._checking or self._checking.done()):
            self._check_at = now + self._check_every
            self._checking = asyncio.create_task(self._check())
        return await super().find()

    async def _check(self) -> None:
        with suppress(RedisConnectionError):
            await self.lead_to(await self._locate())

    async def _locate(self) -> Host:
        """The address with the highest epoch among the answers of a majority: after a failover
        some Sentinels learn later than others."""
        asks = [self._ask(sentinel) for sentinel in self.sentinels.values()]
        _, host = max(await majority(asks, self._patience, "no Sentinel answers"))
        if await self._is_replica(host):
            raise RedisConnectionError("the server that the Sentinels name is no primary (yet)")
        return host

    async def _is_replica(self, host: Host) -> bool:
        """Whether a server says so: it would answer reads, with old data."""
        try:
            role = await (await self.node(host)).execute_command("ROLE")  # type: ignore[no-untyped-call]  # redis-py's gap
        except ResponseError:  # the command is forbidden
            return False
        return bool(role[0] != "master")

    async def _ask(self, sentinel: "Redis") -> tuple[int, Host]:
        state = await sentinel.execute_command("SENTINEL MASTER", self.primary)  # type: ignore[no-untyped-call]  # redis-py's gap
        return int(state["config-epoch"]), (state["ip"], int(state["port"]))

    async def close(self) -> None:
        if self._checking:
            self._checking.cancel()
            await asyncio.wait([self._checking])
        await super().close()
        for sentinel in self.sentinels.values():
            await sentinel.aclose()


def _client(host: Host, tls: bool, options: dict[str, Any]) -> "Redis":
    options = options | {"max_connections": options["max_connections"] + LOOKING}
    given = {name: value for name, value in options.items() if tls or not name.startswith("ssl_")}
    if tls:
        given["connection_class"] = SSLConnection
    pool = ConnectionPool(host=host[0], port=host[1], socket_keepalive=True, **given)
    return Redis.from_pool(pool)


async def majority(asks: Iterable[Awaitable[T]], seconds: float, refusal: str) -> list[T]:
    """The answers of the first majority, or of all who answer within `seconds`.

    Raises ConnectionError with `refusal` if none does.
    """
    tasks = [asyncio.ensure_future(ask) for ask in asks]
    answers: list[T] = []
    reason = ""
    try:
        async with asyncio.timeout(seconds):
            for next_one in asyncio.as_completed(tasks):
                try:
                    answers.append(await next_one)
                except (RedisError, OSError, KeyError, ValueError) as error:
                    reason = f": {type(error).__name__}: {error}"
                if len(answers) > len(tasks) // 2:
                    break
    except TimeoutError:
        pass
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if not answers:
        raise RedisConnectionError(refusal + reason)
    return answers
