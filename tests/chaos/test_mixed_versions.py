"""Processes of the previous release and of this one share one Redis, under traffic and kills."""

import asyncio
import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.chaos.deployment import chatty, open_deployment
from tests.chaos.outages import answer_everybody_once_more, talk
from tests.chaos.processes import BotProcess
from tests.ports import free_port
from tests.world import wait_until

pytestmark = pytest.mark.chaos

ROOT = Path(__file__).resolve().parents[2]
PREVIOUS = "c531f62205be657e963b397c975b1639022697d6"
"""The commit of the previous release; its recordings are in tests/data/previous_version."""


@pytest.fixture(scope="module")
def previous_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the previous release, out of the history."""
    found = subprocess.run(
        ["git", "archive", PREVIOUS, "bot"], cwd=ROOT, capture_output=True, check=False
    )
    if found.returncode:
        pytest.skip(f"the history has no commit {PREVIOUS}: a shallow clone")
    directory = tmp_path_factory.mktemp("previous")
    with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory


async def test_old_and_new_processes_answer_each_message_once(
    previous_code: Path, tmp_path: Path
) -> None:
    """An upgrade that is rolled back: each version resumes turns that the other has begun."""
    async with open_deployment(tmp_path) as deployment:
        old = {"PYTHONPATH": str(previous_code)}
        deployment.fake.answer = chatty(0, seconds=(0.2, 1.5), long=0.1)
        old_web = deployment.process("web", **old)
        first, second = deployment.process("worker", **old), deployment.process("worker")
        port = free_port()
        new_web = deployment.process("web", PORT=str(port))
        started = (old_web, first, second, new_web)
        for process in started:
            await process.start()
        for process in started:
            await process.ready()
        talking = asyncio.create_task(talk(deployment, deployment.new_channels(4), 600))
        await asyncio.gather(answers(first), answers(second))
        await second.kill()
        deployment.slack.events_url = f"http://127.0.0.1:{port}/slack/events"
        await old_web.leave()
        [third] = await deployment.start("worker")
        await answers(third)
        await first.kill()
        [last] = await deployment.start("worker", **old)
        await answers(last)
        await third.leave()
        talking.cancel()
        await asyncio.wait([talking])
        await deployment.rests()
        verdict = await answer_everybody_once_more(deployment)
        assert verdict.is_clean, str(verdict)


async def answers(worker: BotProcess) -> None:
    """Wait until a worker has answered some messages."""

    async def has_answered() -> bool:
        return len(worker.logged("turn_answered")) > 2

    await wait_until(has_answered)
