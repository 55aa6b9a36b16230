"""Fixtures: a workspace and a real client of the SDK."""

from collections.abc import AsyncIterator

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, open_workspace
from local_slack.tests.bolt import make_client


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with open_workspace(time_factor=0.01) as workspace:
        yield workspace


@pytest.fixture
def client(slack: LocalSlack) -> AsyncWebClient:
    return make_client(slack)
