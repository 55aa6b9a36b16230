"""The AI server or Slack fails under load while a worker is killed: nothing is lost or repeated."""

from pathlib import Path

import pytest

from bot.texts.answers import WORDS
from tests.chaos.dependencies import OUTAGES, Trouble, survive_trouble
from tests.chaos.deployment import open_deployment
from tests.world import words

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("trouble", OUTAGES)
async def test_an_outage_neither_loses_nor_duplicates_messages(
    trouble: Trouble, tmp_path: Path
) -> None:
    async with open_deployment(tmp_path) as deployment:
        verdict = await survive_trouble(deployment, trouble, 8)
        print(verdict)  # noqa: T201 - for who reads the run
        assert verdict.is_clean, str(verdict)
        said = [
            words(message)
            for channel, thread_ts in deployment.threads
            for message in deployment.slack.replies(channel, thread_ts)
        ]
        assert not [text for text in said if WORDS["dead"] in text or WORDS["unavailable"] in text]
        assert await deployment.store.dead.list() == ()
