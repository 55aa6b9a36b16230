"""The shards: where a workspace lives, who serves it, and what refuses another layout."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pydantic import SecretStr
from redis.crc import key_slot

from bot import app, health
from bot.app import sweep
from bot.checks import Finding
from bot.cli import audit, backup, dead, doctor, feedback, hold, keys, why, workspace_admin
from bot.errors import ConfigError, RateLimited, Retry, RunFailed, StoreUnavailable
from bot.jobs.report import fetch_rows
from bot.models import Message, Run, Thread, Usage
from bot.process.serving import Group
from bot.process.work_part import Common
from bot.sealing import generate_key
from bot.settings import Settings
from bot.settings.addresses import Address
from bot.slack.answer.lazy_event import LazyEvent
from bot.store import AuditLine, Entry, Installation, Store, open_store
from bot.store.archive import Orphan
from bot.store.backup_file import UnusableBackup
from bot.store.checks import open_checks
from bot.store.dead import DeadLetter
from bot.store.feedback import Feedback
from bot.store.keys import Keys
from bot.store.layout import Layout, WrongLayout
from bot.store.redelivery import ROOM
from bot.store.roster import share
from bot.store.shards import SLOTS, ShardGroup, Shards, open_shards, shard_of
from bot.store.usage import day_of
from bot.store.workspace_settings import WorkspaceSettings
from bot.timing import StoreTiming, Timing, WorkerTiming
from bot.turn.throttle import Throttle, rate_and_burst
from bot.worker.active import ActiveThread, ActiveThreads
from bot.worker.load import Load
from tests.redis_server import PATIENT, RedisServer, run_server
from tests.redis_topologies import RedisCluster
from tests.store.builders import conversation

TEAMS = [f"T{number}" for number in range(12)]


@pytest.fixture(scope="module")
def servers() -> Iterator[list[RedisServer]]:
    """Three plain servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(run_server()) for _ in range(3)]


@pytest.fixture
def urls(servers: list[RedisServer]) -> str:
    """Their addresses as a list; the servers are empty, and run."""
    for server in servers:
        with server.client() as client:
            client.flushall()
    return ",".join(server.url for server in servers)


def settings(url: str, shards: int, **given: Any) -> Settings:
    return Settings(
        _env_file=None, slack_bot_token="xoxb-1", redis_url=url, bot_shards=shards, **given
    )


@asynccontextmanager
async def opened(url: str, shards: int, **given: Any) -> AsyncIterator[Shards]:
    async with open_shards(settings(url, shards, **given)) as opened:
        yield opened


def message_in(team: str, ts: str = "1.0") -> Message:
    """The same channel, time and person in each workspace; only the text differs."""
    return Message(Thread(team, "C1", "1.0"), ts, "U1", f"of {team}", event_id=f"Ev{team}{ts}")


async def answered(store: Store) -> dict[str, list[str]]:
    """The texts that a worker of a shard takes, by workspace."""
    entries = await store.inbox.read_ready("anna", 100, 0)
    claims = [await store.inbox.take(entry, "anna") for entry in entries]
    return {
        claim.thread.team_id: [message.text for message in claim.messages]
        for claim in claims
        if claim
    }


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
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
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
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
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
        for team in TEAMS:  # Slack delivers again what was not acknowledged
            await shards.of(team).inbox.deliver(message_in(team, "2.0"))
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
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
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


# The layout


async def test_another_number_of_shards_is_refused(urls: str) -> None:
    async with opened(urls, 6) as shards:
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
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
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
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
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
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
    assert await store.roster.attend("anna", 60) == ["anna"]
    assert await store.roster.attend("bert", 0.05) == ["bert", "anna"]
    await asyncio.sleep(0.06)
    assert await store.roster.attend("anna", 60) == ["anna"]
    await store.roster.leave("anna")
    assert await store.roster.attend("bert", 60) == ["bert"]


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
                assert await group._attend() == {"anna"}
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
            assert await store.roster.attend("anna", 60) == ["anna"]

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


# Commands


async def test_commands_walk_all_shards(urls: str, tmp_path: Path) -> None:
    old, new = generate_key(), generate_key()
    given = settings(urls, 6, bot_encryption_keys=old, bot_engine="echo", bot_state_dir=tmp_path)
    async with open_shards(given) as shards:
        await fill(shards)
    assert {each.thread.team_id for each in await dead.list_letters(given)} == set(TEAMS)
    assert await dead.drop_letters(given, ["qT1", "unknown"], every=False) == ["unknown"]
    assert len(await dead.list_letters(given)) == len(TEAMS) - 1
    lines, problem = await audit.fetch(given)
    assert ({line.team_id for line in lines}, problem) == (set(TEAMS), "")
    assert {each.thread.team_id for each in await feedback.fetch(given)} == set(TEAMS)
    assert {row.team_id for row in await fetch_rows(given, 1)} == set(TEAMS)
    assert len(await why.inspect(given, why.MessagePlace("C1", "1.0"))) == len(TEAMS)
    rotated = given.model_copy(update={"bot_encryption_keys": SecretStr(f"{new},{old}")})
    assert (await keys._rotate(rotated)).resealed == len(TEAMS)
    assert "is on:" in await hold.begin(given)
    assert "is on since" in await hold.begin(given)
    assert (await sweep(given, dry_run=False)).held
    assert "has ended" in await hold.end(given)
    assert await hold.status(given) == "There is no legal hold."
    async with open_shards(given) as shards:
        for store in shards:  # as if a worker swept them
            assert await store.leases.take("sweep", "worker", 60)
        with pytest.raises(Retry, match="another process"):
            await sweep(given, dry_run=False)
        for store in list(shards)[2:]:
            await store.leases.give_back("sweep", "worker")
        swept = await sweep(given, dry_run=False)
        assert swept.busy == (0, 1)
        for store in list(shards)[:2]:
            await store.leases.give_back("sweep", "worker")
    assert 0 < swept.deleted < len(TEAMS)
    assert swept.deleted + (await sweep(given, dry_run=False)).deleted == len(TEAMS)


async def test_the_overview_has_the_workspaces_of_all_shards(urls: str) -> None:
    given = settings(urls, 6, bot_encryption_keys=generate_key(), slack_client_id="1.2")
    async with open_shards(given) as shards:
        for team in TEAMS:
            found = Installation(team, team, team, "", "UBOT", "B1", "", f"xoxb-{team}")
            assert await shards.of(team).installations.save(found)
    assert {row.id for row in await workspace_admin.fetch(given)} == set(TEAMS)
    assert await workspace_admin.remove(given, "T3")
    removed = [row.id for row in await workspace_admin.fetch(given) if row.removed_at]
    assert removed == ["T3"]


async def test_a_hold_covers_all_shards_or_is_reported(
    urls: str, servers: list[RedisServer]
) -> None:
    given = settings(urls, 6)
    servers[2].kill()
    try:
        with pytest.raises(StoreUnavailable, match="2, 5 of 6"):
            await hold.begin(given)
    finally:
        servers[2].start()
    assert await hold.status(given) == "There is no legal hold."
    await hold.begin(given)
    async with open_shards(given) as shards:
        await list(shards)[3].hold.end()
    assert "off in 1 of 6" in await hold.status(given)
    assert "is on:" in await hold.begin(given)


async def test_the_doctor_names_the_server_that_is_down(
    urls: str, servers: list[RedisServer]
) -> None:
    async def examine() -> dict[str, Finding]:
        async with open_checks(settings(urls, 6)) as checks:
            lines = await doctor.run(checks, lambda _: None)
        return {line.name: line.finding for line in lines}

    found = await examine()
    assert found["shards 2"].text == f"2 of 6 on {servers[1].socket}: 1, 4"
    assert found["worker 3"].level == "warning"
    # A worker has one more for the second shard of a server.
    assert "up to 11 a process" in found["redis connections 3"].text
    servers[1].kill()
    try:
        found = await examine()
    finally:
        servers[1].start()
    levels = [found[f"redis {number}"].level for number in (1, 2, 3)]
    assert levels == ["ok", "failed", "ok"]
    assert (found["queue 2"].level, found["queue 3"].level) == ("skipped", "ok")


# Backups


async def fill(shards: Shards) -> None:
    """Something of each kind of key for each workspace."""
    for team in TEAMS:
        store, thread = shards.of(team), Thread(team, "C1", "1.0")
        await store.inbox.deliver(message_in(team))
        [entry] = await store.inbox.read_ready("anna", 100, 0)
        claim = await store.inbox.take(entry, "anna")
        assert claim is not None
        await store.conversations.save(claim, conversation(f"conv-{team}", of=thread))
        charge = Usage(len(team), 1)
        await store.inbox.settle(claim, usage=charge, runs=[Run("run", f"conv-{team}", 1.0)])
        await store.spending.account(claim, "U1", charge, 5, is_late=True)
        await store.feedback.save(Feedback(f"q{team}", "run", thread, "U1", "positive", 1.0))
        await store.archive.note_unconfirmed(team, "U1", [Orphan("echo", f"old-{team}")])
        await store.archive.discard("echo", f"old-{team}")
        await store.audit.append(line_of(team))
        await store.dead.save(DeadLetter(f"q{team}", thread, "bug", 1.0, 3, 0, ()))
        await store.workspaces.save(team, WorkspaceSettings(model=team), user_id="U1", after=0)
        await store.workspaces.save_ai_key(team, f"sk-{team}")
        await store.flags.note(f"workspace_seen:{team}", "1", 3600)
    for team in TEAMS:
        await shards.of(team).inbox.deliver(message_in(team, "2.0"))


def line_of(team: str) -> AuditLine:
    return AuditLine(1.0, team, "C1", "1.0", "U1", "q", "c", "s", "t", "", "allow", "policy")


async def facts(shards: Shards, team: str) -> dict[str, Any]:
    """What a workspace has, in its shard."""
    store, thread = shards.of(team), Thread(team, "C1", "1.0")
    (spent,) = await store.spending.sums(team, [("team", "", day_of(time.time()))])
    return {
        "waiting": (await store.inbox.state(thread)).waiting,
        "conversation": await store.conversations.find(thread),
        "recent": len(await store.conversations.recent(team, "U1")),
        "runs": await store.archive.runs(Orphan("echo", f"conv-{team}")),
        "spent": spent,
        "feedback": [f.turn_id for f in await store.feedback.list() if f.thread == thread],
        "dead": [each.id for each in await store.dead.list() if each.thread == thread],
        "orphan": await store.redis.zscore(store.keys.orphans, f"echo|old-{team}") is not None,
        "unconfirmed": await store.redis.hget(store.keys.unconfirmed, f"echo|old-{team}"),
        "settings": (await store.workspaces.newest(team)).settings.model,
        "key": await store.workspaces.ai_key(team),
        "seen": await store.flags.read(f"workspace_seen:{team}"),
        "usage": team in await store.redis.smembers(store.keys.teams),
        "audit": [each.line.team_id async for each in store.audit.read()].count(team),
        "again": (await store.inbox.deliver(message_in(team))).new,
    }


@pytest.mark.parametrize(("before", "after"), [(1, 6), (6, 6), (6, 3), (6, 1)])
async def test_a_backup_is_restored_into_another_number_of_shards(
    urls: str, servers: list[RedisServer], tmp_path: Path, before: int, after: int
) -> None:
    many = {1: servers[0].url, 3: f"{servers[0].url} {servers[1].url}", 6: urls}
    key = generate_key()
    old = settings(many[before], before, bot_encryption_keys=key)
    new = settings(many[after], after, bot_encryption_keys=key, bot_redis_prefix="new")
    async with open_shards(old) as shards:
        await fill(shards)
        known = {team: await facts(shards, team) for team in TEAMS}
    told = await backup.backup(old, tmp_path / "backup")
    assert (await backup.restore(new, tmp_path / "backup")).split()[0] == told.split()[0]
    async with open_shards(new) as shards:
        assert {team: await facts(shards, team) for team in TEAMS} == known
        assert known["T1"]["settings"] == "T1"
        for store in shards:
            lines = [line async for line in store.audit.read()]
            assert all(line.fits for line in lines)
            assert await store.audit.head_fits(lines[-1].hash if lines else "")
            beat = await store.workers.beat("anna", 60)
            assert not beat.restored
    with pytest.raises(UnusableBackup, match="holds keys"):
        await backup.restore(new, tmp_path / "backup")


async def test_a_backup_with_corrupt_keys_is_restored_into_another_number_of_shards(
    urls: str, servers: list[RedisServer], tmp_path: Path
) -> None:
    old, new = settings(urls, 6), settings(urls, 4, bot_redis_prefix="new")
    async with open_shards(old) as shards:
        for team in TEAMS:
            await shards.of(team).inbox.deliver(message_in(team))
    with servers[0].client() as client:
        client.set("{bot:0}:conversation:no thread", "foreign")
        client.set("{bot:0}:idle", "foreign")
        client.hset("{bot:3}:dead", "q1", "no letter")
        client.set("{bot:3}:untranscribed:F1", "no message")
        client.set("{bot:3}:family:T1", "unknown")
        client.xadd("{bot:3}:audit", {"foreign": "entry"})
        client.xadd("{bot:3}:audit", {"line": "no line", "hash": "x"})
        client.set("{bot:3}:audit_head", "x")
    await backup.backup(old, tmp_path / "backup")
    await backup.restore(new, tmp_path / "backup")
    async with open_shards(new) as shards:
        found = [(await store.inbox.depth()).waiting for store in shards]
        assert sum(found) == 0  # their places are recovered by the first worker
        for store in shards:
            await store.workers.beat("anna", 60)
            assert await store.redis.get(store.keys.name("hold")) is None
        await asyncio.sleep(shards.home.connection.timing.settling)
        answers = [await answered(store) for store in shards]
        assert sorted(team for each in answers for team in each) == sorted(TEAMS)
    with servers[0].client() as client:
        assert client.hget("{new:0}:dead", "q1") == "no letter"
        assert client.get("{new:0}:family:T1") == "unknown"


async def test_a_backup_needs_all_shards(
    urls: str, servers: list[RedisServer], tmp_path: Path
) -> None:
    servers[2].kill()
    try:
        with pytest.raises(StoreUnavailable, match="2, 5 of 6"):
            await backup.backup(settings(urls, 6), tmp_path / "backup")
        assert not (tmp_path / "backup").exists()
    finally:
        servers[2].start()
