"""`bot doctor` on Sentinels, clusters and replicas."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.checks import Finding
from tests.ops.deployments import examine_redis
from tests.redis_server import run_server
from tests.redis_topologies import (
    PRIMARY,
    RedisCluster,
    SentinelGroup,
    run_node,
    run_sentinel,
    wait_for,
)


async def examine(url: str, **given: Any) -> Finding:
    return (await examine_redis(url, **given))["redis topology"]


async def test_a_whole_sentinel_group_passes(sentinels: SentinelGroup) -> None:
    found = await examine_redis(sentinels.url)
    assert found["redis topology"].level == "ok"
    assert found["redis topology"].text == "3 of 3 Sentinels answer, 3 know each other; 2 replicas"
    assert "failed" not in {finding.level for finding in found.values()}


async def test_a_whole_cluster_passes(redis_cluster: RedisCluster) -> None:
    found = await examine_redis(redis_cluster.url, bot_redis_confirm="replica")
    assert found["redis topology"].level == "ok"
    assert found["redis topology"].text == "cluster of 5 nodes, 3 primaries; 2 replicas"
    assert "failed" not in {finding.level for finding in found.values()}


async def test_a_cluster_that_stops_as_a_whole_is_a_warning_with_shards(
    redis_cluster: RedisCluster,
) -> None:
    owner = redis_cluster.owner("{bot}:")
    owner.call("CONFIG", "SET", "cluster-require-full-coverage", "yes")
    try:
        assert (await examine(redis_cluster.url)).level == "ok"
        found = await examine(redis_cluster.url, bot_shards=2)
        assert (found.level, "full-coverage no" in found.fix) == ("warning", True)
    finally:
        owner.call("CONFIG", "SET", "cluster-require-full-coverage", "no")


@pytest.mark.parametrize(
    ("url", "reason", "fix"),
    [
        (lambda s, port: f"{s}/other", "No such master", "names no primary"),
        (lambda s, port: f"redis+sentinel://127.0.0.1:1/{PRIMARY}", "no Sentinel answers", "right"),
        (lambda s, port: "redis+cluster://127.0.0.1:1", "no node of the cluster", "run"),
        (lambda s, port: f"redis+cluster://127.0.0.1:{port}", "no node of the cluster", "part of"),
        (lambda s, port: s.replace("redis+", "rediss+") + f"/{PRIMARY}", "speaks no TLS", "begin"),
    ],
)
async def test_an_address_that_leads_nowhere_is_reported_with_its_fix(
    sentinels: SentinelGroup, url: Callable[[str, int], str], reason: str, fix: str
) -> None:
    given = url(sentinels.url.rpartition("/")[0], sentinels.owner().port)
    found = (await examine_redis(given))["redis"]
    assert found.level == "failed"
    assert reason in found.text
    assert fix in found.fix


async def test_a_single_sentinel_without_a_replica_is_a_warning() -> None:
    with run_node() as node, run_sentinel(node.port) as port:
        url = f"redis+sentinel://127.0.0.1:{port}/{PRIMARY}"
        assert "no majority survives" in (await examine(url)).text
        missing = await examine(url.replace("//", "//127.0.0.1:1,"))
        assert (missing.level, missing.text[:29]) == ("warning", "1 of 2 Sentinels answer, 1 kn")


async def test_one_node_of_a_cluster_is_a_warning(redis_cluster: RedisCluster) -> None:
    found = await examine(f"redis://{redis_cluster.owner('{bot}:').address}")
    assert found.level == "warning"
    assert "redis+cluster://" in found.fix
    foreign = (await examine_redis(f"redis://{redis_cluster.nodes[1].address}"))["redis writes"]
    assert foreign.level == "failed"


async def test_replicas_are_examined() -> None:
    """With the setting that needs one; and what is wrong with each counts after a failover."""
    with run_server() as primary:
        assert (await examine(primary.url)).text == "one server"
        missing = await examine(primary.url, bot_redis_confirm="replica")
        assert (missing.level, missing.text[:10]) == ("failed", "0 replicas")
        with run_server("", "--replicaof", "127.0.0.1", str(primary.listen())) as replica:
            with primary.client() as client:
                client.config_set("repl-diskless-sync-delay", 0)
                wait_for(lambda: client.info("replication")["connected_slaves"] == 1)
            assert (await examine(replica.url)).text.startswith("a replica")
            alone = await examine(primary.url, bot_redis_confirm="both")
            assert (alone.level, alone.text[:9]) == ("warning", "1 replica")


async def test_a_replica_that_evicts_is_reported(sentinels: SentinelGroup) -> None:
    replica = next(node for node in sentinels.nodes if node is not sentinels.owner())
    replica.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        found = await examine(sentinels.url)
    finally:
        replica.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert found.level == "warning"
    assert f"replica 127.0.0.1:{replica.port}: allkeys-lru" in found.text
