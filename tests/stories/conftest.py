"""The worlds in which the stories happen."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.timing import Timing
from tests.world import World, open_world

ENGINES = ("responses", "assistants", "echo")


@pytest.fixture(params=ENGINES)
async def any_world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[World]:
    """A world for each engine."""
    async with open_world(redis_url, tmp_path, timing=timing, engine=request.param) as world:
        yield world


@pytest.fixture(params=[True, False], ids=["socket", "http"])
async def each_way_world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[World]:
    """A world for each way that Slack's events take."""
    async with open_world(redis_url, tmp_path, timing=timing, socket_mode=request.param) as world:
        yield world


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """A world with the default engine, reached over HTTP."""
    async with open_world(redis_url, tmp_path, timing=timing, socket_mode=False) as world:
        yield world


@pytest.fixture
async def assistants_world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """A world whose AI server speaks the Assistants protocol."""
    async with open_world(redis_url, tmp_path, timing=timing, engine="assistants") as world:
        yield world
