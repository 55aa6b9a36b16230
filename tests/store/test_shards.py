"""The shards: where a workspace lives, and what they share."""

import asyncio

import pytest

from bot import app, health
from bot.errors import RateLimited, RunFailed, StoreUnavailable
from bot.models import Thread
from bot.slack.answer.lazy_event import LazyEvent
from bot.store import Entry, open_store
from bot.store.layout import Layout
from bot.store.redelivery import ROOM
from bot.store.shards import open_shards, shard_of
from bot.timing import StoreTiming
from bot.turn.throttle import Throttle, rate_and_burst
from bot.worker.active import ActiveThread, ActiveThreads
from bot.worker.load import Load
from tests.redis_server import PATIENT, RedisServer
from tests.redis_topologies import RedisCluster
from tests.store.many_shards import TEAMS, answered, deliver_to_all, message_in, opened, settings


def test_a_workspace_never_changes_its_shard() -> None:
    assert [shard_of(id, 64) for id in ("T1", "T024BE7LD", "E1", "")] == [21, 26, 5, 0]
    assert shard_of("T1", 1) == 0


async def test_workspaces_with_the_same_ids_do_not_meet(urls: str) -> None:
    async with opened(urls, 5) as shards:
        for team in TEAMS:
            assert (await shards.of(team).inbox.deliver(message_in(team))).new
            assert not (await shards.of(team).inbox.deliver(message_in(team))).new
        found = {store.number: await answered(store) for store in shards}
        assert len([number for number, texts in found.items() if texts]) > 2
        for number, texts in found.items():
            assert texts == {team: [f"of {team}"] for team in TEAMS if shard_of(team, 5) == number}


async def test_the_keys_of_a_shard_are_on_its_server(urls: str, servers: list[RedisServer]) -> None:
    async with opened(urls, 5) as shards:
        await deliver_to_all(shards)
    for at, server in enumerate(servers):
        with server.client() as client:
            tags = {key.partition("}")[0] for key in client.scan_iter(count=1000)}
        assert tags <= {f"{{bot:{number}" for number in range(at, 5, 3)} | {"{bot"}


async def test_one_shard_has_the_keys_of_a_version_without_shards(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as before:
        await before.inbox.deliver(message_in("T1"))
        async with opened(own_server.url, 1) as shards:
            assert await answered(shards.of("T1")) == {"T1": ["of T1"]}


async def test_a_server_that_is_down_stops_its_own_shards_only(
    urls: str, servers: list[RedisServer]
) -> None:
    async with opened(urls, 6) as shards:
        await deliver_to_all(shards)
        servers[1].kill()
        try:
            assert await shards.down() == [1, 4]
            await shards.ping()
            with pytest.raises(StoreUnavailable, match="1, 4 of 6"):
                await shards.need_all()
            for team in TEAMS:
                store = shards.of(team)
                if store.number in (1, 4):
                    with pytest.raises(StoreUnavailable):
                        await store.inbox.deliver(message_in(team, "2.0"))
                else:
                    assert (await store.inbox.deliver(message_in(team, "2.0"))).new
        finally:
            servers[1].start()
        assert await shards.down() == []
        await deliver_to_all(shards, "2.0")  # Slack delivers again what was not acknowledged
        found = [await answered(store) for store in shards]
        texts = {team: len(each) for shard in found for team, each in shard.items()}
        assert texts == dict.fromkeys(TEAMS, 2)


async def test_a_server_that_hangs_leaves_the_process_ready(
    urls: str, servers: list[RedisServer]
) -> None:
    async with opened(urls, 6) as shards:
        await shards.ping()
        servers[1].freeze()
        try:
            assert await health._succeeds(app._pinged(shards)) == "shards 1, 4 are down"
        finally:
            servers[1].thaw()


async def test_calls_that_wait_for_a_server_that_hangs_fail_together(
    urls: str, servers: list[RedisServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[Layout] = []
    look = Layout._check

    async def counted(layout: Layout) -> None:
        looks.append(layout)
        await look(layout)

    monkeypatch.setattr(Layout, "_check", counted)
    async with open_shards(settings(urls, 6), StoreTiming(call_timeout=2.0)) as shards:
        store = list(shards)[1]
        servers[1].freeze()
        try:
            found = await asyncio.gather(*(store.ping() for _ in range(9)), return_exceptions=True)
        finally:
            servers[1].thaw()
        assert {type(each) for each in found} == {StoreUnavailable}
        assert len(looks) == 1
        await store.ping()
        assert len(looks) == 2


async def test_shards_spread_over_a_cluster(redis_cluster: RedisCluster) -> None:
    prefix = "spread"
    async with opened(redis_cluster.url, 8, bot_redis_prefix=prefix) as shards:
        await deliver_to_all(shards)
        nodes = {redis_cluster.owner(store.keys.ready).port for store in shards}
        ports = {store.redis.connection_pool.connection_kwargs["port"] for store in shards}
        assert ports == nodes
        found = [await answered(store) for store in shards]
        assert sum(map(len, found)) == len(TEAMS)
        for store in shards:
            pattern = f"{store.keys.name('')}*"
            names = [name async for name in store.redis.scan_iter(match=pattern)]
            if names:
                await store.redis.delete(*names)


async def test_a_corrupt_key_of_a_shard_is_set_aside(urls: str) -> None:
    async with opened(urls, 6) as shards:
        store = shards.of("T1")
        await store.redis.set(store.keys.ready, "corrupt")
        assert (await store.inbox.deliver(message_in("T1"))).new
        assert await answered(store) == {"T1": ["of T1"]}
        assert await store.redis.get(store.keys.name("corrupt", "ready")) == "corrupt"
        assert store.keys.set_aside(store.keys.ready) == f"{{bot:{store.number}}}:corrupt:ready"


# The limits of a deployment


async def test_the_limit_of_runs_is_over_all_shards(urls: str, servers: list[RedisServer]) -> None:
    given = settings(urls, 3, bot_runs_per_minute=30)
    async with open_shards(given) as shards:
        throttles = [Throttle(store, given, shards=shards) for store in shards]
        turns = []
        for store in shards:
            await store.inbox.deliver(message_in("T1"))
            [entry] = await store.inbox.read_ready("anna", 1, 0)
            claim = await store.inbox.take(entry, "anna")
            assert claim is not None
            turns.append(store.turns.open(claim))
        wanted = LazyEvent()
        await throttles[1].wait(turns[1], wanted)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(throttles[2].wait(turns[2], wanted), 0.2)
        servers[0].kill()
        try:
            await throttles[2].wait(turns[2], wanted)
        finally:
            servers[0].start()


async def test_a_refusal_for_rate_or_quota_pauses_all_shards_but_other_keys_not(
    urls: str, servers: list[RedisServer]
) -> None:
    given = settings(urls, 3)
    async with open_shards(given, PATIENT) as shards:
        throttles = [Throttle(store, given, account="key", shards=shards) for store in shards]
        others = [Throttle(store, given, shards=shards) for store in shards]
        await shards.ping()

        async def paused(throttles: list[Throttle]) -> list[tuple[bool, bool]]:
            """Whether the quota and the runs of each shard are paused."""
            each = zip(shards, throttles, strict=True)
            found = [await store.redis.mget(throttle.pauses) for store, throttle in each]
            return [(quota is not None, runs is not None) for quota, runs in found]

        await throttles[1].pause(RateLimited("busy", after=30))
        assert await paused(throttles) == [(False, True)] * 3
        assert await paused(others) == [(False, False)] * 3
        rate, _ = rate_and_burst(None)
        bucket = throttles[1]._runs
        due = []
        for number in range(2):
            await shards.home.pace.acquire(bucket, f"turn-{number}", rate)
            due.append(float(await shards.home.redis.get(shards.home.keys.bucket(bucket)) or 0))
        assert due[0] > await shards.home.now() + 5, "the pause holds in the shared bucket"
        paced = pytest.approx(1 / rate, abs=1e-4)
        assert due[1] - due[0] == paced, "after it, all shards start runs at one pace"
        last = [*shards][2]
        await last.redis.delete(*throttles[2].pauses)
        await throttles[1].pause(RateLimited("busy", after=30))
        assert not await last.redis.exists(*throttles[2].pauses), "a pause is shared once"
        await throttles[0].pause(RateLimited("busy", after=90))
        assert await last.redis.exists(*throttles[2].pauses), "a longer one is shared"
        await shards.home.inbox.deliver(message_in("T1"))
        [entry] = await shards.home.inbox.read_ready("anna", 1, 0)
        claim = await shards.home.inbox.take(entry, "anna")
        assert claim is not None
        turn = shards.home.turns.open(claim)
        await throttles[0].failed(turn, RunFailed("failed", "insufficient_quota"))
        assert await paused(throttles) == [(True, True)] * 3
        with pytest.raises(RunFailed, match="insufficient_quota"):
            await throttles[2].wait(turn, LazyEvent())
        servers[0].kill()
        try:
            await others[2].pause(RateLimited("busy", after=30))
        finally:
            servers[0].start()
        assert await paused(others) == [(False, False), (False, True), (False, True)]


async def test_the_shards_of_a_server_share_the_room_for_redelivery(urls: str) -> None:
    for number, shares in ((3, {1}), (6, {2}), (64, {21, 22})):
        async with opened(urls, number) as shards:
            assert {store.redelivery.room for store in shards} == {ROOM // each for each in shares}


def test_workers_of_one_process_share_its_room() -> None:
    load = Load(10, 6)
    first, second = ActiveThreads(), ActiveThreads()
    load.add(first)
    assert load.room == 6
    load.add(second)
    assert load.room == 3
    for number in range(6):
        first[str(number)] = ActiveThread(Entry(Thread("T1", "C1", "1.0"), str(number)))
    assert load.room == 0
    load.remove(first)
    assert load.room == 6
