"""No worker is running: people see that their messages wait, and get their answers later."""

from pathlib import Path

import pytest

from bot.texts.status import NO_WORKER
from tests.chaos.deployment import open_deployment
from tests.chaos.verdict import judge

pytestmark = pytest.mark.chaos


async def test_a_message_without_a_worker_shows_a_status_until_it_is_answered(
    tmp_path: Path,
) -> None:
    async with open_deployment(tmp_path) as deployment:
        await deployment.start("web")
        [channel] = deployment.new_channels(1)
        said = [await deployment.say(channel) for _ in range(3)]
        agents = [deployment.slack.agent_thread(channel, message.ts) for message in said]
        await deployment.slack.wait_for(lambda: all(a.status == NO_WORKER for a in agents))
        await deployment.start("worker")
        await deployment.rests()
        verdict = await judge(deployment)
        assert verdict.is_clean, str(verdict)
