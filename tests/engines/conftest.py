from collections.abc import AsyncIterator

import pytest

from tests.fakes.openai import FakeOpenAI, open_fake_openai


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai() as server:
        yield server
