"""The towns in which the stories happen."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.timing import Timing
from tests.world import Town, open_town

ENGINES = ("responses", "assistants", "echo")


@pytest.fixture(params=ENGINES)
async def any_town(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[Town]:
    """A town for each engine."""
    async with open_town(redis_url, tmp_path, timing=timing, engine=request.param) as town:
        yield town


@pytest.fixture(params=[True, False], ids=["socket", "http"])
async def each_way_town(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[Town]:
    """A town for each way that Slack's events take."""
    async with open_town(redis_url, tmp_path, timing=timing, socket_mode=request.param) as town:
        yield town


@pytest.fixture
async def town(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[Town]:
    """A town with the default engine, reached over HTTP."""
    async with open_town(redis_url, tmp_path, timing=timing, socket_mode=False) as town:
        yield town


@pytest.fixture
async def assistants_town(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[Town]:
    """A town whose AI server speaks the Assistants protocol."""
    async with open_town(redis_url, tmp_path, timing=timing, engine="assistants") as town:
        yield town
