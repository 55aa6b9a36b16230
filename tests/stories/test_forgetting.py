"""What is to be forgotten is forgotten, whatever the AI server refuses."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.store.archive import Orphan
from bot.sweeper import Sweeper
from tests.fakes.openai import held
from tests.stories.test_changes import offers
from tests.stories.test_recovery import letter_to
from tests.world import Town, open_town

STATUSES = (401, 403, 404, 405, 500)


@pytest.fixture(params=["responses", "assistants"])
async def ai_town(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path
) -> AsyncIterator[Town]:
    async with open_town(redis_url, tmp_path, engine=request.param) as town:
        yield town


def refuse_deletions(town: Town, status: int) -> None:
    town.fake.fault("error", "DELETE", times=None, status=status)


async def orphans(town: Town) -> list[Orphan]:
    store = town.bot.store
    return await store.archive.orphans(100, await store.now())


def inputs(town: Town, since: int) -> str:
    """What the server was given by requests since the number `since`."""
    return str([request.body for request in town.fake.requests[since:] if request.body])


@pytest.mark.parametrize("status", STATUSES)
async def test_a_deleted_message_is_forgotten_though_the_server_refuses(
    ai_town: Town, status: int
) -> None:
    town, alice = ai_town, ai_town.slack.user("alice")
    town.fake.answer = "fine"
    root = await town.ask("#general", "@bot hello")
    secret = await alice.says("#general", "my password is hunter2", thread_ts=root)
    await town.replies("#general", root, 2)
    refuse_deletions(town, status)
    await alice.deletes("#general", secret)
    await town.rests("#general", root)
    before = len(town.fake.requests)
    shown = len(town.slack.replies("#general", root))
    await town.ask("#general", "@bot go on", thread_ts=root)
    assert len(town.slack.replies("#general", root)) == shown + 1  # no apology
    assert "hunter2" not in inputs(town, before)
    assert "hello" in inputs(town, before)
    assert len(await orphans(town)) == 1


@pytest.mark.parametrize("status", STATUSES)
async def test_a_reset_takes_effect_at_once_though_the_server_refuses(
    ai_town: Town, status: int
) -> None:
    town, alice = ai_town, ai_town.slack.user("alice")
    root = await town.ask("#general", "@bot my password is hunter2")
    refuse_deletions(town, status)
    await alice.says("#general", "reset", thread_ts=root)
    assert (await town.replies("#general", root, 2))[1].startswith("Done")
    before = len(town.fake.requests)
    await town.ask("#general", "@bot what do you know?", thread_ts=root)
    assert "hunter2" not in inputs(town, before)
    assert len(await orphans(town)) == 1


async def test_an_edited_question_is_answered_though_the_server_refuses(ai_town: Town) -> None:
    town, alice = ai_town, ai_town.slack.user("alice")
    root = await town.ask("#general", "@bot capital of Austria?")
    refuse_deletions(town, 405)
    for count, place in enumerate(("Australia", "Armenia"), 1):
        await alice.edits("#general", root, f"@bot capital of {place}?")
        await town.slack.wait_for(lambda: offers(town))
        await alice.clicks("#general", offers(town)[-1].ts, "answer_edited")
        assert place in (await town.replies("#general", root, count + 1))[-1]
    await alice.deletes("#general", root)
    await town.rests("#general", root)
    history = await town.bot.store.conversations.history(town.key("#general", root))
    assert "Armenia?" not in [record.text for record in history if record.role == "user"]


async def test_forget_me_says_what_the_server_has_not_confirmed(ai_town: Town) -> None:
    town, alice = ai_town, ai_town.slack.user("alice")
    for _ in range(2):
        await town.ask("#general", "@bot hello")
    refuse_deletions(town, 403)
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    told = await letter_to(town, "alice")
    assert told.startswith("Done: 2 conversations deleted here, and so")
    assert "has not confirmed 2 of 2 yet" in told
    assert len(await orphans(town)) == 2


async def test_the_responses_of_a_deleted_conversation_are_deleted(town: Town) -> None:
    root = await town.ask("#general", "@bot one")
    await town.ask("#general", "@bot two", thread_ts=root)
    assert len(town.fake.responses) == 2
    await town.slack.user("alice").says("#general", "reset", thread_ts=root)
    await town.replies("#general", root, 3)
    assert town.fake.responses == {}
    assert town.fake.conversations == {}


async def test_what_could_not_be_deleted_is_deleted_by_the_sweep(town: Town) -> None:
    root = await town.ask("#general", "@bot one")
    refuse_deletions(town, 500)
    await town.slack.user("alice").says("#general", "reset", thread_ts=root)
    await town.replies("#general", root, 2)
    town.fake.faults.clear()
    assert town.bot.engine is not None
    await Sweeper(town.bot.store, town.bot.engine, 0).sweep_now()
    assert town.fake.responses == {}
    assert town.fake.conversations == {}


async def test_a_deletion_arrives_beside_a_refused_question(redis_url: str, tmp_path: Path) -> None:
    async with open_town(redis_url, tmp_path, bot_limit_person_requests=2) as town:
        alice = town.slack.user("alice")
        root = await town.ask("#general", "@bot hello")
        town.fake.answer = [held("thinking")]
        secret = await alice.says("#general", "@bot my password is hunter2", thread_ts=root)
        await town.slack.wait_for(lambda: town.fake.working)
        await alice.deletes("#general", secret)
        await alice.says("#general", "@bot once more", thread_ts=root)
        await town.slack.settled()
        town.fake.finish()
        await town.replies("#general", root, 3)
        thread = town.key("#general", root)
        assert "hunter2" not in str(await town.bot.store.conversations.history(thread))
