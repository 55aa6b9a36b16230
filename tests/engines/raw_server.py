"""Servers whose responses a test writes byte by byte."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from bot.settings import Settings

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def open_raw_server(handler: Handler) -> AsyncIterator[str]:
    """The base URL of a server that does with each connection as `handler` does."""
    server = await asyncio.start_server(handler, "127.0.0.1")
    host, port = server.sockets[0].getsockname()
    try:
        yield f"http://{host}:{port}/v1"
    finally:
        server.close()


def settings_for(base_url: str, **given: Any) -> Settings:
    """The settings of a bot whose AI server is at this address."""
    return Settings(
        _env_file=None,
        slack_bot_token="xoxb-1",
        slack_app_token="xapp-1",
        openai_api_key="sk-1",
        openai_base_url=base_url,
        **given,
    )


def replying(reply: Callable[[bytes], bytes]) -> Handler:
    """A handler that answers the head of a request with `reply`, and closes the connection."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(reply(await reader.readuntil(b"\r\n\r\n")))
            await writer.drain()
        writer.close()

    return handle
