"""The town in which the bot is looked into."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.timing import Timing
from tests.world import Town, open_town


@pytest.fixture
async def town(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[Town]:
    """A town with the default engine, reached over HTTP."""
    async with open_town(redis_url, tmp_path, timing=timing, socket_mode=False) as town:
        yield town
