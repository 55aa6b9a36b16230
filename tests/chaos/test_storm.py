"""A short storm; `python3 dev.py chaos --minutes 30 --kills 200` is a long one."""

from pathlib import Path

import pytest

from tests.chaos.city import open_city
from tests.chaos.storm import Plan, Storm

pytestmark = pytest.mark.chaos

PLAN = Plan(seed=1, seconds=25, threads=6)


@pytest.mark.timeout(170)
async def test_nothing_is_lost_doubled_or_reordered_in_a_storm(tmp_path: Path) -> None:
    async with open_city(tmp_path, seed=PLAN.seed) as city:
        report = await Storm(city, PLAN).run()
    print(report)  # noqa: T201
    assert report.kills > 0
    assert report.verdict.is_clean, f"{PLAN}: {report}"
