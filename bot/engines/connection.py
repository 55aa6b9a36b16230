"""One HTTP/1.1 connection to the AI server, for one request at a time."""

import asyncio
import math
import re
from dataclasses import dataclass, field

import httpx2
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from bot.engines import transport
from bot.engines.batching import KernelBatch
from bot.engines.transport import ResponseTooLarge

HEAD_BYTES = 64 * 1024
"""Bytes besides the body that may arrive at once: the status line and all headers, extensions of
chunks, or trailers."""
UNREAD_BYTES = 256 * 1024
"""Bytes of a streamed body that are buffered for its reader; then the server has to wait."""
GATHERED = 0.2
"""Seconds for which the pieces of a streamed body are collected. A model sends a hundred tokens a
second, each as one piece, and waking a task for each costs more than reading it. What is shown of
an answer changes less often."""
URGENT = re.compile(
    rb"\.(?:completed|failed|incomplete|cancelled|requires_action)|error"
    rb'|finish_reason": ?"|\[DONE\]'
)
"""Words in events that may end a run: these wake the reader at once."""
LONGEST_WORD = 20


class ConnectionDropped(Exception):
    """The server closed the connection before it sent a byte of the response."""


@dataclass(slots=True)
class Response:
    """A response. The body is as the server sent it, perhaps compressed."""

    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes | bytearray = b""

    @property
    def is_error(self) -> bool:
        """Whether the server refused the request or failed."""
        return self.status >= 400

    def header(self, name: bytes) -> bytes:
        """The first value of a header, whose name is given in lower case; b"" without it."""
        return next((value for key, value in self.headers if key.lower() == name), b"")


class HttpConnection(asyncio.Protocol):
    """Sends requests. A timer watches each, not a task."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._link: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._parser: HttpResponseParser | None = None
        self._response = Response()
        self._streamed = False
        self._data = bytearray()
        self._length = self._beside = 0
        self._in_head = self._is_complete = True
        self._is_kept = False
        self._failure: Exception | None = None
        self._heard = self._deadline = self._read_at = 0.0
        self._silence = math.inf
        self._is_urgent = False
        self._timer: asyncio.TimerHandle | None = None
        self._gathering: asyncio.TimerHandle | None = None
        self._kernel = KernelBatch()

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent. Reading is paused behind a full body that no one
        read."""
        is_open = self._link is not None and not self._link.is_closing()
        return is_open and self._is_kept and self._is_complete and not self._is_full

    async def send(self, request: bytes, silence: float | None, whole: float | None) -> Response:
        """Send a request, and read the response. Raises the errors of httpx2, and Dropped."""
        self._begin(request, silence, whole, streamed=False)
        await self._wait()
        response, self._response = self._response, Response()
        response.body, self._data = self._data, bytearray()
        return response

    async def open(self, request: bytes, silence: float | None) -> Response:
        """Like `send`, without reading the body."""
        self._begin(request, silence, None, streamed=True)
        await self._wait()
        return self._response

    async def read(self) -> bytes:
        """The next part of the body; b"" at its end."""
        while not self._is_complete and not (self._data and self._is_due):
            await self._wait()
        self._check()
        data, self._data, self._length = bytes(self._data), bytearray(), 0
        self._read_at, self._is_urgent = self._loop.time() + GATHERED, False
        if self._link is not None:
            self._link.resume_reading()
        return data

    def close(self) -> None:
        """Close at once, without waiting for the rest of the response."""
        self._is_kept = False
        self._end()
        if self._link is not None:
            self._link.abort()

    def _begin(
        self, request: bytes, silence: float | None, whole: float | None, *, streamed: bool
    ) -> None:
        if self._link is None:
            raise ConnectionDropped
        self._response, self._data = Response(), bytearray()
        self._length = self._beside = 0
        self._in_head, self._is_complete, self._is_kept = True, False, False
        self._failure, self._streamed, self._is_urgent = None, streamed, False
        self._parser = HttpResponseParser(self)
        self._heard = self._loop.time()
        self._silence = math.inf if silence is None else silence
        self._deadline = math.inf if whole is None else self._heard + whole
        self._set_timer()
        self._link.write(request)

    async def _wait(self) -> None:
        """Wait until there is something to read, or for the whole response."""
        self._waiter = self._loop.create_future()
        if self._data:
            self._gather()
        try:
            await self._waiter
        except BaseException:
            self.close()
            raise
        finally:
            self._waiter = None
        self._check()

    def _check(self) -> None:
        """Raise the error of the connection, unless data that arrived before it is still unread."""
        if self._failure is not None and not (self._streamed and self._data):
            self.close()
            raise self._failure

    @property
    def _is_due(self) -> bool:
        return self._is_urgent or self._is_full or self._loop.time() >= self._read_at

    def _wake(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _gather(self) -> None:
        """Wake the reader a little later."""
        if self._gathering is None:
            self._gathering = self._loop.call_at(self._read_at, self._wake)

    def _fail(self, error: Exception) -> None:
        if self._is_complete:
            return
        self._failure = error
        if not self._streamed:
            self._data = bytearray()
        self._complete()
        if self._link is not None:
            self._link.abort()  # perhaps no one reads the body any more

    def _set_timer(self) -> None:
        at = min(self._heard + self._silence, self._deadline)
        self._timer = None if at == math.inf else self._loop.call_at(at, self._look_at_time)

    def _look_at_time(self) -> None:
        now = self._loop.time()
        if self._link is not None and (self._link.get_write_buffer_size() or self._is_full):
            self._heard = now  # the server still reads, or we do
        if now >= self._deadline or now >= self._heard + self._silence:
            self._fail(httpx2.ReadTimeout("the response took too long"))
        else:
            self._set_timer()

    @property
    def _is_full(self) -> bool:
        return self._streamed and self._length > UNREAD_BYTES

    def _end(self) -> None:
        for timer in (self._timer, self._gathering):
            if timer is not None:
                timer.cancel()
        self._timer = self._gathering = None
        self._kernel.release()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._link = transport

    def data_received(self, data: bytes) -> None:
        if self._is_complete or self._parser is None:
            self.close()  # a response to nothing
            return
        self._heard = self._loop.time()
        self._beside += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._is_kept = False
            self._fail(httpx2.RemoteProtocolError(str(error)))
        if self._beside > HEAD_BYTES:
            self._is_kept = False
            self._fail(httpx2.RemoteProtocolError("the headers or trailers are too long"))
        if self._streamed and self._data and not self._is_complete:
            self._on_streamed(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._link is not None:
            self._link.close()  # one that was aborted refers to itself
        self._link = self._parser = None
        if self._in_head and not self._beside:
            self._fail(ConnectionDropped())
        elif error is None and self._ends_with_connection:
            self._complete()
        else:
            self._fail(httpx2.ReadError("the server closed the connection"))

    # What the parser calls.

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._is_kept = False  # a second response was not asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head and not self._is_complete:
            self._response.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._is_complete or self._parser is None:
            return
        status = self._parser.get_status_code()
        self._response.status, self._in_head = status, False
        if self._streamed and status >= 200:
            self._wake()

    def on_body(self, data: bytes) -> None:
        if self._is_complete:
            return
        self._data += data
        self._length += len(data)
        self._beside = 0
        if self._streamed:
            return
        if self._response.is_error and self._length > transport.ERROR_BYTES:
            self._cut()
        elif self._length > transport.BODY_BYTES:
            self._fail(ResponseTooLarge("the body is too large"))

    def _cut(self) -> None:
        """Leave the rest of the body unread."""
        self._complete()
        if self._link is not None:
            self._link.abort()

    def _on_streamed(self, data: bytes) -> None:
        """Wake the reader, or collect more."""
        start = max(0, len(self._data) - len(data) - LONGEST_WORD)
        self._is_urgent = self._is_urgent or bool(URGENT.search(self._data, start))
        if self._waiter is not None and (self._gathering is None or self._is_due):
            (self._wake if self._is_due else self._gather)()
        if self._link is not None:
            self._kernel.hold(self._link)
            if self._is_full:
                self._link.pause_reading()

    def on_message_complete(self) -> None:
        if self._is_complete:
            return
        if self._response.status < 200:  # the response itself is still to come
            self._response, self._in_head = Response(), True
            return
        self._is_kept = self._parser is not None and self._parser.should_keep_alive()
        self._complete()

    def _complete(self) -> None:
        self._is_complete = True
        self._end()
        self._wake()

    @property
    def _ends_with_connection(self) -> bool:
        """Whether the body has no length of its own."""
        response = self._response
        framed = response.header(b"content-length") or response.header(b"transfer-encoding")
        return not self._in_head and not framed
