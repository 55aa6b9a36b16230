"""A worker dies or leaves during its runs; another one continues the same runs."""

import time
from pathlib import Path
from statistics import median

import pytest

from tests.chaos.deployment import open_deployment
from tests.chaos.leaving import GRACE, ask_many, leave
from tests.chaos.verdict import judge

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.parametrize("engine", ["responses", "assistants"]),
]

SOON = 30.0
"""Seconds after the end of a run within which a rescued answer is posted: eight for the lease of
the dead worker, the others for a loaded machine."""


async def test_another_worker_finishes_the_runs_of_a_killed_worker(
    engine: str, tmp_path: Path
) -> None:
    async with open_deployment(tmp_path, engine=engine) as deployment:
        _, victim, _ = await deployment.start("web", "worker", "worker")
        await ask_many(deployment, 20)
        states = [
            await deployment.store.inbox.state(deployment.thread(*where))
            for where in deployment.threads
        ]
        orphans = sum(f":{victim.pid}:" in state.worker for state in states)
        await victim.kill()
        killed = time.time()
        deployment.fake.finish()  # the worst moment: no worker is running
        await deployment.rests()
        answered = [deployment.slack.replies(*where)[-1].ts for where in deployment.threads]
        waits = [float(ts) - killed for ts in answered]
        print(  # noqa: T201 - for who reads the run
            f"{orphans} orphans; answered after the kill: "
            f"p50 {median(waits):.1f}, max {max(waits):.1f} s"
        )
        assert orphans
        assert max(waits) < SOON
        verdict = await judge(deployment)
        assert verdict.is_clean, str(verdict)
        assert verdict.runs == 20


async def test_a_worker_hands_its_runs_over_immediately_on_sigterm(
    engine: str, tmp_path: Path
) -> None:
    async with open_deployment(tmp_path, engine=engine) as deployment:
        left = await leave(deployment, 30)
    print(left)  # noqa: T201 - for who reads the run
    assert left.broken(SOON, GRACE) == []  # far less on an idle machine
