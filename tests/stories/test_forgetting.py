"""Deletions are effective even if the AI server refuses them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.errors import RunFailed
from bot.store.archive import Orphan
from bot.texts.jobs import BUSY, CONFIRMED
from bot.timing import CircuitTiming, StoreTiming
from bot.upkeep.remote_deletion import RUNS_AT_ONCE, delete_remotely
from bot.upkeep.sweeper import Sweeper
from tests.fakes.openai import held
from tests.stories.test_changes import offers
from tests.stories.test_recovery import direct_message_to, letters
from tests.world import BASE_TIMING, PATIENCE, World, open_world

STATUSES = (200, 401, 403, 404, 405, 500)


@pytest.fixture(params=["responses", "assistants"])
async def ai_world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[World]:
    async with open_world(redis_url, tmp_path, engine=request.param) as world:
        yield world


def refuse_deletions(world: World, status: int) -> None:
    world.fake.fault("error", "DELETE", times=None, status=status)


async def orphans(world: World) -> list[Orphan]:
    store = world.bot.store
    return await store.archive.orphans(100, await store.now())


def inputs(world: World, since: int) -> str:
    """The input of requests since number `since`."""
    return str([request.body for request in world.fake.requests[since:] if request.body])


@pytest.mark.parametrize("status", STATUSES)
async def test_a_deleted_message_is_forgotten_though_the_server_refuses(
    ai_world: World, status: int
) -> None:
    world, alice = ai_world, ai_world.slack.user("alice")
    world.fake.answer = "fine"
    root = await world.ask("#general", "@bot hello")
    secret = await alice.says("#general", "my password is hunter2", thread_ts=root)
    await world.replies("#general", root, 2)
    refuse_deletions(world, status)
    await alice.deletes("#general", secret)
    await world.rests("#general", root)
    before = len(world.fake.requests)
    shown = len(world.slack.replies("#general", root))
    await world.ask("#general", "@bot go on", thread_ts=root)
    assert len(world.slack.replies("#general", root)) == shown + 1  # no apology
    assert "hunter2" not in inputs(world, before)
    assert "hello" in inputs(world, before)
    assert len(await orphans(world)) == 1


@pytest.mark.parametrize("status", STATUSES)
async def test_a_reset_takes_effect_at_once_though_the_server_refuses(
    ai_world: World, status: int
) -> None:
    world, alice = ai_world, ai_world.slack.user("alice")
    root = await world.ask("#general", "@bot my password is hunter2")
    refuse_deletions(world, status)
    await alice.says("#general", "reset", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1].startswith("Done")
    before = len(world.fake.requests)
    await world.ask("#general", "@bot what do you know?", thread_ts=root)
    assert "hunter2" not in inputs(world, before)
    assert len(await orphans(world)) == 1


async def test_an_edited_question_is_answered_though_the_server_refuses(ai_world: World) -> None:
    world, alice = ai_world, ai_world.slack.user("alice")
    root = await world.ask("#general", "@bot capital of Austria?")
    refuse_deletions(world, 405)
    for count, place in enumerate(("Australia", "Armenia"), 1):
        await alice.edits("#general", root, f"@bot capital of {place}?")
        await world.slack.wait_for(lambda: offers(world))
        await alice.clicks("#general", offers(world)[-1].ts, "answer_edited")
        assert place in (await world.replies("#general", root, count + 1))[-1]
    await alice.deletes("#general", root)
    await world.rests("#general", root)
    history = await world.bot.store.conversations.history(world.key("#general", root))
    assert "Armenia?" not in [record.text for record in history if record.role == "user"]


async def test_forget_me_says_what_the_server_has_not_confirmed(ai_world: World) -> None:
    world, alice = ai_world, ai_world.slack.user("alice")
    for _ in range(2):
        await world.ask("#general", "@bot hello")
    refuse_deletions(world, 403)
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    reported = await direct_message_to(world, "alice")
    assert reported.startswith("Done: 2 conversations deleted here, and so")
    assert "has not confirmed 2 of 2 yet" in reported
    assert len(await orphans(world)) == 2


async def test_a_confirmation_follows_once_the_server_has_deleted_everything(
    ai_world: World,
) -> None:
    world, alice = ai_world, ai_world.slack.user("alice")
    for _ in range(2):
        await world.ask("#general", "@bot hello")
    refuse_deletions(world, 403)
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    await direct_message_to(world, "alice")
    assert world.bot.engine is not None
    sweeper = Sweeper(world.bot.store, world.bot.engine, 0, pause=0.0)
    world.fake.faults.clear()
    world.fake.fault("error", "DELETE", f"/*/{[*world.fake.conversations, *world.fake.threads][0]}")
    await sweeper.sweep_now()  # one of two is gone
    assert await world.bot.store.archive.confirmed() == []
    [left] = [*world.fake.conversations, *world.fake.threads]
    await world.bot.store.archive.discard(world.settings.bot_engine, left)
    await sweeper.sweep_now()
    reported = await world.slack.wait_for(lambda: letters(world, "alice")[1:], PATIENCE)
    assert [message.text for message in reported] == [CONFIRMED]
    await sweeper.sweep_now()
    assert len(letters(world, "alice")) == 2
    assert not await world.bot.store.redis.exists(world.bot.store.keys.unconfirmed)


@pytest.mark.parametrize(
    "timing", [replace(BASE_TIMING, store=StoreTiming(circuits=CircuitTiming(notice_after=0)))]
)
async def test_forget_me_says_what_it_waits_for(world: World) -> None:
    """Another process holds one of the threads and does not receive the stop."""
    alice, store = world.slack.user("alice"), world.bot.store
    root = await world.ask("#general", "@bot hello")
    await alice.says("#general", "more", thread_ts=root)
    await world.replies("#general", root, 2)
    busy = store.keys.thread(world.key("#general", root))
    await store.redis.hset(busy, "attempts", "0")
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    assert await direct_message_to(world, "alice") == BUSY
    await store.redis.delete(busy)
    reported = await world.slack.wait_for(lambda: letters(world, "alice")[1:], PATIENCE)
    assert reported[0].text.startswith("Done: 1 conversation deleted")


async def test_forget_me_does_not_wait_for_a_run_that_the_server_has_lost(
    ai_world: World,
) -> None:
    """The server shows the run as in progress forever, even after it was cancelled."""
    world, alice = ai_world, ai_world.slack.user("alice")
    world.fake.options.cancels = False
    world.fake.answer = [held("never to be seen")]
    await alice.says("#general", "@bot hello")
    await world.slack.wait_for(lambda: world.fake.working)
    [work] = world.fake.working
    work.lose()
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    reported = await direct_message_to(world, "alice")
    assert reported.startswith("Done: 1 conversation deleted")
    assert world.fake.working


async def test_the_responses_of_a_deleted_conversation_are_deleted(world: World) -> None:
    root = await world.ask("#general", "@bot one")
    await world.ask("#general", "@bot two", thread_ts=root)
    assert len(world.fake.responses) == 2
    await world.slack.user("alice").says("#general", "reset", thread_ts=root)
    await world.replies("#general", root, 3)
    assert world.fake.responses == {}
    assert world.fake.conversations == {}


@pytest.mark.parametrize("status", [200, 404])
async def test_responses_that_the_server_keeps_are_not_confirmed(world: World, status: int) -> None:
    """Also where it says that they are deleted. The conversation is deleted nevertheless."""
    root = await world.ask("#general", "@bot one")
    world.fake.fault("error", "DELETE", "/responses/*", times=None, status=status)
    await world.slack.user("alice").says("#general", "reset", thread_ts=root)
    await world.replies("#general", root, 2)
    assert len(world.fake.responses) == len(await orphans(world)) == 1
    assert world.fake.conversations == {}
    world.fake.faults.clear()
    assert world.bot.engine is not None
    await Sweeper(world.bot.store, world.bot.engine, 0).sweep_now()
    assert world.fake.responses == {}
    assert await orphans(world) == []


async def test_the_runs_of_a_long_conversation_are_deleted_little_by_little(world: World) -> None:
    store, engine, asked = world.bot.store, world.bot.engine, world.fake.requests
    assert engine is not None
    orphan = Orphan("responses", "conv_long")
    names = [f"resp_{number}" for number in range(3 * RUNS_AT_ONCE)]
    await store.redis.rpush(store.keys.runs(orphan.conversation_id), *names)
    world.fake.fault("hang_before", "DELETE", "/responses/*", times=None, skip=RUNS_AT_ONCE)
    with pytest.raises(TimeoutError):
        await delete_remotely(store, engine, orphan, 0.5)
    assert await store.archive.runs(orphan) == names[RUNS_AT_ONCE:]
    world.fake.faults.clear()
    world.fake.end_hanging()
    before = len(asked)
    refuse_deletions(world, 403)
    with pytest.raises(RunFailed):
        await delete_remotely(store, engine, orphan, PATIENCE)
    refused = [request for request in asked[before:] if request.path.startswith("/responses")]
    assert len(refused) == RUNS_AT_ONCE
    world.fake.faults.clear()
    await delete_remotely(store, engine, orphan, PATIENCE)
    assert await store.archive.runs(orphan) == []


async def test_the_sweep_retries_failed_deletions(world: World) -> None:
    root = await world.ask("#general", "@bot one")
    refuse_deletions(world, 500)
    await world.slack.user("alice").says("#general", "reset", thread_ts=root)
    await world.replies("#general", root, 2)
    world.fake.faults.clear()
    assert world.bot.engine is not None
    await Sweeper(world.bot.store, world.bot.engine, 0).sweep_now()
    assert world.fake.responses == {}
    assert world.fake.conversations == {}


async def test_a_deletion_is_carried_out_beside_a_refused_question(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_limit_person_requests=2) as world:
        alice = world.slack.user("alice")
        root = await world.ask("#general", "@bot hello")
        world.fake.answer = [held("thinking")]
        secret = await alice.says("#general", "@bot my password is hunter2", thread_ts=root)
        await world.slack.wait_for(lambda: world.fake.working)
        await alice.deletes("#general", secret)
        await alice.says("#general", "@bot once more", thread_ts=root)
        await world.slack.settled()
        world.fake.finish()
        await world.replies("#general", root, 3)
        thread = world.key("#general", root)
        assert "hunter2" not in str(await world.bot.store.conversations.history(thread))
