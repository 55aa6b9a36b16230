"""Outages of the AI server or Slack, after which each question must be answered once."""

import asyncio
from collections.abc import Callable
from typing import Literal, get_args

from tests.chaos.deployment import Deployment, chatty
from tests.chaos.outages import answer_everybody_once_more, talk
from tests.chaos.verdict import Verdict

Trouble = Literal["ai-down", "ai-drops", "ai-hangs", "ai-flaps", "slack-down", "slack-refuses"]
TROUBLES: tuple[Trouble, ...] = get_args(Trouble)
MANY = 10**9
POSTS = "chat.postMessage chat.update chat.startStream chat.appendStream chat.stopStream"


async def fail(deployment: Deployment, trouble: Trouble, seconds: float) -> None:
    """Let a dependency fail for a time."""
    if trouble == "ai-flaps":
        for _ in range(max(1, round(seconds / 4))):
            await fail(deployment, "ai-down", 2)
            await asyncio.sleep(2)
        return
    START[trouble](deployment)
    await asyncio.sleep(seconds)
    deployment.fake.faults.clear()
    deployment.fake.end_hanging()
    deployment.slack.faults.clear()


START: dict[str, Callable[[Deployment], None]] = {
    "ai-down": lambda deployment: deployment.fake.fault("overloaded", times=None),
    "ai-drops": lambda deployment: deployment.fake.fault("drop_before", times=None),
    "ai-hangs": lambda deployment: deployment.fake.fault("hang_before", times=None),
    "slack-down": lambda deployment: deployment.slack.faults.server_error(
        "*", times=MANY, status=503
    ),
    "slack-refuses": lambda deployment: deployment.slack.faults.refuse(
        POSTS, "team_added_to_org", times=MANY
    ),
}


async def survive_trouble(deployment: Deployment, trouble: Trouble, seconds: float) -> Verdict:
    """Send messages while a dependency fails and a worker is killed; judge after one more answer
    per thread."""
    deployment.fake.answer = chatty(0, seconds=(0.1, 1), long=0)
    _, worker, _ = await deployment.start("web", "worker", "worker")
    talking = asyncio.create_task(talk(deployment, deployment.new_channels(4), 3))
    await asyncio.sleep(0.5)
    failing = asyncio.create_task(fail(deployment, trouble, seconds))
    await asyncio.sleep(seconds / 2)
    await worker.kill()
    await failing
    await talking
    await deployment.rests(120)
    return await answer_everybody_once_more(deployment)
