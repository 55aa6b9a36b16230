"""What people see while their answer is not to be had: all are busy, or Slack takes no posts."""

from pathlib import Path

import pytest

from bot.texts.status import RETRYING, THINKING, WAITING
from bot.timing import AnswerTiming, Timing
from tests.fakes.openai import echo, held
from tests.world import Town, open_town, wait_until


def quick(post_patience: float = 120.0) -> Timing:
    """Waits are shown soon."""
    return Timing(
        answer=AnswerTiming(waiting_after=0.2, waiting_check=0.05, post_patience=post_patience)
    )


@pytest.fixture
def timing() -> Timing:
    return quick()


def status(town: Town, root: str) -> str:
    """The status line of a thread."""
    return town.slack.agent_thread("#general", root).status


async def test_what_waits_while_all_are_busy_bears_a_mark_until_it_is_answered(
    redis_url: str, tmp_path: Path, timing: Timing
) -> None:
    async with open_town(redis_url, tmp_path, timing=timing, bot_concurrency=1) as town:
        town.fake.answer = lambda prompt: held(echo(prompt))
        alice, slack = town.slack.user("alice"), town.slack
        first = await alice.says("#general", "@bot one")
        await slack.wait_for(lambda: town.fake.working)
        second = await alice.says("#general", "@bot two")
        await slack.wait_for(lambda: status(town, second) == WAITING)
        assert status(town, first) == THINKING
        town.fake.finish()
        assert await town.replies("#general", first) == ["turn 1: one"]
        await slack.wait_for(lambda: status(town, second) == THINKING)
        await slack.wait_for(lambda: town.fake.working)
        town.fake.finish()
        assert await town.replies("#general", second) == ["turn 1: two"]
        assert status(town, first) == status(town, second) == ""
        assert len(town.fake.prompts) == 2


@pytest.mark.parametrize(
    ("timing", "seen"),
    [(quick(), {THINKING}), (quick(post_patience=1.0), {THINKING, RETRYING})],
    ids=["waited for", "put off"],
)
async def test_while_slack_takes_no_posts_a_status_is_there_until_the_answer_is(
    town: Town, seen: set[str]
) -> None:
    """The pause is short beside Slack's own, and so is what a post sits through of it."""
    town.slack.faults.rate_limit("chat.postMessage", retry_after=3)
    root = await town.slack.user("alice").says("#general", "@bot hi")
    await town.slack.wait_for(lambda: any(c.status == 429 for c in town.slack.calls))
    await town.slack.wait_for(lambda: status(town, root))
    shown = set()

    async def answered() -> bool:
        if town.slack.replies("#general", root):
            return True
        shown.add(status(town, root))
        return False

    await wait_until(answered)
    assert shown == seen
    assert await town.replies("#general", root) == ["turn 1: hi"]
    assert status(town, root) == ""
    assert len(town.fake.prompts) == 1
