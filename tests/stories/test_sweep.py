"""The sweep under faults: servers that are down or slow, wrong clocks, kills."""

import asyncio
import time

import pytest

from bot.engines import Engine
from bot.errors import Retry
from bot.timing import SweepTiming
from bot.upkeep.sweeper import BATCH, DELETES_AT_ONCE, LEASE_SECONDS, Sweeper
from tests.store.builders import keys_of
from tests.stories.test_lifetime import DAY, age, sweeper
from tests.world import World, wait_until

MANY = 3 * DELETES_AT_ONCE


async def idle_ones(world: World, count: int = MANY) -> set[str]:
    """Make this number of long-idle conversations; returns their ids on the AI server."""
    alice = world.slack.user("alice")
    spots = [world.slack.add_channel(f"c{number}", ["alice"]).id for number in range(count)]
    roots = [await alice.says(spot, "@bot hello") for spot in spots]
    for spot, root in zip(spots, roots, strict=True):
        await world.replies(spot, root)
        await age(world.bot.store, world.key(spot, root), 31)
    return set(world.fake.conversations)


async def orphans(world: World) -> int:
    """The number of orphans, due now or later."""
    return int(await world.bot.store.redis.zcard(world.bot.store.keys.orphans))


@pytest.mark.parametrize("kind", ["overloaded", "rate_limit", "drop_before"])
async def test_a_server_that_is_down_is_skipped_and_swept_after_its_recovery(
    world: World, kind: str
) -> None:
    there = await idle_ones(world)
    world.fake.fault(kind, "GET", times=None)  # type: ignore[arg-type]
    before = len(world.fake.requests)
    swept = await sweeper(world).sweep_now()
    assert (swept.archived, swept.deleted, swept.kept) == (MANY, 0, DELETES_AT_ONCE)
    paths = {request.path for request in world.fake.requests[before:]}
    asked = {path for path in paths if path.startswith("/conversations")}
    assert len(asked) == DELETES_AT_ONCE
    assert await orphans(world) == MANY

    world.fake.faults.clear()
    await wait_until(lambda: _is_answering(world))
    assert (await sweeper(world).sweep_now()).deleted == MANY - DELETES_AT_ONCE
    assert len(there & set(world.fake.conversations)) == DELETES_AT_ONCE  # due in an hour


async def test_orphans_whose_key_cannot_be_read_do_not_block_others(world: World) -> None:
    engine = world.bot.engine
    assert engine is not None

    async def find(name: str) -> Engine | None:
        if name != engine.name:
            raise Retry("ai_key_unreadable")
        return engine

    for number in range(BATCH + 1):
        await world.bot.store.archive.discard("responses@gone", f"conv_{number}")
    await idle_ones(world, 1)
    sweeps = Sweeper(world.bot.store, engine, 30, find_engine=find, pause=0)
    swept = await sweeps.sweep_now()
    assert (swept.archived, swept.deleted) == (1, 1)
    assert not world.fake.conversations
    assert await orphans(world) == BATCH + 1


async def test_a_conversation_that_cannot_be_deleted_does_not_block_others(
    world: World,
) -> None:
    there = sorted(await idle_ones(world))
    world.fake.fault("server_error", "GET", f"/conversations/{there[0]}/items", times=None)
    swept = await sweeper(world).sweep_now()
    assert (swept.deleted, swept.kept) == (MANY - 1, 1)
    assert list(world.fake.conversations) == there[:1]


async def test_a_deletion_that_hangs_ends_before_the_lease(world: World) -> None:
    usual = SweepTiming()
    assert usual.renew_lease + usual.delete_timeout < LEASE_SECONDS
    await idle_ones(world, 1)
    world.fake.fault("hang_before", "GET")
    swept = await sweeper(world, SweepTiming(delete_timeout=0.2)).sweep_now()
    assert (swept.deleted, swept.kept) == (0, 1)


async def test_a_sweep_whose_lease_was_lost_stops(world: World) -> None:
    await idle_ones(world)
    store, first = world.bot.store, sweeper(world, SweepTiming(renew_lease=0.0))
    world.fake.fault("delay", "GET", times=None, seconds=0.3)
    work = asyncio.create_task(first.sweep_now())
    await wait_until(lambda: _any_deleted(world))
    await store.redis.set(store.keys.lease("sweep"), "another", ex=60)
    with pytest.raises(Retry, match="another process"):
        await work
    assert await orphans(world) > 0


async def _is_answering(world: World) -> bool:
    """Whether the circuit of the AI server has closed again."""
    assert world.bot.engine is not None
    try:
        await world.bot.engine.delete("conv_unknown")
    except Retry:
        return False
    return True


async def _any_deleted(world: World) -> bool:
    return len(world.fake.conversations) < MANY


async def test_a_sweep_that_was_killed_is_finished_by_the_next_one(world: World) -> None:
    await idle_ones(world)
    world.fake.fault("delay", "GET", times=None, seconds=0.2)
    work = asyncio.create_task(sweeper(world).sweep_in_turn())
    await wait_until(lambda: _any_deleted(world))
    work.cancel()
    await asyncio.wait([work])
    world.fake.faults.clear()
    again = await sweeper(world).sweep_in_turn()
    assert again is not None
    assert world.fake.conversations == {}
    assert await orphans(world) == 0


async def test_a_wrong_local_clock_archives_nothing_in_use(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = await world.ask("#general", "@bot hello")
    store, engine = world.bot.store, world.bot.engine
    assert engine is not None
    await store.archive.watch(engine.name, "just begun")
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + 40 * DAY)
    swept = await Sweeper(store, engine, 30, pause=0).sweep_now()
    assert (swept.archived, swept.deleted, swept.kept) == (0, 0, 0)
    assert await store.conversations.find(world.key("#general", root)) is not None


async def test_a_conversation_used_between_check_and_archive_is_kept(world: World) -> None:
    await idle_ones(world, 2)
    store = world.bot.store
    before = await store.now() - 30 * DAY
    found = await store.archive.idle(before, 10)
    await store.redis.zadd(store.keys.idle, {found[0].thread.key: await store.now()})
    assert await store.archive.archive([(each, before) for each in found]) == ["used", "archived"]
    assert await store.conversations.find(found[0].thread) is not None


async def test_retention_zero_keeps_conversations_for_ever(world: World) -> None:
    await idle_ones(world, 1)
    assert world.bot.engine is not None
    swept = await Sweeper(world.bot.store, world.bot.engine, 0, pause=0).sweep_now()
    assert swept.archived == 0


async def test_archived_conversations_are_on_no_list(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    await world.ask("#general", "@bot me too", who="bob", thread_ts=root)
    store, thread = world.bot.store, world.key("#general", root)
    assert len(await keys_of(store, "recent:")) == 2
    await age(store, thread, 31)
    assert (await sweeper(world).sweep_now()).archived == 1
    assert await keys_of(store, "recent:") == []
    assert [
        key for key in await keys_of(store) if root in key and await _is_for_ever(world, key)
    ] == []


async def _is_for_ever(world: World, key: str) -> bool:
    return bool(await world.bot.store.redis.ttl(key) == -1)
