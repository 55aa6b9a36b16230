"""Answers that are shown while they are written, with and without faults."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from local_slack.workspace.changes import Change
from local_slack.workspace.model import Message
from tests.fakes.openai import Answer, held, parts, slow
from tests.world import World, open_world, wait_until, words

LONG = "\n\n".join(f"Paragraph {n} says **something** of its own." for n in range(40))


def methods(world: World, prefix: str = "chat.") -> list[str]:
    """The called Slack methods, only those of messages."""
    return [call.method for call in world.slack.calls if call.method.startswith(prefix)]


def looks(world: World) -> int:
    """How often the run was polled, or its stream reopened."""
    runs = [work.id for work in (*world.fake.responses.values(), *world.fake.runs.values())]
    return sum(request.path.rpartition("/")[2] in runs for request in world.fake.requests)


def texts(messages: list[Message]) -> list[str]:
    return [words(message) for message in messages]


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_longer_answer_grows_in_one_stream(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, engine=engine) as world:
        world.fake.answer = [held(LONG, after=20)]
        began = asyncio.get_running_loop().time()
        root = await world.slack.user("alice").says("#general", "@bot tell me")
        seen: set[int] = set()

        async def grows() -> bool:
            before = len(seen)
            seen.update(len(text) for text in texts(world.slack.replies("#general", root)))
            return len(seen) > before

        for _ in range(2):
            await wait_until(grows)
            world.fake.send_more()
        await wait_until(grows)
        world.fake.finish()
        assert await world.replies("#general", root) == [LONG]
        assert methods(world)[0] == "chat.startStream"
        assert methods(world)[-1] == "chat.stopStream"
        assert "chat.postMessage" not in methods(world)
        seconds = asyncio.get_running_loop().time() - began
        assert methods(world).count("chat.appendStream") <= seconds + 1
        (message,) = world.slack.replies("#general", root)
        assert message.metadata is not None
        assert message.metadata["event_payload"]["part"] == 0


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_the_shown_text_stays_while_a_broken_stream_is_replaced(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, engine=engine) as world:
        path = "/responses" if engine == "responses" else "/threads/*/runs"
        world.fake.fault("drop_stream", "POST", path, events=40)
        # Not all at once: aiohttp discards unread data when a connection breaks.
        world.fake.answer = [slow(held(LONG, after=100), len(LONG) / 12 * 0.05)]
        root = await world.slack.user("alice").says("#general", "@bot tell me")
        shown: list[str] = []

        def look(_: Change) -> None:
            shown.extend(texts(world.slack.replies("#general", root)))

        stop = world.slack.workspace.changes.observe(look)
        await world.slack.wait_for(lambda: any(shown))
        await world.slack.wait_for(lambda: looks(world) >= 2)
        world.fake.finish()
        assert await world.replies("#general", root) == [LONG]
        stop()
        assert all(later.startswith(earlier) for earlier, later in pairwise(shown))
        assert len(set(shown)) > 1


async def test_a_quick_answer_is_one_post(world: World) -> None:
    root = await world.ask("#general", "@bot hi")
    await world.rests("#general", root)
    assert methods(world) == ["chat.postMessage"]


async def test_the_assistants_steps_are_shown_as_cards(world: World) -> None:
    answer = Answer(LONG, items=(parts.web_search("tides"),), seconds=3)
    world.fake.answer = [answer]
    root = await world.slack.user("alice").says("#general", "@bot look it up")
    assert await world.replies("#general", root) == [LONG]
    (message,) = world.slack.replies("#general", root)
    (card,) = [block for block in message.blocks if block["type"] == "task_card"]
    assert card["title"] == "Searching the web: tides"
    assert card["status"] == "complete"


async def test_one_refused_group_does_not_stop_streaming_elsewhere(world: World) -> None:
    alice = world.slack.user("alice")
    group = alice.dm("bob")
    world.fake.answer = lambda _: slow(LONG, 3)
    began = asyncio.get_running_loop().time()
    first = await alice.says(group, "@bot tell us")
    assert await world.replies(group, first) == [LONG]
    seconds = asyncio.get_running_loop().time() - began
    assert 1 <= methods(world).count("chat.update") <= seconds / 3 + 1  # and one at the end
    second = await alice.says("#general", "@bot tell me")
    assert await world.replies("#general", second) == [LONG]
    assert methods(world)[-1] == "chat.stopStream"
    third = await alice.says(group, "@bot once more")
    assert await world.replies(group, third) == [LONG]
    assert methods(world).count("chat.startStream") == 2
