"""A real Redis Cluster and a real primary with Sentinels, on loopback, for tests."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import redis
from redis.crc import key_slot

from bot.store.server import find_executable, guarded
from tests.ports import free_port
from tests.redis_server import START_SECONDS, RedisServer

SLOTS = 16384
NODE_TIMEOUT_MS = 1000
"""After so long the others take a node of the cluster, or the primary, for dead."""
PRIMARY = "orders"
REPLICAS = 2
"""So that writes are confirmed while the server that was killed is away."""
MOVED_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class Node:
    """One server with a TCP port."""

    server: RedisServer
    port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def call(self, *command: object) -> Any:
        """Run one command on this node."""
        with self.server.client() as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's gap

    @property
    def id(self) -> str:
        """The node's id in its cluster."""
        return str(self.call("CLUSTER", "MYID"))


@dataclass(slots=True)
class RedisCluster:
    """Three primaries and two replicas of the first, which owns nearly all slots."""

    nodes: list[Node]

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(node.address for node in self.nodes)

    def owner(self, key: str) -> Node:
        """The node that owns a key's slot, as the majority of those that answer sees it."""
        slot, seen = key_slot(key.encode()), []
        for node in self.nodes:
            try:
                slots = node.call("CLUSTER", "SLOTS")
            except redis.RedisError:
                continue
            seen += [port for port, (first, last) in _owners(slots) if first <= slot <= last]
        port = max(set(seen), key=seen.count)
        return next(node for node in self.nodes if node.port == port)

    def move_slot(self, key: str, target: Node, *, pause: float = 0) -> None:
        """Move the slot of a key to another node, as `redis-cli --cluster reshard` does; with a
        pause in seconds when half of the keys have moved."""
        with self.moving_slot(key, target) as move:
            half = (keys := move.left())[: len(keys) // 2]
            move.keys(*half)
            time.sleep(pause)

    @contextmanager
    def moving_slot(self, key: str, target: Node) -> "Iterator[SlotMove]":
        """A slot that is being moved; at the end its other keys follow, and the target owns it."""
        move = SlotMove(key_slot(key.encode()), self.owner(key), target)
        move.begin()
        yield move
        while keys := move.left():
            move.keys(*keys)
        move.end([node for node in self.nodes if node.call("ROLE")[0] == "master"])

    def heal(self) -> None:
        """Start the nodes that were killed, and wait until the cluster is whole."""
        for node in self.nodes:
            if not _answers(node):
                node.server.start()
        wait_for(lambda: all(_is_whole(node, len(self.nodes)) for node in self.nodes))
        owner = self.owner("any")
        wait_for(lambda: owner.call("INFO", "replication")["connected_slaves"] == REPLICAS)


@dataclass(frozen=True, slots=True)
class SlotMove:
    """A slot on its way from one node to another."""

    slot: int
    source: Node
    target: Node

    def begin(self) -> None:
        self.target.call("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self.source.id)
        self.source.call("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self.target.id)

    def left(self) -> list[str]:
        """Some of the keys that are still on the source."""
        return list(self.source.call("CLUSTER", "GETKEYSINSLOT", self.slot, MOVED_AT_ONCE))

    def keys(self, *names: str) -> None:
        """Move some keys."""
        if names:
            to = ("127.0.0.1", self.target.port, "", 0, 5000)
            self.source.call("MIGRATE", *to, "KEYS", *names)

    def end(self, primaries: list[Node]) -> None:
        for node in (self.target, self.source, *primaries):
            node.call("CLUSTER", "SETSLOT", self.slot, "NODE", self.target.id)


def _owners(slots: list[Any]) -> list[tuple[int, tuple[int, int]]]:
    return [(int(owner[1]), (first, last)) for first, last, owner, *_ in slots]


def _answers(node: Node) -> bool:
    try:
        return bool(node.call("PING"))
    except redis.RedisError:
        return False


def _is_whole(node: Node, count: int) -> bool:
    flags = [line.split()[2] for line in node.call("CLUSTER", "NODES").splitlines()]
    return (
        "cluster_state:ok" in node.call("CLUSTER", "INFO")
        and len(flags) == count
        and not any("fail" in flag for flag in flags)
        and sum("slave" in flag for flag in flags) == REPLICAS
    )


@contextmanager
def run_cluster() -> Iterator[RedisCluster]:
    """A cluster, deleted at the end."""
    with ExitStack() as stack:
        options = (
            *("--cluster-enabled", "yes", "--cluster-node-timeout", str(NODE_TIMEOUT_MS)),
            *("--cluster-replica-validity-factor", "0", "--cluster-migration-barrier", "10"),
            *("--cluster-require-full-coverage", "no"),
        )
        nodes = [stack.enter_context(run_node(*options)) for _ in range(3 + REPLICAS)]
        ranges = ((0, SLOTS - 3), (SLOTS - 2, SLOTS - 2), (SLOTS - 1, SLOTS - 1))
        for epoch, (node, (first, last)) in enumerate(zip(nodes, ranges, strict=False), 1):
            node.call("CLUSTER", "ADDSLOTS", *range(first, last + 1))
            node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for node in nodes[1:]:
            nodes[0].call("CLUSTER", "MEET", "127.0.0.1", node.port)
        first_id = nodes[0].id
        for replica in nodes[3:]:
            wait_for(partial(_knows, replica, first_id))
            replica.call("CLUSTER", "REPLICATE", first_id)
        cluster = RedisCluster(nodes)
        cluster.heal()
        yield cluster


def _knows(node: Node, id: str) -> bool:
    return id in node.call("CLUSTER", "NODES")


@dataclass(slots=True)
class SentinelGroup:
    """A primary, its replicas and three Sentinels."""

    nodes: list[Node]
    sentinels: list[int]
    password: str = ""
    _processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.sentinels)
        return f"redis+sentinel://{hosts}/{PRIMARY}"

    def owner(self, key: str = "") -> Node:
        """The primary that the Sentinels name; it holds every key."""
        with redis.Redis(port=self.sentinels[0], decode_responses=True) as client:
            _, port = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY)
        return next(node for node in self.nodes if node.port == int(port))

    def heal(self) -> None:
        """Start the servers that were killed, and wait until the primary has its replicas.

        The Sentinels would make a server that comes back a replica after eight seconds.
        """
        for node in self.nodes:
            if not _answers(node):
                node.server.start()
            if node.call("ROLE")[0] == "master" and node.port != self.owner().port:
                node.call("REPLICAOF", "127.0.0.1", self.owner().port)
        wait_for(self._is_whole)

    def _is_whole(self) -> bool:
        info = self.owner().call("INFO", "replication")
        return bool(
            info["role"] == "master"
            and info["connected_slaves"] == REPLICAS
            and all(info[f"slave{number}"]["state"] == "online" for number in range(REPLICAS))
        )


@contextmanager
def run_sentinels() -> Iterator[SentinelGroup]:
    """A primary with a replica and Sentinels, deleted at the end."""
    with ExitStack() as stack:
        nodes = [stack.enter_context(run_node()) for _ in range(1 + REPLICAS)]
        for node in nodes[1:]:
            node.call("REPLICAOF", "127.0.0.1", nodes[0].port)
        ports = [stack.enter_context(run_sentinel(nodes[0].port)) for _ in range(3)]
        group = SentinelGroup(nodes, ports)
        group.heal()
        wait_for(lambda: all(_sees_all(port) for port in ports))
        yield group


def _sees_all(port: int) -> bool:
    try:
        with redis.Redis(port=port, decode_responses=True) as client:
            state: Any = client.sentinel_master(PRIMARY)
    except redis.RedisError:
        return False
    return bool(state["num-other-sentinels"] == 2 and state["num-slaves"] == REPLICAS)


def accepts(port: int) -> bool:
    """Whether a server listens on a port of loopback."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


@contextmanager
def run_sentinel(primary_port: int, *lines: str) -> Iterator[int]:
    """A Sentinel that watches a primary, with further lines of configuration; yields its port."""
    with TemporaryDirectory(prefix="sentinel-") as directory:
        port, config = free_port(), Path(directory) / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {directory}\n"
            f"sentinel monitor {PRIMARY} 127.0.0.1 {primary_port} 2\n"
            f"sentinel down-after-milliseconds {PRIMARY} {NODE_TIMEOUT_MS}\n"
            f"sentinel failover-timeout {PRIMARY} 4000\n" + "\n".join(lines)
        )
        process = subprocess.Popen(
            [*guarded(), find_executable(), str(config), "--sentinel"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for(lambda: accepts(port))
            yield port
        finally:
            assert process.stdin
            process.stdin.close()
            process.wait(START_SECONDS)


@contextmanager
def run_node(*options: str) -> Iterator[Node]:
    """A server with a port, deleted at the end."""
    with TemporaryDirectory(prefix="redis-", ignore_cleanup_errors=True) as directory:
        port = free_port()
        listening = (
            *("--port", str(port), "--bind", "127.0.0.1"),
            *("--appendfsync", "everysec", "--repl-diskless-sync-delay", "0"),
        )
        server = RedisServer(find_executable(), Path(directory), *listening, *options)
        server.start()
        try:
            yield Node(server, port)
        finally:
            server.kill()


def wait_for(condition: Callable[[], object], seconds: float = START_SECONDS) -> None:
    """Wait until a condition holds; raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the servers did not come together")
        time.sleep(0.02)
