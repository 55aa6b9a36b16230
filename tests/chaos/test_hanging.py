"""A worker hangs, is given up for dead, and wakes up behind what others have done since."""

from pathlib import Path

import pytest

from tests.chaos.gatekeeper import Gatekeeper, watched_worker
from tests.chaos.processes_world import chatty, open_city
from tests.chaos.verdict import judge
from tests.world import wait_until

pytestmark = pytest.mark.chaos

WRITTEN_DOWN = ("begin", "pace", "save", "record")


@pytest.mark.parametrize("engine", ["responses", "assistants"])
@pytest.mark.timeout(120)
async def test_a_worker_that_wakes_up_late_writes_nothing_more(engine: str, tmp_path: Path) -> None:
    gatekeeper = Gatekeeper(drops=False)
    async with (
        open_city(tmp_path, engine=engine) as city,
        watched_worker(city, gatekeeper) as sleeper,
    ):
        city.fake.answer = chatty(0, seconds=(0.1, 0.1), long=0)
        await city.start("web")
        first, second, *channels = city.new_channels(14)
        for channel in (first, second):  # the first turn loads the scripts
            await city.say(channel)
            await city.rests()
        # Redis has just said "go ahead" to each step that is written down before it is taken.
        points = [p for p in gatekeeper.steps[second] if p.moment == "after"]
        points = [p for p in points if p.step.split()[0] in WRITTEN_DOWN]
        gatekeeper.points = dict(zip(channels, points, strict=False))
        for channel in gatekeeper.points:
            await city.say(channel)
        await gatekeeper.hold_all()
        sleeper.freeze()
        gatekeeper.let_go.set()
        await city.start("worker")
        await city.rests()
        sleeper.thaw()

        async def is_awake() -> bool:
            return bool(sleeper.told("heartbeat_late"))

        await wait_until(is_awake)
        for channel, thread_ts in city.threads:
            await city.say(channel, thread_ts)
        await city.rests()
        verdict = await judge(city)
        print(*gatekeeper.points.values(), verdict, sep="\n")  # noqa: T201 - for who reads the run
        assert len(gatekeeper.held) >= 7
        assert verdict.is_clean, str(verdict)
