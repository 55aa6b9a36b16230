"""Runs start at the allowed rate, in fair order."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.turn import throttle
from local_slack.workspace.changes import Change
from tests.fakes.openai import Request
from tests.stories.test_deliveries import tries
from tests.world import World, open_world

PER_MINUTE = 900
BUSY = 40


@contextmanager
def asking_on_and_on(world: World, count: int) -> Iterator[list[str]]:
    """Channels with one thread each, where every answer is followed by the next question
    immediately."""
    slack, tasks = world.slack, set[asyncio.Task[str]]()
    alice, busy = (
        slack.user("alice"),
        [slack.add_channel(f"c{n}", ["alice"]).id for n in range(count)],
    )

    def ask(change: Change) -> None:
        message = change.data.get("message", {})
        if change.kind == "message_posted" and message["user"] == slack.bot.id:
            spot = change.data["channel_id"]
            if spot in busy:
                question = alice.says(spot, "and then?", thread_ts=message["thread_ts"])
                tasks.add(asyncio.create_task(question))

    stop = slack.workspace.changes.observe(ask)
    try:
        yield busy
    finally:
        stop()


def started(world: World) -> list[Request]:
    """The runs, in order."""
    return [r for r in world.fake.requests if r.path == "/responses" and r.took_effect]


@pytest.mark.parametrize("concurrency", [2000, 10])
async def test_a_late_thread_is_served_within_one_round_of_busy_ones(
    redis_url: str, tmp_path: Path, concurrency: int
) -> None:
    async with open_world(
        redis_url,
        tmp_path,
        socket_mode=False,
        bot_runs_per_minute=PER_MINUTE,
        bot_concurrency=concurrency,
    ) as world:
        rate, burst = throttle.rate_and_burst(PER_MINUTE)
        alice, slack = world.slack.user("alice"), world.slack
        with asking_on_and_on(world, BUSY) as busy:
            roots = [(spot, await alice.says(spot, "@bot begin")) for spot in busy]
            await slack.wait_for(lambda: len(started(world)) >= BUSY + burst)
            root = await slack.user("bob").says("#general", "@bot me too")
            await slack.wait_for(lambda: tries(world, root))  # it was delivered
            before = len(started(world))
            await slack.wait_for(lambda: slack.replies("#general", root))
        runs = started(world)
        mine = next(n for n, run in enumerate(runs) if "me too" in str(run.body))
        assert BUSY / 4 < mine - before <= BUSY + burst
        rounds = Counter(run.body["conversation"] for run in runs[:mine])
        assert len(rounds) == BUSY
        assert max(rounds.values()) - min(rounds.values()) <= 2
        assert await world.replies("#general", root) == ["turn 1: me too"]
        for spot, thread_ts in roots:
            await world.rests(spot, thread_ts)
        times = sorted(run.time for run in started(world))
        # Requests may arrive late, and then in a burst.
        assert times[-1] - times[0] >= (len(times) - 1 - burst) / rate - 0.5
