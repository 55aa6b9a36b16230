"""Connections of our own to the AI server, for polls and streams.

Thousands of runs are polled, and streams send an event for each token: the layers of an HTTP client
cost several times as much as the requests and events themselves.
"""

import asyncio
import socket
import ssl
import zlib
from contextlib import suppress

import httpx2
from aiohappyeyeballs import start_connection

from bot.engines import transport
from bot.engines.connection import ConnectionDropped, HttpConnection, Response
from bot.engines.transport import WINDOWS, ResponseTooLarge

NEXT_ADDRESS = 0.25
"""Seconds after which the next address of a host is tried, too (RFC 8305): without working IPv6,
the first one does not answer."""


class Pools:
    """The pools of all servers of a client."""

    def __init__(self, context: ssl.SSLContext, kept: float) -> None:
        self._context = context
        self._kept = kept
        self._pools: dict[tuple[str, str, int | None], Pool] = {}

    def of(self, url: httpx2.URL) -> "Pool":
        """The pool of the server of a URL."""
        key = (url.scheme, url.host, url.port)
        if key not in self._pools:
            self._pools[key] = Pool(url, self._context, self._kept)
        return self._pools[key]

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()


class Pool:
    """Connections to one server, kept for `kept` seconds after each request.

    Raises the errors of httpx2. Timeouts in seconds: to `connect`, of `silence`, and for the
    `whole` request.
    """

    def __init__(self, url: httpx2.URL, context: ssl.SSLContext, kept: float) -> None:
        self._host = url.host
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._context = context if url.scheme == "https" else None
        self._kept = kept
        self._idle: list[tuple[HttpConnection, float]] = []
        self._sweep: asyncio.TimerHandle | None = None

    async def get(
        self, head: bytes, *, connect: float | None, silence: float | None, whole: float | None
    ) -> Response:
        """The response to a GET request. It is repeated once if the server had closed the
        connection before it came.
        """
        if (known := self._take()) is not None:
            with suppress(ConnectionDropped):
                return await self._send(known, head, silence, whole)
        try:
            return await self._send(await self._connect(connect), head, silence, whole)
        except ConnectionDropped as error:
            raise httpx2.ConnectError("the server closed the connection") from error

    async def _send(
        self, connection: HttpConnection, head: bytes, silence: float | None, whole: float | None
    ) -> Response:
        response = await connection.send(head, silence, whole)
        self.release(connection)
        return response

    async def open(
        self, request: bytes, *, connect: float | None, silence: float | None
    ) -> tuple[HttpConnection, Response]:
        """Send a request once. The caller reads the body from the connection and releases it."""
        connection = self._take() or await self._connect(connect)
        try:
            return connection, await connection.open(request, silence)
        except ConnectionDropped as error:  # the server may have read the request
            raise httpx2.ReadError("the server closed the connection") from error

    def release(self, connection: HttpConnection) -> None:
        """Keep a connection for the next request, if it can be used again."""
        if connection.is_reusable:
            loop = asyncio.get_running_loop()
            self._idle.append((connection, loop.time()))
            if self._sweep is None:
                self._sweep = loop.call_later(self._kept, self._close_idle)
        else:
            connection.close()

    def _take(self) -> HttpConnection | None:
        """The connection that was used last, if it can be used again."""
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection, since = self._idle.pop()
            if connection.is_reusable and now - since < self._kept:
                return connection
            connection.close()
        return None

    async def _connect(self, seconds: float | None) -> HttpConnection:
        """A new connection. asyncio tries several addresses, too, but leaves the socket open if it
        is cancelled."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                opened = await start_connection(found, happy_eyeballs_delay=NEXT_ADDRESS)
                _, connection = await loop.create_connection(
                    HttpConnection,
                    sock=opened,
                    ssl=self._context,
                    server_hostname=self._host if self._context else None,
                )
        except TimeoutError as error:
            raise httpx2.ConnectTimeout("no connection in time") from error
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        return connection

    def _close_idle(self) -> None:
        now = asyncio.get_running_loop().time()
        fresh = [(each, since) for each, since in self._idle if now - since < self._kept]
        for connection, since in self._idle:
            if now - since >= self._kept:
                connection.close()
        self._idle = fresh
        pause = self._kept - (now - fresh[0][1]) if fresh else None
        loop = asyncio.get_running_loop()
        self._sweep = None if pause is None else loop.call_later(pause, self._close_idle)

    def close(self) -> None:
        """Close all connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection, _ in self._idle:
            connection.close()
        self._idle.clear()


def head_of(url: httpx2.URL, headers: httpx2.Headers) -> bytes:
    """The lines of a request below the first one, without the blank line that ends them."""
    given = ((name.lower(), value) for name, value in headers.raw)
    named = [(b"Host", url.netloc), *(each for each in given if each[0] != b"host")]
    return b"".join(name + b": " + value + b"\r\n" for name, value in named)


def body_of(response: Response) -> bytes | bytearray:
    """The body of a response, decompressed and bounded; the response no longer holds it."""
    if response.is_error:
        return _decompressed(response, transport.ERROR_BYTES)
    body = _decompressed(response, transport.BODY_BYTES + 1)
    if len(body) > transport.BODY_BYTES:
        raise ResponseTooLarge("the body is too large")
    return body


def _decompressed(response: Response, most: int) -> bytes | bytearray:
    encoding = response.header(b"content-encoding").strip().lower().decode("latin-1")
    body, response.body = response.body, b""
    if encoding in ("", "identity"):
        return body
    if encoding not in WINDOWS:
        raise httpx2.RemoteProtocolError(f"content-encoding {encoding[:20]} was not offered")
    inflater, inflated = transport.Inflater(encoding), bytearray()
    try:
        for start in range(0, len(body), transport.PIECE):
            for piece in inflater.inflate(bytes(body[start : start + transport.PIECE])):
                inflated += piece[: most - len(inflated)]
                if len(inflated) == most:
                    return inflated
        inflated += inflater.finish()[: most - len(inflated)]
    except zlib.error as error:
        raise httpx2.DecodingError(str(error)) from None
    return inflated
