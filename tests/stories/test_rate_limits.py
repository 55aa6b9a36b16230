"""Slack answers 429 to each method that the bot uses: the answer is still posted, once."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bot.app import open_bot
from bot.texts.assistant_thread import GREETING
from tests.fakes.openai import Answer, parts, slow
from tests.stories.test_files_in import PNG
from tests.stories.test_files_out import shown
from tests.stories.test_recovery import direct_message_to
from tests.world import ANSWER, BASE_TIMING, World, delete_while_answering, open_world, words

Story = Callable[[World], Awaitable[object]]

LONG = "\n\n".join(f"Paragraph {n} says **something** of its own." for n in range(40))


async def is_answered(world: World) -> None:
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]


async def is_answered_at_length(world: World) -> None:
    world.fake.answer = [slow(LONG, 2.5)]
    root = await world.slack.user("alice").says("#general", "@bot tell me")
    assert await world.replies("#general", root) == [LONG]


async def is_answered_by_edits(world: World) -> None:
    world.slack.faults.refuse("chat.startStream", "feature_not_enabled")
    await is_answered_at_length(world)


async def is_answered_where_nothing_is_streamed(world: World) -> None:
    """A stream has its own session; other answers start one once streams are refused."""
    await is_answered_by_edits(world)
    world.fake.prompts.clear()
    await is_answered_at_length(world)


async def is_answered_in_the_pane(world: World) -> None:
    dm = world.slack.user("alice").dm()
    root = await world.ask(dm, "hi")
    assert await world.replies(dm, root) == ["turn 1: hi"]


async def is_answered_where_others_spoke(world: World) -> None:
    root = await world.slack.user("bob").says("#general", "the sky is green")
    await world.ask("#general", "@bot is it?", thread_ts=root)
    [answer] = await world.replies("#general", root)
    assert "the sky is green" in answer
    assert answer.endswith("is it?")


async def gets_a_drawing(world: World) -> None:
    world.fake.answer = [Answer("A cat.", items=(parts.image(PNG),))]
    root = await world.ask("#general", "@bot draw a cat")
    assert await world.replies("#general", root, 2) == ["A cat.", ""]
    assert [file.content for file in shown(world, root)] == [PNG]


async def shows_a_picture_of_another_workspace(world: World) -> None:
    world.slack.channel("#general").is_ext_shared = True
    alice, files = world.slack.user("alice"), {"cat.png": PNG}
    root = await alice.says("#general", "@bot look", files=files)
    assert await world.replies("#general", root) == ["turn 1: look"]
    assert "input_image" in str(world.fake.requests[-1].body)


async def takes_a_stray_back(world: World) -> None:
    world.slack.workspace.strays = True
    await delete_while_answering(world, "never to be seen")
    assert not any("never" in words(message) for message in world.slack.messages("#general"))


async def gets_a_letter(world: World) -> None:
    await world.ask("#general", "@bot hi")
    alice = world.slack.user("alice")
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    assert (await direct_message_to(world, "alice")).startswith("Done: 1 conversation deleted")


STORIES: dict[str, Story] = {
    "chat.postMessage": is_answered,
    "assistant.threads.setStatus": is_answered,
    "chat.startStream": is_answered_at_length,
    "chat.appendStream": is_answered_at_length,
    "chat.stopStream": is_answered_at_length,
    "agents.sessions.setStatus": is_answered_where_nothing_is_streamed,
    "chat.update": is_answered_by_edits,
    "assistant.threads.setTitle": is_answered_in_the_pane,
    "conversations.replies": is_answered_where_others_spoke,
    "users.info": is_answered_where_others_spoke,
    "files.getUploadURLExternal": gets_a_drawing,
    "files.completeUploadExternal": gets_a_drawing,
    "files.info": shows_a_picture_of_another_workspace,
    "chat.delete": takes_a_stray_back,
    "conversations.open": gets_a_letter,
}


@pytest.mark.parametrize(
    "timing", [replace(BASE_TIMING, answer=replace(ANSWER, session_after=0.2))]
)
@pytest.mark.parametrize("method", STORIES)
async def test_a_rate_limit_of_any_slack_method_leads_to_one_answer(
    world: World, method: str
) -> None:
    world.slack.faults.rate_limit(method, times=2, retry_after=0.2)
    await STORIES[method](world)
    assert set(refused(world)) == {method}
    assert len(world.fake.prompts) == 1
    assert await world.bot.store.dead.list() == ()


async def test_home_and_prompts_appear_at_the_second_opening_if_slack_refused_the_first(
    world: World,
) -> None:
    methods = ["views.publish", "assistant.threads.setSuggestedPrompts"]
    for method in methods:
        world.slack.faults.rate_limit(method)
    alice = world.slack.user("alice")
    for _ in range(2):
        for tab in ("home", "messages"):
            await alice.opens_home(tab)
            await world.slack.settled()
    assert refused(world) == methods
    assert alice.home is not None
    assert world.slack.agent_thread(alice.dm(), "").prompts
    assert [m.text for m in world.slack.messages(alice.dm())] == [GREETING]


async def test_a_rate_limit_at_the_start_delays_the_bot(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path) as world:
        methods = ["auth.test", "apps.connections.open"]
        for method in methods:
            world.slack.faults.rate_limit(method)
        async with open_bot(world.settings, work_part=False):
            await world.slack.wait_for(lambda: world.slack.sockets.connections == 2)
            assert refused(world) == methods
            await is_answered(world)
            assert len(world.fake.prompts) == 1


def refused(world: World) -> list[str]:
    """The calls that met a 429, in order."""
    return [call.method for call in world.slack.calls if call.status == 429]
