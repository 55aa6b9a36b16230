"""Worlds and servers for the tests of operations."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.slack.scopes import SCOPES
from bot.timing import Timing
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.fakes.openai import FakeOpenAI, open_fake_openai
from tests.world import World, open_world


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """A world with the default engine, reached over HTTP."""
    async with open_world(redis_url, tmp_path, timing=timing, socket_mode=False) as world:
        yield world


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    """A workspace whose app has all scopes."""
    async with open_workspace(scopes=SCOPES) as workspace:
        yield workspace


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    """An AI server."""
    async with open_fake_openai() as server:
        yield server
