"""A running fake and the real SDK pointed at it."""

from collections.abc import AsyncIterator, Callable

import pytest
from openai import AsyncOpenAI

from tests.fakes.openai import FakeOpenAI, open_fake_openai

Connect = Callable[[FakeOpenAI], AsyncOpenAI]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Makes clients that never retry and reject responses that the SDK's types do not allow."""
    clients: list[AsyncOpenAI] = []

    def make(fake: FakeOpenAI) -> AsyncOpenAI:
        client = AsyncOpenAI(
            api_key=fake.api_key,
            base_url=fake.base_url,
            max_retries=0,
            timeout=60,
            _strict_response_validation=True,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai() as fake:
        yield fake


@pytest.fixture
def client(fake: FakeOpenAI, connect: Connect) -> AsyncOpenAI:
    return connect(fake)
