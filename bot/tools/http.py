"""The HTTP transport of all MCP servers: one pool per process, bodies bounded in size."""

from collections.abc import AsyncIterator

import httpx2

LARGEST_BODY = 8_000_000
"""Maximum bytes of one response."""

MOST_OBJECTS = 20_000
"""Maximum JSON objects in one response, roughly: the SDK needs some 10 µs for each of them, and no
other turn proceeds meanwhile.
"""


class BodyTooLarge(httpx2.TransportError):
    """A server sent more than `LARGEST_BODY` or `MOST_OBJECTS`."""


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
        seen = objects = 0
        async for chunk in self._stream:
            seen += len(chunk)
            objects += chunk.count(b"{")
            if seen > self._most:
                raise BodyTooLarge(f"more than {self._most} bytes")
            if objects > MOST_OBJECTS:
                raise BodyTooLarge(f"more than {MOST_OBJECTS} objects")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
