"""The HTTP port, with limits on connections and on the time that a peer may take for a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.http import HttpProcessingError

from bot.errors import ConfigError
from bot.telemetry.log import log

MOST_CONNECTIONS = 1000
REQUEST_SECONDS = 10.0
"""Limit for the headers of a request, counted from its first byte, and for its body."""
MOST_BYTES = 2 * 1024 * 1024
"""What a connection may send before its request is answered: aiohttp takes bodies of half as much,
and reads on for a while after it has rejected one."""
KEEP_ALIVE = 95.0
"""Longer than the router in front keeps idle connections (Heroku: 90 s)."""


SERVER = "threadbot"
"""In place of aiohttp's name and versions."""
_MALFORMED = (HttpProcessingError, web.RequestPayloadError)
"""What reading a body raises that is not as its headers say."""


class _Connection(web.RequestHandler):
    """One connection. It is closed if it does not send a complete request in time, or too much."""

    __slots__ = ("_deadline", "_most", "_received", "_seconds")

    def __init__(self, server: web.Server, *, most: int, seconds: float, **options: Any) -> None:
        super().__init__(server, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._most = most
        self._received = 0
        self._seconds = seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._make_room()
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        is_between = self._waiter is not None  # not while aiohttp reads on after a rejection
        self._received = len(data) + (0 if is_between else self._received)
        if self._received > MOST_BYTES:
            self.abort()
            return
        super().data_received(data)
        if self._is_at_rest():
            self._expect_headers()
        else:
            self._cancel_deadline()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._cancel_deadline()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Malformed HTTP is the peer's fault and is not logged."""
        if status >= 500 and not self._is_fault_of_peer(exc):
            return super().handle_error(request, status, exc, message)
        response = web.Response(status=status if status < 500 else 400, text="bad request\n")
        response.headers["Server"] = SERVER
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """A malformed body is not logged, even if it is noticed after the response."""
        if not self._is_fault_of_peer(options.get("exc_info")):
            super().log_exception(*args, **options)

    def _is_fault_of_peer(self, error: object) -> bool:
        """Calls to other services may raise ConnectionResetError, too: that is not the peer's."""
        if isinstance(error, ConnectionResetError):
            return self.transport is None or self.transport.is_closing()
        return isinstance(error, _MALFORMED)

    def _is_at_rest(self) -> bool:
        """Whether no request is being read or answered; part of the next one may have arrived."""
        return self._current_request is None and not self._messages

    def _expect_headers(self) -> None:
        if self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(self._seconds, self._give_up)

    def _cancel_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self._is_at_rest():
            self.abort()

    def abort(self) -> None:
        """Close immediately."""
        if isinstance(self.transport, asyncio.Transport):
            self.transport.abort()

    def _make_room(self) -> None:
        """Above the limit, close the oldest idle connection; if there is none, this one."""
        server = self._manager
        if server is None or len(server.connections) <= self._most:
            return
        others = (each for each in server.connections if isinstance(each, _Connection))
        next((each for each in others if each is not self and each._is_at_rest()), self).abort()


async def _name_server(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER


@asynccontextmanager
async def listening(
    site: web.Application,
    host: str,
    port: int,
    variable: str,
    *,
    most: int = MOST_CONNECTIONS,
    seconds: float = REQUEST_SECONDS,
) -> AsyncIterator[tuple[str, int]]:
    """Serve a site inside the block; yields the address. `variable` is the setting of the port."""
    site.on_response_prepare.append(_name_server)
    runner = web.AppRunner(site, access_log=None, shutdown_timeout=5)
    await runner.setup()
    server = runner.server
    assert server is not None
    loop = asyncio.get_running_loop()

    def connect() -> _Connection:
        return _Connection(
            server,
            most=most,
            seconds=seconds,
            loop=loop,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            auto_decompress=False,
            lingering_time=seconds / 10,  # reading on after a rejection, so that it arrives
        )

    try:
        try:
            listener = await loop.create_server(connect, host, port)
        except OSError as error:
            where = f"cannot listen at {host}:{port}"
            raise ConfigError(variable, f"{where}: {error.strerror}") from None
        host, port = listener.sockets[0].getsockname()[:2]
        log.info("listening", host=host, port=port)
        try:
            yield host, port
        finally:
            listener.close()
    finally:
        await runner.cleanup()
