"""The smallest app: it answers mentions and explains what it cannot do."""

from pathlib import Path
from typing import Any

from bot.slack.scopes import MINIMAL, MINIMAL_EVENTS
from bot.texts.files import NO_SCOPE
from tests.world import open_world

APP: dict[str, Any] = {"scopes": MINIMAL, "events": MINIMAL_EVENTS}


async def test_the_smallest_app_answers_mentions(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, **APP) as world:
        alice, bob = world.slack.user("alice"), world.slack.user("bob")
        root = await alice.says("#general", "nobody reads this")
        await world.ask("#general", "@bot hello", thread_ts=root)
        await world.ask("#general", "@bot and me?", who="bob", thread_ts=root)
        answers = await world.replies("#general", root, 2)
        assert answers[0] == "turn 1: hello"
        assert f"{bob.id}: and me?" in answers[1]
        await bob.says("#general", "no mention", thread_ts=root)
        asked = await alice.says("#general", "@bot read", files={"a.txt": b"text"})
        (answer,) = await world.replies("#general", asked)
        assert NO_SCOPE in answer
        assert len(await world.replies("#general", root)) == 2


async def test_an_answer_after_a_crash_is_given_without_reading_the_thread(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, **APP) as world:
        world.slack.faults.drop("chat.postMessage")
        root = await world.slack.user("alice").says("#general", "@bot hello")
        answers = await world.replies("#general", root)
        assert set(answers) == {"turn 1: hello"}
