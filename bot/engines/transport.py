"""A transport that limits the size of responses, and reports how a connection failed.

A broken proxy can send an endless body or line. The worker must not run out of memory.
"""

import sys
import time
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx2

from bot.engines.size import JSON_TOKENS, MIB, count_tokens

BODY_BYTES = 20 * MIB
"""A JSON body."""
ERROR_BYTES = 256 * 1024
"""What is read of the body of an error; a longer one is cut off."""
DELETED_BYTES = 256 * 1024
"""What is read of the body of a deletion, which no one needs: a server may return what it has
deleted."""
FILE_BYTES = 40 * MIB
EVENT_BYTES = 12 * MIB
"""One server-sent event; an image that a model has drawn comes in one."""
PIECE = 64 * 1024
"""Bytes of a body that are handled at once."""
STREAM_BYTES = 512 * MIB
"""A complete event stream. It is read in chunks, so only its CPU time matters."""
STREAMED = "streamed"
"""The extension of a request whose response is streamed."""
EXTRA_SECONDS = "extra_seconds"
"""The extension for the total time of a request beyond its read timeout."""
_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_ZLIB = 15
_GZIP = b"\x1f\x8b"
"""The first bytes of a member of gzip."""
_METHOD = 8
"""The first half byte of a zlib header."""
WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": _ZLIB}
"""The content encodings that a response may have, with the window of zlib for each."""


class ResponseTooLarge(httpx2.RequestError):
    """The server sent more than the limit."""


async def read_whole(stream: httpx2.AsyncByteStream) -> bytearray:
    """The body of a response. An error holds no part of it."""
    body = bytearray()
    try:
        async for chunk in stream:
            body += chunk
    except BaseException:
        body.clear()
        raise
    finally:
        await stream.aclose()
    return body


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Wraps a transport: every response has the limits of its kind."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            response = await self._inner.handle_async_request(request)
        except httpx2.ConnectTimeout as error:
            # The SDK's aiohttp transport calls every failed connection a timeout.
            cause = error.__cause__
            if isinstance(cause, aiohttp.ClientConnectionError | OSError) and not isinstance(
                cause, TimeoutError
            ):
                raise httpx2.ConnectError(str(error)) from cause
            raise
        stream = response.stream
        assert isinstance(stream, httpx2.AsyncByteStream)
        try:
            response.stream = _limited(request, response, stream)
        except httpx2.RemoteProtocolError:
            await stream.aclose()
            raise
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _limited(
    request: httpx2.Request, response: httpx2.Response, stream: httpx2.AsyncByteStream
) -> httpx2.AsyncByteStream:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        if encoding not in WINDOWS:
            raise httpx2.RemoteProtocolError(f"content-encoding {encoding[:20]} was not offered")
        del response.headers["content-encoding"]
        stream = _Decompressed(stream, encoding)
    seconds = whole_timeout(request)
    if response.is_error:
        return FirstBytes(stream, ERROR_BYTES, seconds)
    is_events = response.headers.get("content-type", "").startswith("text/event-stream")
    if is_events and request.extensions.get(STREAMED):
        return BoundedEvents(stream)
    if request.url.path.endswith("/content"):
        return BoundedBody(stream, FILE_BYTES, seconds)
    if request.method == "DELETE":
        return FirstBytes(stream, DELETED_BYTES, seconds)
    return BoundedBody(stream, BODY_BYTES, seconds, json=True)


def whole_timeout(request: httpx2.Request) -> float | None:
    """Seconds for a whole request, its body included; for a stream: until it begins."""
    read = request.extensions.get("timeout", {}).get("read")
    return None if read is None else float(read) + request.extensions.get(EXTRA_SECONDS, 0.0)


class _Wrapped(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def aclose(self) -> None:
        await self._stream.aclose()


class Pieces(httpx2.AsyncByteStream):
    """A body that was read, as a stream; it is emptied at the end."""

    def __init__(self, body: bytearray) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(0, len(self._body), PIECE):
            yield bytes(self._body[at : at + PIECE])
        self._body.clear()

    async def aclose(self) -> None:
        self._body.clear()


class BoundedBody(_Wrapped):
    """A body of at most `most` bytes that arrives within `seconds`.

    With `json` the number of its values is bounded, too.
    """

    def __init__(
        self,
        stream: httpx2.AsyncByteStream,
        most: int,
        seconds: float | None,
        *,
        json: bool = False,
    ) -> None:
        super().__init__(stream)
        self._left = most
        self._deadline = None if seconds is None else time.monotonic() + seconds
        self._tokens = JSON_TOKENS if json else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._stream:
            self._left -= len(chunk)
            if self._tokens is not None:
                self._tokens -= count_tokens(chunk)
            if self._left < 0 or (self._tokens is not None and self._tokens < 0):
                raise ResponseTooLarge("the body is too large")
            if self._deadline is not None and time.monotonic() > self._deadline:
                raise httpx2.ReadTimeout("the body took too long")
            yield chunk


class FirstBytes(_Wrapped):
    """At most `most` bytes of a body, read within `seconds`."""

    def __init__(self, stream: httpx2.AsyncByteStream, most: int, seconds: float | None) -> None:
        super().__init__(stream)
        self._body = BoundedBody(stream, sys.maxsize, seconds)
        self._left = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._body:
            yield chunk[: self._left]
            self._left -= len(chunk)
            if self._left <= 0:
                return


class BoundedEvents(_Wrapped):
    """An event stream: bounds each event, and the whole."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        total = event = tokens = 0
        tail = b""
        async for chunk in self._stream:
            total += len(chunk)
            rest = _behind_last_event(tail + chunk)
            tail = chunk[-3:] if len(chunk) >= 3 else (tail + chunk)[-3:]
            if rest is None:
                event, tokens = event + len(chunk), tokens + count_tokens(chunk)
            else:
                event, tokens = len(rest), count_tokens(rest)
            if event > EVENT_BYTES or tokens > JSON_TOKENS or total > STREAM_BYTES:
                raise ResponseTooLarge("the event is too large")
            yield chunk
            del chunk, rest


def _behind_last_event(data: bytes) -> bytes | None:
    """The bytes after the last blank line; None if there is none."""
    ends = [at + len(end) for end in _EVENT_ENDS if (at := data.rfind(end)) >= 0]
    return data[max(ends) :] if ends else None


class Inflater:
    """Decompresses a body piece by piece.

    Gzip may have several members: some proxies compress each piece on its own. Some servers leave
    out the header of `deflate`.
    """

    def __init__(self, encoding: str) -> None:
        self._window = WINDOWS[encoding]
        self._inflater: Any = None
        self._held = b""

    def inflate(self, data: bytes) -> Iterator[bytes]:
        """The content of the next bytes, at most 1 MiB at once. Raises zlib.error."""
        data, self._held = self._held + data, b""
        while data:
            if self._inflater is None or self._inflater.eof:
                if self._inflater is not None and not self._begins_member(data):
                    return
                self._inflater = zlib.decompressobj(self._window_of(data))
            yield self._inflater.decompress(data, MIB)
            is_over = self._inflater.eof
            data = self._inflater.unused_data if is_over else self._inflater.unconsumed_tail

    def finish(self) -> bytes:
        """The rest, at the end of the body. Raises zlib.error."""
        return self._inflater.flush() if self._inflater else b""

    def _begins_member(self, data: bytes) -> bool:
        """Whether another member follows; other bytes behind a member are ignored."""
        if self._window == _ZLIB:
            return False
        if len(data) < len(_GZIP):
            self._held = data
        return data.startswith(_GZIP)

    def _window_of(self, data: bytes) -> int:
        is_headless = self._window == _ZLIB and data[0] & 15 != _METHOD
        return -_ZLIB if is_headless else self._window


class _Decompressed(_Wrapped):
    """Decompresses piece by piece: a small body may expand to a thousand times its size."""

    def __init__(self, stream: httpx2.AsyncByteStream, encoding: str) -> None:
        super().__init__(stream)
        self._inflater = Inflater(encoding)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                for piece in self._inflater.inflate(chunk):
                    yield piece
            yield self._inflater.finish()
        except zlib.error as error:
            raise httpx2.DecodingError(str(error)) from None
