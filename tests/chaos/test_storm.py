"""A short storm; `python3 dev.py chaos --minutes 30 --kills 200` is a long one."""

from pathlib import Path

import pytest

from tests.chaos import __main__ as command
from tests.chaos.deployment import open_deployment
from tests.chaos.storm import Plan, Report, Storm
from tests.chaos.verdict import Verdict

pytestmark = pytest.mark.chaos

PLAN = Plan(seed=28, seconds=20, kills=5, threads=6)


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_storm_neither_loses_duplicates_nor_reorders_messages(
    tmp_path: Path, engine: str
) -> None:
    print(PLAN.command(engine))  # noqa: T201 - for who reads the run
    async with open_deployment(tmp_path, engine=engine, seed=PLAN.seed) as deployment:
        report = await Storm(deployment, PLAN).run()
    print(report)  # noqa: T201 - for who reads the run
    assert report.acts["kill worker"] > 0
    assert report.acts["kill web"] > 0
    assert report.verdict.messages > report.verdict.given_up + report.verdict.never_called
    assert report.verdict.is_clean, report.verdict


@pytest.mark.parametrize("outcome", ["unclean", "broken off"])
def test_a_failed_storm_prints_the_command_to_repeat_it(
    outcome: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def storm(directory: Path, engine: str, plan: Plan) -> Report:
        if outcome == "broken off":
            raise TimeoutError("no rest")
        verdict = Verdict()
        verdict.complain("lost", "C1 1.0: w000001")
        return Report(verdict=verdict)

    with pytest.raises((SystemExit, TimeoutError)) as ended:
        command.main(["--seed", "7", "--engine", "assistants"], storm)
    reported = f"{ended.value}{capsys.readouterr().err}"
    assert "python3 dev.py chaos --seed 7 --minutes 1 --kills 0 --threads 12" in reported
    assert "--engine assistants" in reported
