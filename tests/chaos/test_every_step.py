"""A worker is killed at every step of a turn; another one finishes the turn.

One turn is observed through relays to learn its steps. Then one turn per step runs concurrently,
each held at its step: before its request has reached the server, or when the server has handled it
but the response is not delivered yet. Then the worker is killed. Not all turns take the same steps,
and some wait for others that share their request, so missed steps are tried again.
"""

from functools import partial
from pathlib import Path

import pytest

from tests.chaos.deployment import Deployment, chatty, open_deployment
from tests.chaos.gatekeeper import Gatekeeper, Point, watched_worker
from tests.chaos.processes import BotProcess
from tests.chaos.relays import open_redis_relay
from tests.chaos.verdict import judge
from tests.forks import OWN_ROUND_TRIPS
from tests.world import wait_until

pytestmark = pytest.mark.chaos

POSTS = [
    *[("slack POST /api/chat.postMessage", n) for n in (1, 2)],
    *[(f"begin part:{n}", 1) for n in (0, 1)],
    ("settle", 1),
]
STEPS = {
    "responses": [("ai POST /v1/responses", 1), ("record run:0", 1), *POSTS],
    "assistants": [
        *[("ai POST /v1/threads/*/messages", n) for n in (1, 2)],
        *[("begin append:0", n) for n in (1, 2)],
        ("ai POST /v1/threads/*/runs", 1),
        ("record run:0", 1),
        *POSTS,
    ],
}
"""Steps that must be included: the appends, the start of the run, its id, and the posts. The result
of an append or a post is recorded with the next intent, or ends with the turn."""


async def say_two(deployment: Deployment, channel: str) -> None:
    """Mention the bot in a thread and send a second message at once: only a root never waits."""
    root = await deployment.slack.user("alice").says(channel, "good morning")
    await deployment.say(channel, root, mention=True)
    await deployment.say(channel, root)


async def learn_steps(deployment: Deployment, gatekeeper: Gatekeeper) -> list[Point]:
    """The points of a turn of two messages and two posts. The first turn loads the scripts."""
    for channel in deployment.new_channels(2):
        await say_two(deployment, channel)
        await deployment.rests()
        await wait_until(partial(has_settled, gatekeeper, channel))
    return list(dict.fromkeys(gatekeeper.steps[channel]))


async def has_settled(gatekeeper: Gatekeeper, channel: str) -> bool:
    """Whether the reply to the last request of a turn has passed."""
    return Point("settle", 1, "after") in gatekeeper.steps[channel]


async def kill_at(
    points: list[Point], deployment: Deployment, gatekeeper: Gatekeeper, victim: BotProcess
) -> set[Point]:
    """Kill the worker while turns are held at the points; returns the points where one was held."""
    # Holding the reply to a claim blocks all later ones, so it comes last.
    points = sorted(points, key=lambda point: point.step == "XREADGROUP")
    gatekeeper.points = dict(zip(deployment.new_channels(len(points)), points, strict=True))
    for channel, point in gatekeeper.points.items():
        if point.step == "XREADGROUP":
            await gatekeeper.hold_all(but=1, may_stall=True)
        await say_two(deployment, channel)
    await gatekeeper.hold_all(may_stall=True)
    await victim.kill()
    gatekeeper.let_go.set()
    return {gatekeeper.points[channel] for channel in gatekeeper.held}


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_worker_killed_at_any_step_loses_and_repeats_nothing(
    engine: str, tmp_path: Path
) -> None:
    async with open_deployment(tmp_path, engine=engine, BOT_GATHER_SECONDS="0.8") as deployment:
        deployment.fake.answer = chatty(0, seconds=(0.2, 0.2), long=1)
        await deployment.start("web")
        points: list[Point] = []
        missed: list[Point] = []
        for _ in range(8):
            gatekeeper = Gatekeeper()
            async with watched_worker(deployment, gatekeeper) as victim:
                points = points or await learn_steps(deployment, gatekeeper)
                held = await kill_at(missed or points, deployment, gatekeeper, victim)
            missed = [point for point in missed or points if point not in held]
            if not missed:
                break
        await deployment.start("worker")
        await deployment.rests()
        for channel, thread_ts in deployment.threads:
            await deployment.say(channel, thread_ts)
        await deployment.rests()
        verdict = await judge(deployment)
        print(*points, f"{engine}: killed at all but {len(missed)}; {verdict}", sep="\n")  # noqa: T201 - for who reads the run
        assert not missed
        for step, number in STEPS[engine]:
            assert Point(step, number, "before") in points
            assert Point(step, number, "after") in points
        assert verdict.is_clean, str(verdict)


async def test_a_message_is_redelivered_if_web_is_killed_before_or_after_storing_it(
    tmp_path: Path,
) -> None:
    gatekeeper = Gatekeeper()
    async with (
        open_deployment(tmp_path) as deployment,
        open_redis_relay(deployment.redis.socket, gatekeeper) as link,
    ):
        deployment.fake.answer = chatty(0, seconds=(0.1, 0.1), long=0)
        [web] = await deployment.start("web", REDIS_URL=link.url, **OWN_ROUND_TRIPS)
        first, *channels = deployment.new_channels(3)
        await deployment.say(first)  # it loads the script
        await deployment.slack.settled()
        points = [Point("route", 1, "before"), Point("route", 1, "after")]
        gatekeeper.points = dict(zip(channels, points, strict=True))
        said = [await deployment.say(channel) for channel in channels]
        await gatekeeper.hold_all()
        states = [
            await deployment.store.inbox.state(deployment.thread(*where))
            for where in deployment.threads
        ]
        assert [state.state for state in states] == ["ready", "idle", "ready"]
        await web.kill()
        gatekeeper.let_go.set()
        await deployment.start("web", "worker")
        await deployment.rests()
        tries = [len(delivery.attempts) for each in said for delivery in deployment.delivered(each)]
        verdict = await judge(deployment)
        print(verdict)  # noqa: T201 - for who reads the run
        assert len(tries) == 4, "each message and its mention"
        assert min(tries) > 1
        assert verdict.runs == 3
        assert verdict.given_up == 0
        assert verdict.is_clean, str(verdict)
