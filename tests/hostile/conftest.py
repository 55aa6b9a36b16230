"""Worlds for hostile input: those of the stories, with short pauses between heartbeats and
posts."""

import pytest

from bot.timing import Timing, WorkerTiming
from tests.slack.answers import HURRY
from tests.stories.conftest import each_way_world, world

__all__ = ["each_way_world", "world"]


@pytest.fixture
def timing() -> Timing:
    return Timing(worker=WorkerTiming(heartbeat=0.05), answer=HURRY)
