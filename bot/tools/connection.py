"""One connection to an MCP server, kept open by its own task.

The SDK's client must be entered and left in the same task, but turns call it from theirs.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx2
from mcp import Client
from mcp.client import Transport
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult, Implementation

import bot
from bot.tools.bounds import LARGEST_BODY
from bot.tools.config import ServerConfig
from bot.tools.stdio import open_process
from bot.tools.trimmed import trimmed

OpenClient = Callable[[Callable[[], None]], AbstractAsyncContextManager[Client]]
"""Makes a client, which calls the argument when the server has closed the connection."""


class ServerConnection:
    """A client of one server. `open` connects; once it is not usable, a new one is needed."""

    def __init__(self, open_client: OpenClient) -> None:
        self._open_client = open_client
        self._calls = 0
        self._retired = False
        self._opened: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._leave = asyncio.Event()
        self._task = asyncio.create_task(self._keep())

    async def open(self) -> Client:
        """The connected client. Raises what connecting raises."""
        return await asyncio.shield(self._opened)

    @property
    def closed(self) -> bool:
        """Whether the connection has ended or is about to."""
        return self._task.done() or self._leave.is_set()

    @property
    def is_usable(self) -> bool:
        """Whether new calls may use it."""
        return not (self.closed or self._retired)

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[None]:
        """While a call is made: a retired connection is closed only after its last call."""
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1
            if self._retired:
                await self.retire()

    async def retire(self) -> None:
        """Close it once no call uses it any more: the calls of others go on."""
        self._retired = True
        if not self._calls:
            await self.close()

    async def close(self) -> None:
        """Close it; a server process is terminated."""
        self._leave.set()
        if not self._opened.done():
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        try:
            async with self._open_client(self._leave.set) as client:
                self._opened.set_result(client)
                await self._leave.wait()
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(_plain(error))
                self._opened.exception()  # read it even if no caller waits any more
        finally:
            self._leave.set()


def _plain(error: BaseException) -> Exception:
    """The first cause in a group; a cancellation becomes a ConnectionError."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, Exception) else ConnectionError("closed while connecting")


def client_for(
    config: ServerConfig,
    pool: httpx2.AsyncBaseTransport,
    auth: httpx2.Auth | None,
    on_end: Callable[[], None],
) -> Client:
    """A new, unconnected client. `pool` is shared by all servers of the process; `auth` is that of
    one person. `on_end` is called when the server has closed the connection."""
    info = Implementation(name="threadbot", version=bot.__version__)
    if config.url is not None:
        timeout = httpx2.Timeout(config.timeout)
        http = httpx2.AsyncClient(
            transport=pool, headers=config.headers, timeout=timeout, auth=auth
        )
        transport = streamable_http_client(
            config.url, http_client=http, max_sse_event_size=LARGEST_BODY
        )
        return _client(trimmed(transport, on_end), config, info)
    return _client(trimmed(open_process(config), on_end), config, info)


def _client(transport: Transport, config: ServerConfig, info: Implementation) -> Client:
    return Client(
        transport,
        client_info=info,
        read_timeout_seconds=config.timeout,
        elicitation_callback=_decline,
    )


async def _decline(context: object, params: ElicitRequestParams) -> ElicitResult:
    """Servers of older revisions wait for a person in the middle of a call, which may take days.

    Newer servers take the callback as a sign that they may ask: their questions come as the
    result of the call.
    """
    return ElicitResult(action="decline")
