"""The HTTP transport of all MCP servers: one pool per process, bodies bounded in size."""

from collections.abc import AsyncIterator

import httpx2

LARGEST_BODY = 8_000_000
"""Maximum bytes of one response."""


class BodyTooLarge(httpx2.TransportError):
    """A server sent more than `LARGEST_BODY`."""


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Limits the size of responses."""

    def __init__(self, most: int = LARGEST_BODY) -> None:
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=40)
        self._pool = httpx2.AsyncHTTPTransport(limits=limits)
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; reading the response raises BodyTooLarge beyond the limit."""
        response = await self._pool.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        response.stream = _BoundedStream(response.stream, self._most)
        return response

    async def aclose(self) -> None:
        """Close the pool."""
        await self._pool.aclose()


class _BoundedStream(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, most: int) -> None:
        self._stream = stream
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for chunk in self._stream:
            seen += len(chunk)
            if seen > self._most:
                raise BodyTooLarge(f"more than {self._most} bytes")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
