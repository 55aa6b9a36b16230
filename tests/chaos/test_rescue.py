"""A worker dies or leaves in the middle of its runs; another one goes on with the same runs."""

import time
from pathlib import Path
from statistics import median

import pytest

from tests.chaos.city import open_city
from tests.chaos.leaving import ask_many, leave
from tests.chaos.verdict import judge

pytestmark = pytest.mark.chaos

SOON = 15.0
"""Seconds after the end of a run in which a rescued answer is there."""


@pytest.mark.timeout(120)
async def test_the_runs_of_a_killed_worker_are_followed_to_their_answers(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city:
        await city.start("web")
        [victim] = await city.start("worker")
        await ask_many(city, 20)
        await victim.kill()
        killed = time.time()
        city.fake.finish()  # the worst moment: nobody is there to see it
        await city.start("worker")
        await city.rests()
        answered = [city.slack.replies(*where)[-1].ts for where in city.threads]
        waits = [float(ts) - killed for ts in answered]
        print(f"answered after the kill: p50 {median(waits):.1f}, max {max(waits):.1f} s")  # noqa: T201
        assert max(waits) < SOON
        verdict = await judge(city)
        assert verdict.is_clean, str(verdict)
        assert verdict.runs == 20


@pytest.mark.timeout(170)
async def test_a_worker_that_is_told_to_leave_hands_its_runs_over_at_once(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city:
        left = await leave(city, 50)
        print(left)  # noqa: T201
        assert left.seconds < 10
        assert left.handed_over == left.count
        assert max(left.times) < SOON  # 2 s on a machine that has nothing else to do
        city.fake.finish()
        await city.rests()
        verdict = await judge(city)
        assert verdict.is_clean, str(verdict)
        assert verdict.runs == left.count
