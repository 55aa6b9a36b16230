"""The SDK's client over aiohttp: its errors when a server violates HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from openai import AsyncOpenAI

from bot.engines.client import open_client
from bot.engines.errors import vendor_errors
from bot.errors import Retry
from bot.timing import EngineTiming
from tests.engines.raw_server import Handler, open_raw_server, settings_for

LARGE = "x" * 20_000_000
"""More than the socket buffers between two processes hold."""


@asynccontextmanager
async def open_server(
    handler: Handler, timing: EngineTiming = EngineTiming()
) -> AsyncIterator[AsyncOpenAI]:
    """A client of a server that does with each connection as `handler` does."""
    async with (
        open_raw_server(handler) as url,
        open_client(settings_for(url), timing) as client,
    ):
        yield client


async def send(client: AsyncOpenAI, text: str, timeout: float = 60) -> None:
    with vendor_errors():
        await client.responses.create(model="m", input=text, timeout=timeout)


async def test_a_server_that_does_not_read_the_request_times_out() -> None:
    over = asyncio.Event()

    async def read_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    timing = EngineTiming(write_timeout=0.2)
    async with open_server(read_nothing, timing) as client, asyncio.timeout(60):
        with pytest.raises(Retry, match="timeout"):
            await send(client, LARGE, timeout=0.5)
        over.set()


@pytest.mark.parametrize(
    "answer",
    [
        b"this is no HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
        b"",
    ],
)
async def test_a_response_that_is_not_http_is_retried_later(answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with open_server(speak) as client:
        with pytest.raises(Retry):
            await send(client, "hi")


async def test_a_refused_connection_is_retried_later() -> None:
    async with open_server(_hang_up) as client:
        unheard = client.with_options(base_url="http://127.0.0.1:9/v1")
        with pytest.raises(Retry):
            await send(unheard, "hi")


async def _hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
