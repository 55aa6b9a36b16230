"""A worker is killed at every single step of a turn; another one goes on, and nobody notices.

One turn is watched through relays to learn its steps. Then as many turns as there are steps run
side by side, each of them held at another step: before its request has reached the server, or when
the server has done its work and the answer is still on its way. Then the worker is killed.
"""

from pathlib import Path

import pytest

from tests.chaos.city import City, chatty, open_city
from tests.chaos.gatekeeper import Gatekeeper, Point, watched_worker
from tests.chaos.verdict import judge

pytestmark = pytest.mark.chaos


async def learn_steps(city: City, gatekeeper: Gatekeeper) -> list[Point]:
    """The points of a turn of two messages and two posts. The first turn loads the scripts."""
    for channel in city.new_channels(2):
        root = await city.say(channel)
        await city.say(channel, root.thread_ts)
        await city.rests()
    return list(dict.fromkeys(gatekeeper.steps[channel]))


@pytest.mark.parametrize("engine", ["responses", "assistants"])
@pytest.mark.timeout(170)
async def test_a_worker_killed_at_any_step_leaves_nothing_undone_or_done_twice(
    engine: str, tmp_path: Path
) -> None:
    gatekeeper = Gatekeeper()
    async with (
        open_city(tmp_path, engine=engine, BOT_GATHER_SECONDS="0.8") as city,
        watched_worker(city, gatekeeper) as victim,
    ):
        city.fake.answer = chatty(0, seconds=(0.2, 0.2), long=1)
        await city.start("web")
        points = await learn_steps(city, gatekeeper)
        # The answer to a claim holds up all that come after it: that one is the last.
        points.sort(key=lambda point: point.step == "XREADGROUP")
        gatekeeper.points = dict(zip(city.new_channels(len(points)), points, strict=True))
        for channel, point in gatekeeper.points.items():
            if point.step == "XREADGROUP":
                await gatekeeper.hold_all(but=1)
            root = await city.say(channel)
            await city.say(channel, root.thread_ts)
        await gatekeeper.hold_all()
        await victim.kill()
        gatekeeper.let_go.set()
        await city.start("worker")
        await city.rests()
        for channel, thread_ts in city.threads:
            await city.say(channel, thread_ts)
        await city.rests()
        verdict = await judge(city)
        held = [point for channel, point in gatekeeper.points.items() if channel in gatekeeper.held]
        print(*held, f"{engine}: killed at {len(held)} points; {verdict}", sep="\n")  # noqa: T201
        assert len(held) > 0.8 * len(points)
        assert verdict.is_clean, str(verdict)
