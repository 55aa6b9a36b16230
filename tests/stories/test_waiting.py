"""What people see while their answer has to wait: workers are busy, or Slack refuses posts."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.texts.status import RETRYING, THINKING, WAITING
from bot.timing import Timing
from tests.fakes.openai import echo, held
from tests.world import ANSWER, BASE_TIMING, World, open_world, wait_until


def quick(post_patience: float = 120.0) -> Timing:
    """A timing with which waiting is shown soon."""
    shown_soon = replace(ANSWER, waiting_after=0.2, waiting_check=0.05, post_patience=post_patience)
    return replace(BASE_TIMING, answer=shown_soon)


TIMING = quick()


def status(world: World, root: str) -> str:
    """The status line of a thread."""
    return world.slack.agent_thread("#general", root).status


async def test_a_message_waiting_for_a_busy_worker_shows_a_status_until_it_is_answered(
    redis_url: str, tmp_path: Path, timing: Timing
) -> None:
    async with open_world(redis_url, tmp_path, timing=timing, bot_concurrency=1) as world:
        world.fake.answer = lambda prompt: held(echo(prompt))
        alice, slack = world.slack.user("alice"), world.slack
        first = await alice.says("#general", "@bot one")
        await slack.wait_for(lambda: world.fake.working)
        second = await alice.says("#general", "@bot two")
        await slack.wait_for(lambda: status(world, second) == WAITING)
        assert status(world, first) == THINKING
        world.fake.finish()
        assert await world.replies("#general", first) == ["turn 1: one"]
        await slack.wait_for(lambda: status(world, second) == THINKING)
        await slack.wait_for(lambda: world.fake.working)
        world.fake.finish()
        assert await world.replies("#general", second) == ["turn 1: two"]
        assert status(world, first) == status(world, second) == ""
        assert len(world.fake.prompts) == 2


@pytest.mark.parametrize(
    ("timing", "seen"),
    [(quick(), {THINKING}), (quick(post_patience=1.0), {THINKING, RETRYING})],
    ids=["waited for", "put off"],
)
async def test_a_status_is_shown_while_slack_refuses_posts(world: World, seen: set[str]) -> None:
    """Slack's pause is short here, and so is the patience of a post."""
    world.slack.faults.rate_limit("chat.postMessage", retry_after=3)
    root = await world.slack.user("alice").says("#general", "@bot hi")
    await world.slack.wait_for(lambda: any(c.status == 429 for c in world.slack.calls))
    await world.slack.wait_for(lambda: status(world, root))
    shown = set()

    async def answered() -> bool:
        if world.slack.replies("#general", root):
            return True
        shown.add(status(world, root))
        return False

    await wait_until(answered)
    assert shown == seen
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert status(world, root) == ""
    assert len(world.fake.prompts) == 1
