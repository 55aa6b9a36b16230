"""The choice of an engine."""

from pathlib import Path
from typing import Any

import pytest

from bot.engines import open_engine
from tests.engines.engines import ask, begin, settings_for
from tests.fakes.openai import FakeOpenAI


@pytest.mark.parametrize("name", ["responses", "assistants", "echo"])
async def test_the_engine_is_the_one_that_is_named(
    name: Any, fake: FakeOpenAI, tmp_path: Path
) -> None:
    settings = settings_for(fake, bot_engine=name, bot_state_dir=tmp_path)
    async with open_engine(settings) as engine:
        assert engine.name == name
        update = await ask(engine, await begin(engine), "hello")
    assert "hello" in update.text
