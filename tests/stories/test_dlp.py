"""Protected data does not reach the AI server by any route."""

import json
from pathlib import Path

import pytest

from bot.texts.dlp import WITHHELD, WITHHELD_OUTPUT, refused
from bot.texts.files import UNREADABLE
from tests.dlp.services import open_service
from tests.fakes.openai import calling, held
from tests.stories.tools import OpenTools, read, script
from tests.world import World, open_world

REFUSED = refused("a code word")


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "dlp.toml"
    path.write_text('["a code word"]\npattern = "falcon"\n')
    return path


def sent(world: World) -> str:
    """Everything that the AI server got."""
    return json.dumps([request.body for request in world.fake.requests], default=str).lower()


async def test_a_protected_question_is_refused_each_time(
    redis_url: str, tmp_path: Path, rules: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_dlp_rules=rules) as world:
        root = await world.ask("#general", "@bot what is project Falcon?")
        await world.ask("#general", "@bot and F\u200bALCON?", thread_ts=root)
        await world.ask("#general", "@bot hello", thread_ts=root)
        *refusals, answer = await world.replies("#general", root, 3)
        assert refusals == [REFUSED, REFUSED]
        assert answer == "turn 1: hello"
        assert "falcon" not in sent(world)


async def test_a_waiting_question_that_is_edited_is_checked_again(
    redis_url: str, tmp_path: Path, rules: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_dlp_rules=rules) as world:
        world.fake.answer = [held("first")]
        alice = world.slack.user("alice")
        root = await alice.says("#general", "@bot hello")
        await world.slack.wait_for(lambda: world.fake.working)
        second = await alice.says("#general", "@bot more", thread_ts=root)
        await alice.edits("#general", second, "@bot more about falcon")
        world.fake.finish()
        assert await world.replies("#general", root, 2) == ["first", REFUSED]
        assert "falcon" not in sent(world)


async def test_protected_messages_of_others_are_left_out(
    redis_url: str, tmp_path: Path, rules: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_dlp_rules=rules) as world:
        bob = world.slack.user("bob")
        root = await bob.says("#general", "falcon starts on Monday")
        await world.ask("#general", "@bot when?", thread_ts=root)
        await bob.says("#general", "keep the falcon quiet", thread_ts=root)
        await world.ask("#general", "@bot what now?", thread_ts=root)
        answers = await world.replies("#general", root, 2)
        assert "alice: when?" in answers[0]
        assert "alice: what now?" in answers[1]
        assert WITHHELD.lower() in sent(world)
        assert "falcon" not in sent(world)


async def test_only_files_that_can_be_checked_are_sent(
    redis_url: str, tmp_path: Path, rules: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_dlp_rules=rules) as world:
        alice = world.slack.user("alice")
        first = await alice.says("#general", "@bot read", files={"a.txt": b"the falcon plan"})
        assert await world.replies("#general", first) == [REFUSED]
        second = await alice.says("#general", "@bot read", files={"a.pdf": b"%PDF- falcon"})
        (answer,) = await world.replies("#general", second)
        assert UNREADABLE in answer
        assert "falcon" not in sent(world)
        assert "file_data" not in sent(world)


async def test_the_output_of_a_tool_is_withheld(open_tools: OpenTools, tmp_path: Path) -> None:
    (path := tmp_path / "dlp.toml").write_text('["weather"]\npattern = "about rain"\n')
    async with open_tools('ask = "never"', bot_dlp_rules=path) as world:
        world.fake.answer = script(calling(read("rain")))
        root = await world.ask("#general", "@bot weather?")
        assert await world.replies("#general", root) == [WITHHELD_OUTPUT]
        assert "about rain" not in sent(world)


async def test_a_rebuilt_conversation_is_checked_with_the_rules_of_now(
    redis_url: str, tmp_path: Path, rules: Path
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        root = await world.ask("#general", "@bot falcon")
        world = await world.replaced(bot_dlp_rules=rules)
        world.fake.conversations.clear()
        before = len(world.fake.requests)
        await world.ask("#general", "@bot hello", thread_ts=root)
        after = json.dumps([each.body for each in world.fake.requests[before:]], default=str)
        assert WITHHELD in after
        assert "falcon" not in after


async def test_while_the_service_is_down_questions_wait(redis_url: str, tmp_path: Path) -> None:
    async with open_service() as service:
        service.status = 503
        async with open_world(redis_url, tmp_path, bot_dlp_url=service.url) as world:
            root = await world.slack.user("alice").says("#general", "@bot hello")
            await world.slack.wait_for(lambda: service.asked)
            await world.wait_for_state(world.key("#general", root), "later")
            assert world.fake.requests == []
            service.status = 200
            assert await world.replies("#general", root) == ["turn 1: hello"]
