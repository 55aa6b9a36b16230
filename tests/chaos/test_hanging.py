"""A worker freezes, its lease expires, and it resumes after others have continued its turns."""

from pathlib import Path

import pytest

from tests.chaos.deployment import chatty, open_deployment
from tests.chaos.gatekeeper import Gatekeeper, watched_worker
from tests.chaos.verdict import judge
from tests.world import wait_until

pytestmark = pytest.mark.chaos

WRITTEN_DOWN = ("begin", "pace", "save", "record")


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_worker_that_resumes_after_its_lease_expired_writes_nothing(
    engine: str, tmp_path: Path
) -> None:
    gatekeeper = Gatekeeper(drops=False)
    async with (
        open_deployment(tmp_path, engine=engine) as deployment,
        watched_worker(deployment, gatekeeper) as sleeper,
    ):
        deployment.fake.answer = chatty(0, seconds=(0.1, 0.1), long=0)
        await deployment.start("web")
        first, second, *channels = deployment.new_channels(14)
        for channel in (first, second):  # the first turn loads the scripts
            await deployment.say(channel)
            await deployment.rests()
        # Redis has just accepted the intent of each step.
        points = [p for p in gatekeeper.steps[second] if p.moment == "after"]
        points = [p for p in points if p.step.split()[0] in WRITTEN_DOWN]
        gatekeeper.points = dict(zip(channels, points, strict=False))
        for channel in gatekeeper.points:
            await deployment.say(channel)
        await gatekeeper.hold_all()
        sleeper.freeze()
        gatekeeper.let_go.set()
        await deployment.start("worker")
        await deployment.rests()
        sleeper.thaw()

        async def is_awake() -> bool:
            return bool(sleeper.logged("heartbeat_late"))

        await wait_until(is_awake)
        for channel, thread_ts in deployment.threads:
            await deployment.say(channel, thread_ts)
        await deployment.rests()
        verdict = await judge(deployment)
        print(*gatekeeper.points.values(), verdict, sep="\n")  # noqa: T201 - for who reads the run
        assert len(gatekeeper.held) >= 5
        assert verdict.is_clean, str(verdict)
