"""Threads that are lost or unreadable, and a server that lost its data."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import StoreUnavailable
from bot.store import Claim, Entry, Inbox
from bot.timing import WorkerTiming
from tests.fakes.openai import echo, held
from tests.redis_server import run_server
from tests.world import BASE_TIMING, World, open_world, wait_until

QUICK = WorkerTiming(heartbeat=0.05, stray_after=0.3)
TIMING = replace(BASE_TIMING, worker=QUICK)


async def test_a_thread_that_the_worker_lost_track_of_is_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    take = Inbox.take

    async def lose_the_first(inbox: Inbox, entry: Entry, name: str) -> Claim | None:
        claim = await take(inbox, entry, name)
        taken.append(entry.thread.thread_ts)
        if len(taken) == 1:
            raise StoreUnavailable("the reply was lost on its way")
        return claim

    monkeypatch.setattr(Inbox, "take", lose_the_first)
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert taken == [root]  # and then all that were begun before: `take_all`


async def test_entries_are_taken_one_by_one_if_a_batch_fails(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    take = Inbox.take

    async def lose_the_first(inbox: Inbox, entry: Entry, name: str) -> Claim | None:
        claim = await take(inbox, entry, name)
        if not entry.begun:
            lost.append(entry.thread.thread_ts)
            raise StoreUnavailable("the reply was lost on its way")
        return claim

    async def stumble(inbox: Inbox, entries: Sequence[Entry], name: str) -> dict[str, Claim]:
        raise ValueError("one of them cannot be read")

    for name, replacement in (("take", lose_the_first), ("take_all", stumble)):
        monkeypatch.setattr(Inbox, name, replacement)
    alice = world.slack.user("alice")
    roots = [await alice.says("#general", f"@bot {word}") for word in ("one", "two")]
    for root, word in zip(roots, ("one", "two"), strict=True):
        assert await world.replies("#general", root) == [f"turn 1: {word}"]
    assert sorted(lost) == roots


async def test_a_thread_that_cannot_be_read_does_not_stop_the_others(world: World) -> None:
    store = world.bot.store
    broken = await world.ask("#general", "@bot one")
    assert await world.replies("#general", broken) == ["turn 1: one"]
    inbox = store.keys.inbox(world.key("#general", broken))
    await store.redis.hset(inbox, "1.0", '{"kind": "of a version of tomorrow"}')
    await world.slack.user("alice").says("#general", "@bot two", thread_ts=broken)
    other = await world.ask("#general", "@bot three")
    assert await world.replies("#general", other) == ["turn 1: three"]
    await store.redis.hdel(inbox, "1.0")
    replies = await world.replies("#general", broken, count=2)
    assert replies == ["turn 1: one", "turn 2: one | two"]


async def test_entries_lost_in_replies_are_found_repeatedly(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[str] = []
    read_ready, replaced = Inbox.read_ready, asyncio.Event()

    async def lose_three(inbox: Inbox, name: str, count: int, block: float) -> list[Entry]:
        replaced.set()
        entries = await read_ready(inbox, name, count, block)
        if entries and len(lost) < 3:
            lost.extend(entry.id for entry in entries)
            return []
        return entries

    monkeypatch.setattr(Inbox, "read_ready", lose_three)
    await replaced.wait()  # a read that began before has ended
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert len(set(lost)) == 3


@pytest.mark.parametrize("timing", [replace(TIMING, worker=replace(QUICK, starting_at_once=1))])
async def test_turns_that_wait_for_their_run_free_their_slot(world: World) -> None:
    world.fake.answer = lambda prompt: held(echo(prompt))
    roots = [await world.slack.user("alice").says("#general", f"@bot {n}") for n in range(5)]
    await world.slack.wait_for(lambda: len(world.fake.working) == len(roots))
    world.fake.finish()
    for number, root in enumerate(roots):
        assert await world.replies("#general", root) == [f"turn 1: {number}"]


@pytest.mark.parametrize("timing", [replace(TIMING, worker=replace(QUICK, starting_at_once=2))])
async def test_the_number_of_starting_turns_is_limited(
    world: World,
) -> None:
    world.fake.fault("hang_before", "POST", times=None)
    for n in range(5):
        await world.slack.user("alice").says("#general", f"@bot {n}")

    async def share() -> bool:
        depth = await world.bot.store.inbox.depth()
        return (depth.claimed, depth.waiting) == (2, 3)

    await wait_until(share)
    world.fake.faults.clear()
    world.fake.end_hanging()


async def test_running_turns_survive_the_loss_of_all_data(tmp_path: Path) -> None:
    with run_server() as server:
        async with open_world(server.url, tmp_path, socket_mode=False) as world:
            world.fake.answer = [held("an answer")]
            alice = world.slack.user("alice")
            root = await alice.says("#general", "@bot think")
            await world.slack.wait_for(lambda: world.fake.working)
            await world.slack.settled()
            await world.bot.store.redis.flushall()
            redis, pulse = world.bot.store.redis, world.bot.store.keys.pulse
            await wait_until(lambda: redis.hget(pulse, "restored_at"))
            world.fake.finish()  # the run continues: it is neither lost nor restarted

            assert await world.replies("#general", root) == ["an answer"]
            await world.ask("#general", "more", thread_ts=root)
            assert len(await world.replies("#general", root, 2)) == 2


async def test_lone_surrogates_cause_no_harm(world: World) -> None:
    world.fake.answer = ["half \ud83d of it"]
    root = await world.ask("#general", "@bot half \ud83d a smile")
    assert await world.replies("#general", root) == ["half \ufffd of it"]
    await world.ask("#general", "and?", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1] == "turn 2: half \ufffd a smile | and?"
