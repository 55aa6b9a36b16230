"""Tools: the model asks for calls, they are made once, and it goes on with what came of them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bot.timing import Timing
from tests.fakes.openai import Call, calling
from tests.tools.servers import open_http
from tests.world import World, open_world

ENGINES = ("responses",)

OpenWorld = Callable[..., AbstractAsyncContextManager[World]]


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts"
    path.touch()
    return path


@pytest.fixture
async def server(counts: Path) -> AsyncIterator[str]:
    async with open_http(counts) as url:
        yield url


def tools_file(directory: Path, url: str, *lines: str, head: str = "") -> Path:
    path = directory / "tools.toml"
    path.write_text("\n".join((head, "[servers.s]", f'url = "{url}"', *lines)))
    return path


@pytest.fixture
def open_tools(redis_url: str, tmp_path: Path, timing: Timing, server: str) -> OpenWorld:
    """Opens a world with the server `s`; `lines` are more of its settings, `head` of the file's."""

    def open_(*lines: str, head: str = "", **given: Any) -> AbstractAsyncContextManager[World]:
        path = tools_file(tmp_path, server, *lines, head=head)
        return open_world(redis_url, tmp_path, timing=timing, bot_tools=path, **given)

    return open_


def effects(counts: Path) -> list[str]:
    return counts.read_text().split()


async def test_a_call_is_made_and_the_model_answers_with_its_result(
    open_tools: OpenWorld, counts: Path
) -> None:
    async with open_tools() as world:
        world.fake.answer = [calling(Call("s__read", '{"topic": "rain"}')), "It rains."]
        root = await world.ask("#general", "@bot weather?")
        assert await world.replies("#general", root) == ["It rains."]
    assert effects(counts) == ["read"]
