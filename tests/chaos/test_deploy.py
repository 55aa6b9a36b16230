"""New processes replace the old ones under traffic."""

import asyncio
from pathlib import Path

import pytest

from tests.chaos.deployment import chatty, open_deployment
from tests.chaos.leaving import GRACE
from tests.chaos.outages import answer_everybody_once_more, talk
from tests.chaos.processes import BotProcess
from tests.world import wait_until

pytestmark = pytest.mark.chaos


async def test_a_deploy_under_traffic_neither_loses_nor_duplicates_messages(tmp_path: Path) -> None:
    async with open_deployment(tmp_path) as deployment:
        deployment.fake.answer = chatty(0, seconds=(0.5, 4), long=0)
        old_web, old_worker = await deployment.start("web", "worker")
        talking = asyncio.create_task(talk(deployment, deployment.new_channels(5), 600))
        await wait_until(lambda: _has_answered(old_worker))
        [new_worker] = await deployment.start("worker")
        seconds = await asyncio.gather(old_web.leave(), old_worker.leave())
        before = len(deployment.said)
        await deployment.start(
            "web"
        )  # it needs the port of the old one: until then Slack is refused
        between = deployment.said[before:]
        await asyncio.sleep(1)
        talking.cancel()
        await asyncio.wait([talking])
        await deployment.rests()
        verdict = await answer_everybody_once_more(deployment)
        [handed_over] = old_worker.logged("threads_handed_over")
        print(  # noqa: T201 - for who reads the run
            f"left in {max(seconds):.1f} s, {handed_over['threads']} threads handed over, "
            f"{len(between)} messages said while no web was there; {verdict}"
        )
        assert max(seconds) < GRACE
        assert handed_over["threads"] > 0
        assert new_worker.logged("turn_answered")
        assert between
        assert verdict.given_up == verdict.never_called == 0
        assert verdict.is_clean, str(verdict)


async def _has_answered(worker: BotProcess) -> bool:
    return bool(worker.logged("turn_answered"))
