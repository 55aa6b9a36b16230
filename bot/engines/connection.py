"""One HTTP/1.1 connection for GET requests, one at a time."""

import asyncio
from dataclasses import dataclass, field

import httpx2
from httptools import HttpParserError, HttpResponseParser

from bot.engines import transport
from bot.engines.transport import TooLarge

HEAD_BYTES = 64 * 1024
"""The status line and all headers of a response."""


class Dropped(Exception):
    """The server closed the connection before it sent a byte of the response."""


@dataclass(slots=True)
class Response:
    """A response. The body is as the server sent it, perhaps compressed."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        """The first value of a header, whose name is given in lower case; b"" without it."""
        return next((value for key, value in self.headers if key.lower() == name), b"")


class Connection(asyncio.Protocol):
    """Sends requests; a timer watches each, instead of a task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._parser: HttpResponseParser
        self._response = Response()
        self._chunks: list[bytes] = []
        self._length = self._head = 0
        self._in_head = True
        self._is_kept = False
        self._heard = self._silence = self._deadline = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent."""
        link = self._transport
        return self._is_kept and link is not None and not link.is_closing()

    async def send(self, request: bytes, silence: float | None, whole: float | None) -> Response:
        """Send a request, and read the response. Raises the errors of httpx2, and Dropped."""
        if self._transport is None:
            raise Dropped
        self._response, self._chunks = Response(), []
        self._length = self._head = 0
        self._in_head, self._is_kept = True, False
        self._parser = HttpResponseParser(self)
        self._waiter = self._loop.create_future()
        self._watch(silence, whole)
        self._transport.write(request)
        try:
            return await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()

    def close(self) -> None:
        """Close at once: nothing that is still to come matters."""
        self._is_kept = False
        if self._transport is not None:
            self._transport.abort()

    def _watch(self, silence: float | None, whole: float | None) -> None:
        forever = float("inf")
        self._heard = self._loop.time()
        self._silence = forever if silence is None else silence
        self._deadline = forever if whole is None else self._heard + whole
        self._set_timer()

    def _set_timer(self) -> None:
        at = min(self._heard + self._silence, self._deadline)
        self._timer = None if at == float("inf") else self._loop.call_at(at, self._look_at_time)

    def _look_at_time(self) -> None:
        now = self._loop.time()
        if now >= self._deadline or now >= self._heard + self._silence:
            self._fail(httpx2.ReadTimeout("the response took too long"))
        else:
            self._set_timer()

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._waiter is None or self._waiter.done():
            self.close()  # a response to nothing
            return
        self._heard = self._loop.time()
        if self._in_head:
            self._head += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self._is_kept = False
            self._fail(httpx2.RemoteProtocolError(str(error)))
        if self._in_head and self._head > HEAD_BYTES:
            self._fail(httpx2.RemoteProtocolError("the headers are too long"))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._in_head and not self._head:
            self._fail(Dropped())
        elif error is None and self._ends_with_connection:
            self._complete()
        else:
            self._fail(httpx2.ReadError("the server closed the connection"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._waiter is None or self._waiter.done():
            self._is_kept = False  # a second response was not asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._response.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self._response.status = self._parser.get_status_code()
        self._in_head = False

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)
        self._length += len(data)
        if self._length > transport.BODY_BYTES:
            self._fail(TooLarge("the body is too large"))

    def on_message_complete(self) -> None:
        if 100 <= self._response.status < 200:  # the response itself is still to come
            self._response, self._in_head = Response(), True
            return
        self._is_kept = self._parser.should_keep_alive()
        self._complete()

    def _complete(self) -> None:
        response, self._response = self._response, Response()
        response.body = b"".join(self._chunks)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(response)

    @property
    def _ends_with_connection(self) -> bool:
        """Whether the body has no length of its own."""
        response = self._response
        framed = response.header(b"content-length") or response.header(b"transfer-encoding")
        return not self._in_head and not framed
