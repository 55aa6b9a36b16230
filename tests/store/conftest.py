"""The store is tested on the oldest and on the newest server that is supported."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from bot.store import Store
from tests.expiry import keys_without_expiry
from tests.redis_server import RedisServer, find_executables, open_clean_store, run_server

EXECUTABLES = find_executables()
OLDEST_AND_NEWEST = list(dict.fromkeys((*list(EXECUTABLES)[:1], *list(EXECUTABLES)[-1:])))


@pytest.fixture(scope="session", params=OLDEST_AND_NEWEST)
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with run_server(EXECUTABLES[request.param]) as server:
        yield server


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    """An empty store. What a test leaves in it has an expiry, unless its family needs none."""
    async with open_clean_store(redis_server.url) as store:
        yield store
        with redis_server.client() as client:
            wrong = keys_without_expiry(client)
    assert not wrong


@pytest.fixture
def own_server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A private server, which the test may kill, freeze or fill."""
    with run_server(redis_server.executable) as server:
        yield server


@pytest.fixture(scope="session")
def servers() -> Iterator[list[RedisServer]]:
    """Three plain servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(run_server()) for _ in range(3)]


@pytest.fixture
def urls(servers: list[RedisServer]) -> str:
    """Their addresses as a list; the servers are empty, and run."""
    for server in servers:
        with server.client() as client:
            client.flushall()
    return ",".join(server.url for server in servers)
