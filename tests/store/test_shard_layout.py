"""Who serves a shard, and what refuses another layout."""

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from redis.crc import key_slot

from bot.errors import ConfigError, StoreUnavailable
from bot.process.serving import Group
from bot.process.work_part import Common
from bot.settings.addresses import Address
from bot.store import Store, open_store
from bot.store.keys import Keys
from bot.store.layout import Layout, WrongLayout
from bot.store.roster import share
from bot.store.shards import SLOTS, ShardGroup, Shards, open_shards, shard_of
from bot.timing import Timing, WorkerTiming
from tests.redis_server import RedisServer
from tests.redis_topologies import RedisCluster
from tests.store.many_shards import TEAMS, deliver_to_all, message_in, opened, settings


async def test_another_number_of_shards_is_refused(urls: str) -> None:
    async with opened(urls, 6) as shards:
        await deliver_to_all(shards)
    for number in (3, 64):
        async with opened(urls, number) as shards:
            with pytest.raises(ConfigError, match=rf"BOT_SHARDS: is {number}, .* set it to 6"):
                await shards.ping()
            with pytest.raises(WrongLayout):
                await shards.of("T1").inbox.deliver(message_in("T1", "2.0"))


async def test_one_shard_is_not_read_as_several_nor_several_as_one(
    own_server: RedisServer,
) -> None:
    async with open_store(own_server.url) as before:
        await before.inbox.deliver(message_in("T1"))
    async with opened(own_server.url, 4) as shards:
        with pytest.raises(ConfigError, match=r"is 4, .* is in 1"):
            await shards.ping()
    with own_server.client() as client:
        client.flushall()
    async with opened(own_server.url, 4) as shards:
        await shards.of("T1").inbox.deliver(message_in("T1"))
    async with opened(own_server.url, 1) as shards:
        with pytest.raises(ConfigError, match=r"is 1, .* is in 4"):
            await shards.ping()


async def test_another_order_of_the_servers_is_refused(
    urls: str, servers: list[RedisServer]
) -> None:
    async with opened(urls, 6) as shards:
        await deliver_to_all(shards)
    first, second, third = (server.url for server in servers)
    for order in (f"{second} {first} {third}", f"{first} {second}", f"{first} {third} {second}"):
        async with opened(order, 6) as shards:
            with pytest.raises(ConfigError, match="REDIS_URL: names as server"):
                await shards.ping()


async def test_two_addresses_of_one_server_are_refused(
    own_server: RedisServer, tmp_path: Path
) -> None:
    alias = tmp_path / "alias.sock"
    alias.symlink_to(own_server.socket)
    async with opened(f"{own_server.url} unix://{alias}", 4) as shards:
        with pytest.raises(ConfigError, match="REDIS_URL: names"):
            await shards.ping()


async def test_a_number_may_be_chosen_until_there_is_data(own_server: RedisServer) -> None:
    for number in (1, 64, 8):
        async with opened(own_server.url, number) as shards:
            await shards.ping()


async def test_a_server_that_was_down_is_checked_before_its_first_use(
    urls: str, servers: list[RedisServer]
) -> None:
    async with opened(urls, 6) as shards:
        await deliver_to_all(shards)
    servers[0].kill()
    try:
        async with opened(servers[0].url, 6) as shards:
            with pytest.raises(StoreUnavailable):
                await shards.ping()
            servers[0].start()
            with pytest.raises(WrongLayout):
                await shards.home.inbox.deliver(message_in("T1"))
    finally:
        servers[0].kill()  # it may run or not
        servers[0].start()


@pytest.mark.parametrize("note", ["garbage", "1 2", ""])
async def test_a_corrupt_note_is_written_again(own_server: RedisServer, note: str) -> None:
    with own_server.client() as client:
        client.set("{bot}:shards", note)
        async with opened(own_server.url, 2) as shards:
            await shards.ping()
        assert client.get("{bot}:shards") == "2 1/1"


# The shares


@pytest.mark.parametrize(
    ("workers", "shards"), [(1, 64), (2, 64), (3, 4), (20, 64), (20, 22), (20, 3), (7, 1)]
)
def test_shares_are_even_and_leave_no_shard_alone(workers: int, shards: int) -> None:
    names = [f"worker-{number}" for number in range(workers)]
    shares = {name: share(name, names, range(shards)) for name in names}
    sizes = [len(each) for each in shares.values()]
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) > 0
    served = [sum(shard in each for each in shares.values()) for shard in range(shards)]
    assert min(served) >= min(2, workers)
    assert sum(sizes) < 2 * shards + workers


def test_a_worker_is_on_its_own_roster() -> None:
    assert share("anna", [], range(3)) == {0, 1, 2}


async def test_a_worker_leaves_the_roster_or_expires(store: Store) -> None:
    assert await store.roster.check_in("anna", 60) == ["anna"]
    assert await store.roster.check_in("bert", 0.05) == ["bert", "anna"]
    await asyncio.sleep(0.06)
    assert await store.roster.check_in("anna", 60) == ["anna"]
    await store.roster.leave("anna")
    assert await store.roster.check_in("bert", 60) == ["bert"]


async def test_a_roster_that_hangs_does_not_make_a_worker_late_at_the_others(
    urls: str, servers: list[RedisServer]
) -> None:
    timing = Timing(worker=WorkerTiming(lifetime=4.0))
    common = cast(Common, SimpleNamespace(timing=timing))
    async with opened(urls, 3) as shards:
        await shards.ping()
        layout = shards.groups[0].layout
        rosters = ShardGroup(Address("cluster", tls=False), tuple(shards), layout)
        group = Group(common, rosters, "anna", lambda: None)
        servers[1].freeze()
        try:
            async with asyncio.timeout(timing.worker.lifetime):
                assert await group._check_in() == {"anna"}
        finally:
            servers[1].thaw()


async def test_a_node_that_hangs_or_is_down_stops_only_its_own_shards(
    redis_cluster: RedisCluster,
) -> None:
    """The note of the layout is on it, and the roster of its shards."""
    given = settings(redis_cluster.url, 3, bot_redis_prefix="hung")
    ids = {shard_of(team, 3): team for team in TEAMS}
    lost, moved = redis_cluster.nodes[1], ("{hung}:", "{hung:0}:")
    async with open_shards(given) as shards:
        for team in ids.values():
            await shards.of(team).inbox.deliver(message_in(team))
    home = redis_cluster.owner("{hung}:")
    for key in moved:
        await asyncio.to_thread(redis_cluster.move_slot, key, lost)

    async def use_others(shards: Shards) -> None:
        for number in (1, 2):
            store = list(shards)[number]
            assert not (await store.inbox.deliver(message_in(ids[number]))).new
            await store.workers.beat("anna", 60)
            assert await store.roster.check_in("anna", 60) == ["anna"]

    try:
        lost.server.freeze()
        async with open_shards(given) as shards:
            more = [message_in(ids[0], f"2.{number}") for number in range(20)]
            waiting = [asyncio.create_task(shards.home.inbox.deliver(each)) for each in more]
            await use_others(shards)
            assert not any(task.done() for task in waiting)
            lost.server.thaw()
            assert all(delivery.new for delivery in await asyncio.gather(*waiting))
        lost.server.kill()
        async with open_shards(given) as shards:
            await shards.ping()
            await use_others(shards)
            assert await shards.down() == [0]
    finally:
        redis_cluster.heal()
        for key in moved:
            await asyncio.to_thread(redis_cluster.move_slot, key, home)


async def test_a_copy_of_the_note_refuses_another_layout(redis_cluster: RedisCluster) -> None:
    async def deliver(number: int) -> None:
        given = settings(redis_cluster.url, number, bot_redis_prefix="noted")
        async with open_shards(given) as shards:
            await shards.home.inbox.deliver(message_in("T1"))

    await deliver(4)
    owner = redis_cluster.owner("{noted}:")
    assert owner.call("GET", "{noted:0}:shards") == "4 1/1"
    owner.call("DEL", "{noted}:shards")  # as if its node had lost its data
    with pytest.raises(WrongLayout, match=r"is 2, .* is in 4"):
        await deliver(2)
    owner.call("SET", "{noted:0}:shards", "garbage")
    await deliver(4)
    assert owner.call("GET", "{noted:0}:shards") == "4 1/1"


def test_the_rosters_of_a_cluster_are_far_apart() -> None:
    for prefix in ("bot", "other"):
        keys = [Keys(prefix).of_shard(number, 64) for number in range(64)]
        stores = tuple(cast(Store, SimpleNamespace(keys=each)) for each in keys)
        group = ShardGroup(Address("cluster", tls=False), stores, cast(Layout, None))
        slots = sorted(key_slot(store.keys.ready.encode()) for store in group.rosters)
        assert [slot * 3 // SLOTS for slot in slots] == [0, 1, 2]
