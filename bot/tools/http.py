"""The HTTP transport of all MCP servers: one pool per process, bodies bounded in size."""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass

import httpx2

from bot.tools.bounds import LARGEST_BODY, JsonCounter


class BodyTooLarge(httpx2.TransportError, httpx2.StreamError):
    """A server sent more than the limits allow.

    A StreamError becomes an error response in the SDK: the call was made, its result is lost.
    """


@dataclass(slots=True)
class HttpReply:
    """The HTTP response to a call, as far as it shows whether the MCP server has answered.

    The SDK reports a failed gateway and a refusal by the server as the same error.
    """

    status: int = 0
    media_type: str = ""

    @property
    def is_refusal(self) -> bool:
        """Whether the request was refused before anything was called."""
        return httpx2.codes.is_client_error(self.status) and not self.is_missing

    @property
    def is_missing(self) -> bool:
        """Whether something other than the MCP server may have answered, after the call was made:
        a proxy with a time-out, a page in place of a result."""
        if not self.status:
            return False
        if self.status < httpx2.codes.MULTIPLE_CHOICES:
            return self.status == httpx2.codes.ACCEPTED or self.media_type not in _MEDIA_TYPES
        is_late = self.status == httpx2.codes.REQUEST_TIMEOUT
        return is_late or self.status >= httpx2.codes.INTERNAL_SERVER_ERROR


_MEDIA_TYPES = ("application/json", "text/event-stream")
REPLY: ContextVar[HttpReply | None] = ContextVar("reply", default=None)
"""Set while a call is made, and filled in by the transport: the SDK sends a request in the context
of its caller."""


def _note_reply(request: httpx2.Request, response: httpx2.Response) -> None:
    if request.method == "POST" and (reply := REPLY.get()) is not None:
        reply.status = response.status_code
        reply.media_type = response.headers.get("content-type", "").lower()


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
            response.headers["content-type"] = kind.partition(";")[0].strip()
        _note_reply(request, response)
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
