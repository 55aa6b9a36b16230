"""The MCP client: lists and calls the tools of the configured servers.

Any fault of a server (slow, down, crashing, endless, malformed) becomes a `ToolResult` for the
model and never affects the turn or the worker. Protocol: https://modelcontextprotocol.io, revision
2026-07-28 and, for older servers, the handshake of 2025-11-25 and before; the SDK negotiates.
"""

import asyncio
import time
from collections.abc import Collection, Mapping
from contextvars import Context
from functools import partial
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp_types import (
    CONNECTION_CLOSED,
    CallToolRequest,
    CallToolRequestParams,
    CallToolResult,
    InputRequiredResult,
    ListToolsResult,
)
from mcp_types import Tool as ServerTool
from pydantic import TypeAdapter, ValidationError

from bot.telemetry.log import log
from bot.texts.accounts import NOT_CONNECTED as NOT_CONNECTED_TEXT
from bot.tools.accepted_schema import accepted_schema
from bot.tools.config import ServerConfig
from bot.tools.connection import ServerConnection, client_for
from bot.tools.http import REPLY, HttpReply, McpTransport
from bot.tools.output import checked_schema, cut, one_line
from bot.tools.person_auth import PersonAuth
from bot.tools.results import ToolResults, has_lost_session, is_lost
from bot.tools.scrubbing import configured_secrets, without
from bot.tools.tool import Tool, ToolResult

MOST_TOOLS = 500
MOST_PAGES = 20
LISTED_FOR = 300.0
"""Seconds for which a list of tools is used before the server is asked again."""
FAILED_FOR = 30.0
"""Seconds for which a server that could not be listed is skipped."""
LIST_PATIENCE = 10.0
"""Seconds that an answer waits for the first list of a server."""
IDLE = 600.0
"""Seconds after which an unused connection is closed."""
LONGEST_NAME = 128
"""Characters of a tool's name, as the protocol has it; others are left out."""
LONGEST_TITLE = 80
DESCRIPTION = 4_000
"""Characters of a tool's description that the model gets."""


_RESULT: TypeAdapter[CallToolResult | InputRequiredResult] = TypeAdapter(
    CallToolResult | InputRequiredResult
)
NOT_CONNECTED = ToolResult(NOT_CONNECTED_TEXT, is_error=True, outcome="not_run")


class McpServer:
    """One configured server, or with `auth` one person at it."""

    def __init__(
        self,
        name: str,
        config: ServerConfig,
        pool: McpTransport,
        auth: PersonAuth | None = None,
    ) -> None:
        self.name = name
        self._auth = auth
        self._secrets = configured_secrets(config)
        self._results = ToolResults(name, config.output, self._scrub)
        self.config = config
        self._pool = pool
        self._connection: ServerConnection | None = None
        self._calls = 0
        self._tools: tuple[Tool, ...] = ()
        self._list_again_at = 0.0
        self._used_at = time.monotonic()
        self._was_listed = False
        self._listing: asyncio.Task[None] | None = None

    def serves(self, channel_id: str, off: Collection[str]) -> bool:
        """Whether any of its tools may be offered in a channel where some servers are `off`."""
        channels = self.config.channels
        return self.name not in off and (not channels or channel_id in channels)

    async def tools(self, *, waits: bool = True) -> tuple[Tool, ...]:
        """Its tools by name; none while it is unreachable, which is logged.

        Only the first list is waited for (if the caller `waits`), up to `LIST_PATIENCE`: later ones
        are fetched while the last one is used, so that a server that hangs does not delay every
        answer.
        """
        if time.monotonic() >= self._list_again_at and self._listing is None:
            # In no turn's context: the turn that comes first may be cancelled.
            self._listing = asyncio.create_task(self._list_again(), context=Context())
        if self._listing is not None and not self._was_listed and waits:
            await asyncio.wait({self._listing}, timeout=LIST_PATIENCE)
        return self._tools

    async def _list_again(self) -> None:
        try:
            async with asyncio.timeout(self.config.connect_timeout):
                self._tools = await self.fetch_tools()
            self._list_again_at = time.monotonic() + LISTED_FOR
        except Exception as error:
            self._tools = ()
            self._list_again_at = time.monotonic() + FAILED_FOR
            log.warning("tools_unavailable", server=self.name, error=_kind(error))
        finally:
            self._was_listed, self._listing = True, None

    async def call(
        self, tool: str, arguments: Mapping[str, Any], answers: Mapping[str, Any] | None = None
    ) -> ToolResult:
        """Call a tool. `answers` are the responses to an earlier `input_required`, with its state.

        Never raises but for cancellation.
        """
        self._calls += 1
        try:
            return await self._call(tool, arguments, answers)
        finally:
            self._calls -= 1

    async def _call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        answers: Mapping[str, Any] | None,
        *,
        again: bool = False,
    ) -> ToolResult:
        try:
            async with asyncio.timeout(self.config.connect_timeout):
                connection = self._connected()
                client = await connection.open()
                if self._auth is not None:  # before anything is sent
                    await self._auth.ready()
        except Exception as error:
            if self._is_refused:
                return NOT_CONNECTED
            return self._results.unreachable(_kind(error))
        request = CallToolRequest(
            params=CallToolRequestParams(
                name=tool,
                arguments=dict(arguments),
                input_responses=(answers or {}).get("responses"),
                request_state=(answers or {}).get("state"),
            )
        )
        reply = HttpReply()
        try:
            async with connection.in_use():
                return self._results.of(await self._send(client, request, reply))
        except MCPError as error:
            if not again and has_lost_session(error, reply):
                await connection.retire()
                return await self._call(tool, arguments, answers, again=True)
            if self._is_refused and reply.status in (0, httpx2.codes.UNAUTHORIZED):
                return NOT_CONNECTED
            if is_lost(error, reply) or error.code == CONNECTION_CLOSED:
                await connection.retire()
            return self._results.failed(error, reply)
        except ValidationError:
            return self._results.invalid()
        except Exception as error:
            await connection.retire()
            return self._results.unknown(_kind(error))

    async def _send(
        self, client: Client, request: CallToolRequest, reply: HttpReply
    ) -> CallToolResult | InputRequiredResult:
        """Make a call; `reply` is filled in over HTTP."""
        token = REPLY.set(reply)
        try:
            async with asyncio.timeout(self.config.timeout):
                # Not `call_tool`: it checks results against schemas of the server, whose patterns
                # may take forever, and then loses the result of a call that took effect.
                return await client.session.send_request(
                    request, _RESULT, request_read_timeout_seconds=self.config.timeout
                )
        finally:
            REPLY.reset(token)

    @property
    def _is_refused(self) -> bool:
        """Whether the person's account is not accepted: the request had no effect."""
        return self._auth is not None and self._auth.is_refused

    @property
    def is_connected(self) -> bool:
        """Whether a connection is open."""
        return self._connection is not None and not self._connection.closed

    @property
    def is_busy(self) -> bool:
        """Whether it is calling or listing tools: closing it now would lose a result."""
        return self._calls > 0 or self._listing is not None

    async def close_idle(self) -> None:
        """Close the connection after `IDLE` seconds without use."""
        if self._connection and time.monotonic() - self._used_at > IDLE:
            await self._drop()

    async def aclose(self) -> None:
        """Close the connection."""
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.wait({self._listing})
        if self._connection is not None:
            await self._connection.close()

    def _connected(self) -> ServerConnection:
        self._used_at = time.monotonic()
        if self._connection is None or not self._connection.is_usable:
            self._connection = ServerConnection(
                partial(client_for, self.config, self._pool, self._auth)
            )
        return self._connection

    def _scrub(self, text: str) -> str:
        """A text of the server without the secrets that it was given."""
        return without(text, (*self._secrets, *(self._auth.secrets if self._auth else ())))

    async def _drop(self) -> None:
        """Make no new calls on the connection, and close it after the last one."""
        connection, self._connection = self._connection, None
        if connection:
            await connection.retire()

    async def fetch_tools(self) -> tuple[Tool, ...]:
        """Its tools by name, asked for now. Raises what connecting and listing raise."""
        try:
            return await self._fetch_tools()
        except MCPError:  # perhaps the session has ended: a new connection has another one
            await self._drop()
            return await self._fetch_tools()

    async def _fetch_tools(self) -> tuple[Tool, ...]:
        client = await self._connected().open()
        found: list[ServerTool] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            page: ListToolsResult = await client.list_tools(cursor=cursor)
            found.extend(page.tools)
            cursor = page.next_cursor
            if not cursor or len(found) >= MOST_TOOLS:
                break
        unique = {
            tool.name: tool for tool in found[:MOST_TOOLS] if 0 < len(tool.name) <= LONGEST_NAME
        }
        return tuple(self._tool(unique[name]) for name in sorted(unique))

    def _tool(self, tool: ServerTool) -> Tool:
        hints, parameters = tool.annotations, checked_schema(tool.input_schema)
        accepted = accepted_schema(parameters)
        trusted = self.config.trust_hints
        return Tool(
            name=tool.name,
            description=cut(self._scrub(tool.description or ""), DESCRIPTION),
            parameters=parameters,
            accepted=None if accepted is parameters else accepted,
            server=self.name,
            title=one_line(tool.title or (hints.title if hints else "") or "", LONGEST_TITLE),
            read_only=bool(trusted and hints and hints.read_only_hint),
            idempotent=bool(trusted and hints and hints.idempotent_hint),
            open_world=not (hints and hints.open_world_hint is False),
            server_side=self.config.server_side,
        )


def _kind(error: BaseException) -> str:
    """The type of an error for the log, since its message may quote anything."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__
