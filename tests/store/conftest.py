"""The store is tested on the oldest and on the newest server that is supported."""

from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer, find_executables, run_server

EXECUTABLES = find_executables()
OLDEST_AND_NEWEST = list(dict.fromkeys((*list(EXECUTABLES)[:1], *list(EXECUTABLES)[-1:])))


@pytest.fixture(scope="session", params=OLDEST_AND_NEWEST)
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    with run_server(EXECUTABLES[request.param]) as server:
        yield server


@pytest.fixture
def own_server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A server of the test's own, to be killed, frozen or filled."""
    with run_server(redis_server.executable) as server:
        yield server
