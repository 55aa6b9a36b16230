"""The store on a Redis Cluster and on a primary with Sentinels."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import redis

from bot.errors import ConfigError, StoreUnavailable
from bot.settings.addresses import Address, Host
from bot.store import Store, open_store
from bot.store.topology import DiscoveredServer
from bot.timing import StoreTiming
from tests.ops.servers import run_tls_redis
from tests.redis_topologies import (
    PRIMARY,
    SLOTS,
    RedisCluster,
    SentinelGroup,
    run_node,
    run_sentinel,
)
from tests.store.builders import deliver, message, stamps, take_all, take_one, thread
from tests.world import wait_until

PREFIX = "on-many"
KEY = f"{{{PREFIX}}}:"
QUICK = StoreTiming(slot_patience=0.1)


@asynccontextmanager
async def opened(url: str, timing: StoreTiming = StoreTiming()) -> AsyncIterator[Store]:
    """A store at an address; its keys are deleted afterwards."""
    async with open_store(url, prefix=PREFIX, timing=timing) as store:
        yield store
        keys = [key async for key in store.redis.scan_iter(match=f"{KEY}*", count=1000)]
        if keys:
            await store.redis.delete(*keys)


def port_of(store: Store) -> int | None:
    """The port of the server that the store uses; None while it looks for it."""
    try:
        return int(store.redis.connection_pool.connection_kwargs["port"])
    except redis.ConnectionError:
        return None


class Searched(DiscoveredServer):
    """A server that is found where nothing listens, or not at all."""

    def __init__(self, *, found: bool) -> None:
        super().__init__(Address("cluster", tls=False), {"max_connections": 1}, 1.0)
        self._is_found = found
        self.looks = 0

    async def _locate(self) -> Host:
        self.looks += 1
        await asyncio.sleep(0)
        if not self._is_found:
            raise redis.ConnectionError("no one names it")
        return "127.0.0.1", 1


@pytest.mark.parametrize("found", [True, False])
async def test_callers_that_wait_for_a_look_share_its_outcome(found: bool) -> None:
    """They fail one after another on a server that is down; each would look again."""
    topology = Searched(found=found)

    async def call() -> None:
        client = await topology.find()
        topology.suspect(client)

    for looks in (1, 2):
        outcomes = await asyncio.gather(*(call() for _ in range(10)), return_exceptions=True)
        assert {type(each) for each in outcomes} == {type(None) if found else redis.ConnectionError}
        assert topology.looks == looks
    await topology.close()


async def test_a_store_follows_its_slot_to_another_node(redis_cluster: RedisCluster) -> None:
    home, other = redis_cluster.owner(KEY), redis_cluster.nodes[1]
    async with opened(redis_cluster.url) as store:
        await deliver(store, "1.0")
        await take_all(store)
        waiting = asyncio.create_task(store.inbox.read_ready("anna", 1, 4))
        try:
            await asyncio.to_thread(redis_cluster.move_slot, KEY, other)
            await deliver(store, "2.0", of=thread("2.0"))
            assert port_of(store) == other.port
            [entry] = await waiting
            assert entry.thread == thread("2.0")
        finally:
            await asyncio.to_thread(redis_cluster.move_slot, KEY, home)
        assert (await store.inbox.depth()).claimed == 2
        assert port_of(store) == home.port


async def test_keys_are_found_on_both_nodes_while_their_slot_moves(
    redis_cluster: RedisCluster,
) -> None:
    home, other = redis_cluster.owner(KEY), redis_cluster.nodes[1]
    async with opened(redis_cluster.url, QUICK) as store:
        await store.flags.note("moved", "1", 60)
        await store.flags.note("left", "2", 60)
        with redis_cluster.moving_slot(KEY, other) as move:
            move.keys(store.keys.flag("moved"))
            assert [await store.flags.read(name) for name in ("moved", "left", "none")] == [
                "1",
                "2",
                None,
            ]
            other.call("SCRIPT", "FLUSH")
            assert await store.leases.take("new", "anna", 60), "a script runs where its key will be"
            assert not await store.leases.take("new", "bert", 60)
        await asyncio.to_thread(redis_cluster.move_slot, KEY, home)
        assert not await store.leases.take("new", "bert", 60)


async def test_only_a_failure_of_the_server_makes_calls_look_for_it_again(
    redis_cluster: RedisCluster,
) -> None:
    async with opened(redis_cluster.url, StoreTiming(call_timeout=1.5)) as store:
        await deliver(store, "1.0")
        reading = asyncio.create_task(store.inbox.read_ready("anna", 1, 4))
        await asyncio.sleep(0.05)
        reading.cancel()
        await asyncio.wait([reading])
        assert port_of(store) is not None
        owner = redis_cluster.owner(KEY)
        owner.server.freeze()
        try:
            with pytest.raises(StoreUnavailable):
                await store.ping()
        finally:
            owner.server.thaw()
        assert port_of(store) is None
        await store.ping()


async def test_a_script_waits_until_its_keys_are_on_one_node(redis_cluster: RedisCluster) -> None:
    home, other = redis_cluster.owner(KEY), redis_cluster.nodes[1]
    async with opened(redis_cluster.url) as store:
        await deliver(store, "1.0")
        with redis_cluster.moving_slot(KEY, other) as move:
            move.keys(store.keys.inbox(thread()))
            delivering = asyncio.create_task(store.inbox.deliver(message("2.0")))
            await asyncio.sleep(0.1)
            assert not delivering.done()
        assert (await delivering).new
        await asyncio.to_thread(redis_cluster.move_slot, KEY, home)
        assert stamps(await take_one(store)) == ["1.0", "2.0"]


async def test_a_script_that_waits_too_long_for_its_keys_is_refused(
    redis_cluster: RedisCluster,
) -> None:
    home, other = redis_cluster.owner(KEY), redis_cluster.nodes[1]
    async with opened(redis_cluster.url, QUICK) as store:
        await deliver(store, "1.0")
        with redis_cluster.moving_slot(KEY, other) as move:
            move.keys(store.keys.inbox(thread()))
            with pytest.raises(StoreUnavailable):
                await store.inbox.deliver(message("2.0"))
        await asyncio.to_thread(redis_cluster.move_slot, KEY, home)
        assert stamps(await take_one(store)) == ["1.0"]


async def test_one_node_of_a_cluster_is_no_address(redis_cluster: RedisCluster) -> None:
    async with open_store(f"redis://{redis_cluster.nodes[1].address}", prefix=PREFIX) as store:
        with pytest.raises(StoreUnavailable, match="must begin with redis\\+cluster://"):
            await deliver(store, "1.0")


async def test_any_node_leads_to_the_others(redis_cluster: RedisCluster) -> None:
    """The address names a replica, and a server that is not there."""
    url = f"redis+cluster://127.0.0.1:1,{redis_cluster.nodes[3].address}"
    async with opened(url) as store:
        await deliver(store, "1.0")
        assert port_of(store) == redis_cluster.owner(KEY).port


@pytest.mark.parametrize("prefix", ["", "}x"])
async def test_a_prefix_that_is_no_hash_tag_is_refused_in_a_cluster(prefix: str) -> None:
    with pytest.raises(ConfigError, match="BOT_REDIS_PREFIX"):
        async with open_store("redis+cluster://127.0.0.1:1", prefix=prefix):
            pass


async def test_a_demoted_primary_is_left_for_the_new_one(sentinels: SentinelGroup) -> None:
    async with opened(sentinels.url) as store:
        await deliver(store, "1.0")
        old = sentinels.owner()
        with redis.Redis(port=sentinels.sentinels[0]) as sentinel:
            sentinel.sentinel_failover(PRIMARY)
        async with asyncio.timeout(60):
            while port_of(store) in (old.port, None):
                with suppress(StoreUnavailable):
                    await store.inbox.state(thread())  # a replica would answer it, too
                await asyncio.sleep(0.02)
        await deliver(store, "2.0")
        assert stamps(await take_one(store)) == ["1.0", "2.0"]


async def test_sentinels_and_servers_have_passwords_of_their_own() -> None:
    with run_node() as node, run_sentinel(node.port, "requirepass of-sentinel") as port:
        node.call("CONFIG", "SET", "requirepass", "of-server")

        def url(server: str, sentinel: str, primary: str = PRIMARY) -> str:
            return f"redis+sentinel://:{server}@127.0.0.1:{port}/{primary}?sentinel_password={sentinel}"

        async with opened(url("of-server", "of-sentinel")) as store:
            await deliver(store, "1.0")
        refused = {
            url("of-server", "wrong"): "no Sentinel answers: AuthenticationError",
            url("of-server", ""): "no Sentinel answers: AuthenticationError",
            url("wrong", "of-sentinel"): "AuthenticationError",
            url("of-server", "of-sentinel", "other"): "No such master with that name",
        }
        for wrong, reason in refused.items():
            async with open_store(wrong) as store:
                with pytest.raises(StoreUnavailable, match=reason) as error:
                    await store.ping()
                assert "of-se" not in str(error.value)


async def test_connections_to_a_cluster_and_to_a_primary_are_encrypted(tmp_path: Path) -> None:
    """Sentinels with and without TLS."""
    options = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--dir", str(tmp_path))
    with run_tls_redis(tmp_path, *options) as port, run_sentinel(port) as sentinel:
        with redis.Redis(port=port, ssl=True, ssl_cert_reqs="none") as client:
            client.execute_command("CLUSTER", "ADDSLOTS", *range(SLOTS))
            await wait_until(partial(_is_usable, client))
        for url in (
            f"rediss+cluster://127.0.0.1:{port}",
            f"rediss+sentinel://127.0.0.1:{sentinel}/{PRIMARY}?sentinel_tls=no",
        ):
            async with open_store(url, prefix=PREFIX, tls_verify=False) as store:
                assert (await store.inbox.deliver(message("1.0"))).waiting == 1
            async with open_store(url, prefix=PREFIX) as store:
                with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                    await store.ping()


async def _is_usable(client: redis.Redis) -> bool:
    return b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")  # type: ignore[no-untyped-call]  # redis-py's gap
