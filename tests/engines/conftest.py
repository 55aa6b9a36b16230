"""The engines on a fake server."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from bot.engines import Engine
from tests.engines.engines import open_assistants_on, open_echo_at, open_responses_on
from tests.fakes.openai import FakeOpenAI, open_fake_openai


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai() as server:
        yield server


KINDS = (
    "responses",
    "responses-polled",
    "responses-foreground",
    "responses-replayed",
    "responses-chat",
    "assistants",
    "assistants-polled",
    "echo",
)


@pytest.fixture(params=KINDS)
async def engine(
    request: pytest.FixtureRequest, fake: FakeOpenAI, tmp_path: Path
) -> AsyncIterator[Engine]:
    name, _, way = request.param.partition("-")
    fake.options.conversations = way not in ("replayed", "chat")
    fake.options.responses = way != "chat"
    fake.options.background_stream = way != "foreground"
    async with AsyncExitStack() as stack:
        if name == "echo":
            yield await stack.enter_async_context(open_echo_at(tmp_path / "echo.db"))
        elif name == "assistants":
            opened = open_assistants_on(fake, bot_streaming=way != "polled")
            yield await stack.enter_async_context(opened)
        else:
            responses = open_responses_on(fake, bot_streaming=way != "polled")
            yield await stack.enter_async_context(responses)


@pytest.fixture(params=[True, False], ids=["streamed", "polled"])
def streaming(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)
