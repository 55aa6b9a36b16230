"""The worlds of the stories."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bot.timing import Timing
from tests.expiry import keys_without_expiry
from tests.redis_server import RedisServer
from tests.stories.tools import OpenTools
from tests.world import World, open_world

ENGINES = ("responses", "assistants", "echo")


@pytest.fixture
def redis_url(redis_server: RedisServer) -> Iterator[str]:
    """Where the server is, without what other tests have left there. Keys that a story leaves
    expire, unless their family need not."""
    with redis_server.client() as client:
        client.flushall()
    yield redis_server.url
    with redis_server.client() as client:
        wrong = keys_without_expiry(client)
        client.flushall()
    assert not wrong


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
    """A world for each transport of Slack's events."""
    async with open_world(redis_url, tmp_path, timing=timing, socket_mode=request.param) as world:
        yield world


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """A world with the default engine, reached over HTTP."""
    async with open_world(redis_url, tmp_path, timing=timing, socket_mode=False) as world:
        yield world


@pytest.fixture
async def assistants_world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """A world whose AI server has the Assistants protocol."""
    async with open_world(redis_url, tmp_path, timing=timing, engine="assistants") as world:
        yield world


@pytest.fixture(params=["responses", "assistants"])
async def ai_world(
    request: pytest.FixtureRequest, redis_url: str, tmp_path: Path, timing: Timing
) -> AsyncIterator[World]:
    """A world for each engine that talks to a server; answers are posted in one piece."""
    async with open_world(
        redis_url,
        tmp_path,
        engine=request.param,
        socket_mode=False,
        bot_streaming=False,
        timing=timing,
    ) as world:
        yield world


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    path = tmp_path / "counts"
    path.touch()
    return path


@pytest.fixture
async def tool_server(counts: Path) -> AsyncIterator[str]:
    from tests.tools.servers import open_http  # takes a second to import

    async with open_http(counts) as url:
        yield url


@pytest.fixture
def open_tools(redis_url: str, tmp_path: Path, timing: Timing, tool_server: str) -> OpenTools:
    """Opens a world with the MCP server `s`; `lines` are its settings, `head` those of the file."""

    def open_(*lines: str, head: str = "", **given: Any) -> AbstractAsyncContextManager[World]:
        path = tmp_path / "tools.toml"
        path.write_text("\n".join((head, "[servers.s]", f'url = "{tool_server}"', *lines)))
        return open_world(redis_url, tmp_path, timing=timing, bot_tools=path, **given)

    return open_
