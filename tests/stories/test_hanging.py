"""The AI server hangs in one conversation without affecting others."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.openai import Request
from tests.world import BASE_TIMING, ENGINE, World, open_world

PATIENCE = 600.0
"""Seconds until a request times out: on no machine before the other threads have their answers."""
RUNS = {"responses": "/responses", "assistants": "/threads/*/runs"}


@pytest.mark.parametrize("engine", RUNS)
async def test_a_hanging_run_delays_no_other_thread_and_is_answered_in_the_end(
    redis_url: str, tmp_path: Path, engine: str
) -> None:
    timing = replace(BASE_TIMING, engine=replace(ENGINE, create_timeout=PATIENCE))
    async with open_world(redis_url, tmp_path, engine=engine, timing=timing) as world:
        alice, slack = world.slack.user("alice"), world.slack
        root = await world.ask("#general", "@bot one")
        world.fake.fault("hang_before", "POST", RUNS[engine])
        await alice.says("#general", "two", thread_ts=root)
        await slack.wait_for(lambda: hanging(world))
        spots = [slack.add_channel(f"c{n}", ["alice"]).id for n in range(10)]
        asked = [(spot, await alice.says(spot, f"@bot {spot}")) for spot in spots]
        for spot, thread_ts in asked:
            assert await world.replies(spot, thread_ts) == [f"turn 1: {spot}"]
        assert hanging(world)
        world.fake.end_hanging()
        assert await world.replies("#general", root, 2) == ["turn 1: one", "turn 2: one | two"]
        assert len(world.fake.prompts) == len(asked) + 2
        assert await world.bot.store.dead.list() == ()


def hanging(world: World) -> list[Request]:
    """The requests that the server leaves without an answer."""
    return [request for request in world.fake.open_requests if request.fault == "hang_before"]
