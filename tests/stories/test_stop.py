"""Stopping an answer: by a word, by Slack's own button, by ours; and a stop without an answer."""

from pathlib import Path

import pytest

from bot.texts.answers import NOTHING_TO_STOP
from tests.fakes.openai import held
from tests.stories.test_usage import spent_by
from tests.world import GROWING, World, open_world, wait_until, words

TIMING = GROWING
PROSE = " ".join(f"word{n}" for n in range(200))


async def begun(world: World, channel: str, root: str) -> None:
    """Wait until part of the answer is visible."""

    async def shown() -> bool:
        return any("word1" in words(m) for m in world.slack.replies(channel, root))

    await wait_until(shown)


@pytest.mark.parametrize("way", ["word", "mention", "native"])
@pytest.mark.parametrize("any_world", ["responses", "assistants"], indirect=True)
async def test_a_stopped_answer_keeps_its_text(any_world: World, way: str) -> None:
    world = any_world
    world.fake.answer = [held(PROSE, after=30)]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot count")
    await begun(world, "#general", root)
    if way == "native":
        await alice.stops("#general", root)
    else:
        order = "stop" if way == "word" else "@bot Stop!"
        await alice.says("#general", order, thread_ts=root)
    (answer,) = await world.replies("#general", root)
    assert answer.startswith("word0 word1 ")
    assert answer.endswith("\n\n_Stopped._")
    assert world.fake.working == []
    await world.slack.wait_for(lambda: not world.fake.open_requests)
    assert len(world.slack.replies("#general", root)) == 1
    assert not alice.ephemerals()
    session = world.slack.agent_thread("#general", root).session
    assert session is None or session.status == "active"


async def test_a_stop_at_the_top_of_a_direct_message_ends_its_turns(
    world: World,
) -> None:
    world.fake.answer = [held(PROSE, after=30)]
    alice = world.slack.user("alice")
    root = await alice.says(alice.dm(), "count")
    await begun(world, alice.dm(), root)
    await alice.says(alice.dm(), "stop")
    (answer,) = await world.replies(alice.dm(), root)
    assert answer.endswith("_Stopped._")
    assert not alice.ephemerals()


async def test_a_stop_with_nothing_to_stop_gets_an_ephemeral_reply(
    world: World,
) -> None:
    root = await world.ask("#general", "@bot hi")
    alice = world.slack.user("alice")
    await alice.says("#general", "stop", thread_ts=root)
    await world.rests("#general", root)
    (reported,) = alice.ephemerals("#general")
    assert reported.text == NOTHING_TO_STOP
    assert len(world.slack.replies("#general", root)) == 1
    assert world.fake.created("/responses") == 1


async def test_a_posted_answer_in_progress_has_a_stop_button(world: World) -> None:
    world.slack.faults.refuse("chat.startStream", "unknown_method")
    world.fake.answer = [held(PROSE, after=30)]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot count")
    await begun(world, "#general", root)
    (message,) = world.slack.replies("#general", root)
    await alice.clicks("#general", message.ts, "stop_answer")
    (answer,) = await world.replies("#general", root)
    assert answer.endswith("_Stopped._")
    (message,) = world.slack.replies("#general", root)
    assert "stop_answer" not in str(message.blocks)


async def test_after_a_stop_the_next_question_is_answered(world: World) -> None:
    world.fake.answer = [held(PROSE, after=30), "here I am"]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot count")
    await begun(world, "#general", root)
    await alice.says("#general", "stop", thread_ts=root)
    await alice.says("#general", "still there?", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1] == "here I am"


async def test_a_queued_message_shows_a_status(world: World) -> None:
    world.fake.answer = [held("done")]
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot think")
    await world.slack.wait_for(lambda: world.fake.working)
    await alice.says("#general", "and this", thread_ts=root)
    await alice.says("#general", "and that", thread_ts=root)
    status = "is answering… queued (2)"
    await world.slack.wait_for(lambda: world.slack.agent_thread("#general", root).status == status)
    world.fake.finish()
    await world.replies("#general", root, 2)
    assert world.slack.agent_thread("#general", root).status == ""


@pytest.mark.parametrize("order", ["stop", "reset"])
@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_turn_ends_soon_after_a_stop_whatever_the_server_does(
    redis_url: str, tmp_path: Path, engine: str, streaming: bool, order: str
) -> None:
    async with open_world(
        redis_url, tmp_path, engine=engine, fake={"cancels": False}, bot_streaming=streaming
    ) as world:
        world.fake.answer = [held(PROSE, after=30), "here I am"]
        alice = world.slack.user("alice")
        root = await alice.says("#general", "@bot count")
        await world.slack.wait_for(lambda: world.fake.working)
        if streaming:
            await begun(world, "#general", root)
        await alice.says("#general", order, thread_ts=root)
        await world.replies("#general", root, 2 if order == "reset" else 1)
        assert world.fake.working  # the run is held: only the stop can have ended the turn
        first = words(world.slack.replies("#general", root)[0])
        assert first.endswith("_Stopped._")
        await world.ask("#general", "@bot still there?", thread_ts=root)
        shown = [words(m) for m in world.slack.replies("#general", root)]
        assert shown[-1] == "here I am"
        world.fake.finish()

        async def charged() -> bool:
            return (await spent_by(world, "alice")).output_tokens >= 200

        await wait_until(charged)
        assert [words(m) for m in world.slack.replies("#general", root)] == shown
