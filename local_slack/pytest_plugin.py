"""Fixtures for the tests of a Slack app: `local_slack` is a running workspace.

pytest loads this module automatically once the package is installed. The fixture needs
pytest-asyncio; without it, open a workspace with `open_workspace`.
"""

import importlib.util
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from local_slack.local_slack import LocalSlack

NEEDS_PLUGIN = "local_slack needs pytest-asyncio: pip install 'threadbot-local-slack[pytest]'"


@pytest.fixture
def local_slack_options() -> dict[str, Any]:
    """Arguments of `open_workspace` for the `local_slack` fixture; override it to change them."""
    return {"time_factor": 0.01}


async def _running(local_slack_options: dict[str, Any]) -> "AsyncIterator[LocalSlack]":
    """A running workspace with alice, bob and carol, closed after the test."""
    from local_slack.server import open_workspace  # imported only when a test uses it

    async with open_workspace(**local_slack_options) as workspace:
        yield workspace


def _missing() -> None:
    """A fixture that names the package to install."""
    raise pytest.UsageError(NEEDS_PLUGIN)


if importlib.util.find_spec("pytest_asyncio"):
    import pytest_asyncio

    local_slack = pytest_asyncio.fixture(_running, name="local_slack")
else:
    local_slack = pytest.fixture(_missing, name="local_slack")
