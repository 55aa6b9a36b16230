"""Worlds for the tests of operations."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.timing import Timing
from tests.world import World, open_world


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """A world with the default engine, reached over HTTP."""
    async with open_world(redis_url, tmp_path, timing=timing, socket_mode=False) as world:
        yield world
