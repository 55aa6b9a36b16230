"""Faults of the AI server, Slack or Redis, after which each question must be answered once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal, get_args

from tests.chaos.deployment import Deployment, chatty
from tests.chaos.outages import answer_everybody_once_more, talk
from tests.chaos.verdict import Verdict
from tests.fakes.openai import Answer, Prompt, held
from tests.world import words

Outage = Literal["ai-down", "ai-drops", "ai-hangs", "ai-flaps", "slack-down", "slack-refuses"]
Longer = Literal[
    "ai-loses-runs", "ai-refuses-deletions", "ai-ignores-stops", "redis-restored", "slack-hangs"
]
Trouble = Outage | Longer
OUTAGES: tuple[Outage, ...] = get_args(Outage)
TROUBLES: tuple[Trouble, ...] = (*OUTAGES, *get_args(Longer))
SECRET = "hunter2"
SLOWLY = "slowly"
STOPPED_WITHIN = 30.0
"""In seconds: the worker that streams the answer may be killed in between."""
MANY = 10**9
POSTS = "chat.postMessage chat.update chat.startStream chat.appendStream chat.stopStream"


async def fail(deployment: Deployment, trouble: Trouble, seconds: float) -> None:
    """Let a dependency fail for a time."""
    if trouble in SPECIAL:
        await SPECIAL[trouble](deployment, seconds)
        return
    START[trouble](deployment)
    await asyncio.sleep(seconds)
    deployment.fake.faults.clear()
    deployment.fake.end_hanging()
    deployment.slack.faults.clear()


async def _flap(deployment: Deployment, seconds: float) -> None:
    for _ in range(max(1, round(seconds / 4))):
        await fail(deployment, "ai-down", 2)
        await asyncio.sleep(2)


async def _lose_runs(deployment: Deployment, seconds: float) -> None:
    """The server restarts: it breaks all streams, and shows its runs as in progress forever."""
    await deployment.slack.wait_for(lambda: deployment.fake.working)
    for work in deployment.fake.working:
        work.lose()
    deployment.fake.fault("drop_before", "GET", times=10)
    await asyncio.sleep(seconds)


async def _refuse_deletions(deployment: Deployment, seconds: float) -> None:
    """A person resets a thread during the outage: its messages must not be sent again."""
    deployment.fake.fault("error", "DELETE", times=None, status=405)
    [channel] = deployment.new_channels(1)
    alice = deployment.slack.user("alice")
    root = await alice.says(channel, f"@bot my password is {SECRET}")
    await _replies(deployment, channel, root, 1)
    await alice.says(channel, "reset", thread_ts=root)
    await _replies(deployment, channel, root, 2)
    before = len(deployment.fake.requests)
    await alice.says(channel, "@bot what do you know?", thread_ts=root)
    await _replies(deployment, channel, root, 3)
    await asyncio.sleep(seconds)
    assert SECRET not in str([each.body for each in deployment.fake.requests[before:]])
    deployment.fake.faults.clear()


async def _ignore_stops(deployment: Deployment, seconds: float) -> None:
    """A person stops an answer that the server continues to write."""
    deployment.fake.options.cancels = False
    [channel] = deployment.new_channels(1)
    alice = deployment.slack.user("alice")
    root = await alice.says(channel, f"@bot count {SLOWLY}")
    await deployment.slack.wait_for(lambda: deployment.fake.working)
    await _replies(deployment, channel, root, 1)
    await alice.says(channel, "stop", thread_ts=root)
    await deployment.slack.wait_for(
        lambda: "_Stopped._" in words(deployment.slack.replies(channel, root)[0]), STOPPED_WITHIN
    )
    shown = [words(message) for message in deployment.slack.replies(channel, root)]
    deployment.fake.finish()
    await asyncio.sleep(seconds)
    assert [words(message) for message in deployment.slack.replies(channel, root)] == shown
    deployment.fake.options.cancels = True


async def _restore(deployment: Deployment, seconds: float) -> None:
    """A copy of Redis that is some seconds old comes back."""
    copy = deployment.directory / "copy"
    await asyncio.to_thread(deployment.redis.copy_data, copy)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(deployment.redis.restore_data, copy)


async def _replies(deployment: Deployment, channel: str, root: str, count: int) -> None:
    await deployment.slack.wait_for(
        lambda: len(deployment.slack.replies(channel, root)) >= count, 60
    )


SPECIAL: dict[str, Callable[[Deployment, float], Awaitable[None]]] = {
    "ai-flaps": _flap,
    "ai-loses-runs": _lose_runs,
    "ai-refuses-deletions": _refuse_deletions,
    "ai-ignores-stops": _ignore_stops,
    "redis-restored": _restore,
}
START: dict[str, Callable[[Deployment], None]] = {
    "ai-down": lambda deployment: deployment.fake.fault("overloaded", times=None),
    "ai-drops": lambda deployment: deployment.fake.fault("drop_before", times=None),
    "ai-hangs": lambda deployment: deployment.fake.fault("hang_before", times=None),
    "slack-down": lambda deployment: deployment.slack.faults.server_error(
        "*", times=MANY, status=503
    ),
    "slack-hangs": lambda deployment: deployment.slack.faults.hang("*", times=MANY),
    "slack-refuses": lambda deployment: deployment.slack.faults.refuse(
        POSTS, "team_added_to_org", times=MANY
    ),
}


async def survive_trouble(deployment: Deployment, trouble: Trouble, seconds: float) -> Verdict:
    """Send messages while a dependency fails and a worker is killed; judge after one more answer
    per thread."""
    chat = chatty(0, seconds=(0.1, 1), long=0)

    def answer(prompt: Prompt) -> Answer:
        last = prompt.user_messages[-1]
        text = " ".join(f"word{n}" for n in range(200))
        return held(text, after=30) if SLOWLY in last else chat(prompt)

    deployment.fake.answer = answer
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
