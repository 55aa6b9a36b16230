"""The HTTP transport of all MCP servers: one pool per process, bodies bounded in size."""

from collections.abc import AsyncIterator

import httpx2

from bot.tools.bounds import LARGEST_BODY, JsonCounter


class BodyTooLarge(httpx2.TransportError, httpx2.StreamError):
    """A server sent more than the limits allow.

    A StreamError becomes an error response in the SDK: the call was made, its result is lost.
    """


class McpTransport(httpx2.AsyncBaseTransport):
    """Limits the size of responses.

    They may not be compressed, and are read as UTF-8: otherwise the limits would not hold.
    """

    def __init__(self, most: int = LARGEST_BODY) -> None:
        limits = httpx2.Limits(max_connections=200, max_keepalive_connections=40)
        self._pool = httpx2.AsyncHTTPTransport(limits=limits)
        self._most = most

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; reading the response raises BodyTooLarge beyond the limit."""
        request.headers["Accept-Encoding"] = "identity"
        response = await self._pool.handle_async_request(request)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
            await response.stream.aclose()
            raise httpx2.RemoteProtocolError("the response is compressed")
        if kind := response.headers.get("content-type"):
            response.headers["content-type"] = kind.partition(";")[0]
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
        counter = JsonCounter(self._most)
        async for chunk in self._stream:
            if problem := counter.add(chunk):
                raise BodyTooLarge(problem)
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
