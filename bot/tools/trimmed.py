"""Trims messages of MCP servers to the parts that are used.

The SDK validates each part of a result several times, and no other turn proceeds meanwhile.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from anyio import EndOfStream
from mcp.client import Transport
from mcp.shared.message import SessionMessage
from mcp_types import JSONRPCNotification, JSONRPCResponse

from bot.tools.stdio import Incoming

if TYPE_CHECKING:  # private, and named in the type of `Transport`
    from mcp.shared._stream_protocols import ReadStream, WriteStream

MOST_BLOCKS = 1_000
"""Maximum content blocks of a result."""
MOST_LISTED = 500
"""Maximum tools on one page of a list."""
IGNORED = ("notifications/message", "notifications/progress", "notifications/resources/")
"""The prefixes of notifications that are not used."""


@asynccontextmanager
async def trimmed(
    transport: Transport, on_end: Callable[[], None]
) -> AsyncIterator["tuple[ReadStream[Incoming], WriteStream[SessionMessage]]"]:
    """A transport whose messages are trimmed. `on_end` is called when the server has closed it."""
    async with transport as (incoming, outgoing):
        yield _Trimmed(incoming, on_end), outgoing


class _Trimmed:
    def __init__(self, stream: "ReadStream[Incoming]", on_end: Callable[[], None]) -> None:
        self._stream = stream
        self._on_end = on_end

    async def receive(self) -> Incoming:
        while True:
            try:
                message = await self._stream.receive()
            except EndOfStream:
                self._on_end()
                raise
            if not _is_ignored(message):
                return _trim(message)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Incoming:
        try:
            return await self.receive()
        except EndOfStream:
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Self:
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        return await self._stream.__aexit__(kind, error, trace)


def _is_ignored(message: Incoming) -> bool:
    content = message.message if isinstance(message, SessionMessage) else None
    return isinstance(content, JSONRPCNotification) and content.method.startswith(IGNORED)


def _trim(message: Incoming) -> Incoming:
    content = message.message if isinstance(message, SessionMessage) else None
    if isinstance(content, JSONRPCResponse):
        result = content.result
        blocks, tools = result.get("content"), result.get("tools")
        if isinstance(blocks, list) and len(blocks) > MOST_BLOCKS:
            rest = f"[cut: {MOST_BLOCKS} of {len(blocks)} blocks]"
            result["content"] = [*blocks[:MOST_BLOCKS], {"type": "text", "text": rest}]
        if isinstance(tools, list):
            result["tools"] = tools[:MOST_LISTED]
    return message
