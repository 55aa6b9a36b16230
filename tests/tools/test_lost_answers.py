"""Calls whose answer is missing: the server was started again, or a proxy before it fails."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
from aiohttp import web

from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.http import McpTransport
from bot.tools.mcp import McpServer
from bot.tools.person_auth import PersonAuth
from bot.tools.toolbox import Toolbox, open_toolbox
from tests.tools.test_mcp import CALLER, call, tool_of
from tests.tools.test_redirects import serving
from tests.world import wait_until

TOKEN = "token-of-the-person"
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "h", "version": "1"},
}


class Sessions:
    """A server of the revision 2025-11-25 with sessions.

    `answers` are its next responses to calls in place of results, `refusal` the message of an
    error. The next calls wait for the events `held`.
    """

    def __init__(self) -> None:
        self.begun = 0
        self.made = 0
        self.answers: list[web.Response] = []
        self.held: list[asyncio.Event] = []
        self.refusal = ""
        self.unknown_session = web.Response(status=404)

    def restart(self) -> None:
        """Forget all sessions."""
        self.begun += 1

    async def handle(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405)
        message = await request.json()
        id, method = message.get("id"), message["method"]
        if method == "server/discover":
            return _reply(id, error={"code": -32601, "message": "no"})
        if method == "initialize":
            self.begun += 1
            return _reply(id, result=HELLO, headers={"Mcp-Session-Id": f"s{self.begun}"})
        if request.headers.get("Mcp-Session-Id") != f"s{self.begun}":
            return self.unknown_session
        if id is None:
            return web.Response(status=202)
        if method == "tools/list":
            about = f"uses {request.headers.get('Authorization')}"
            tool = {"name": "a", "description": about, "inputSchema": {"type": "object"}}
            return _reply(id, result={"tools": [tool]})
        self.made += 1
        if self.held:
            await self.held.pop(0).wait()
        if self.answers:
            return self.answers.pop(0)
        if self.refusal:
            return _reply(id, error={"code": 1, "message": self.refusal})
        text = f"made for {request.headers.get('Authorization')}"
        return _reply(id, result={"content": [{"type": "text", "text": text}]})


def _reply(id: Any, headers: dict[str, str] | None = None, **body: Any) -> web.Response:
    return web.json_response({"jsonrpc": "2.0", "id": id, **body}, headers=headers)


@asynccontextmanager
async def connected(server: Sessions, **changes: Any) -> AsyncIterator[Toolbox]:
    async with serving(server.handle) as url:
        config = ServerConfig(url=f"{url}/mcp", **changes)
        async with open_toolbox(ToolsConfig(servers={"s": config})) as toolbox:
            yield toolbox


@pytest.mark.parametrize("code", [None, -32001, -32000])
async def test_a_server_that_was_started_again_gets_the_call_in_a_new_session(
    code: int | None,
) -> None:
    server = Sessions()
    async with connected(server) as toolbox:
        await tool_of(toolbox, "s__a")
        server.restart()
        if code:
            error = {"code": code, "message": "Bad Request: No valid session ID provided"}
            body = json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
            status = 400 if code == -32000 else 404
            server.unknown_session = web.json_response(text=body, status=status)
        result = await call(toolbox, "s__a")
        assert (result.outcome, result.is_error, server.made) == ("done", False, 1)
        server.restart()
        server.unknown_session = web.Response(status=404)
        assert await toolbox.list_server("s"), "the list is read in a new session, too"


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (web.Response(status=502, text="<p>Bad gateway"), "unknown"),
        (web.json_response({"error": "time-out"}, status=504), "unknown"),
        (web.Response(status=500), "unknown"),
        (web.Response(status=408), "unknown"),
        (web.Response(status=202), "unknown"),
        (web.Response(text="<p>Sign in", content_type="text/html"), "unknown"),
        (web.Response(status=403), "done"),
        (web.Response(status=429), "done"),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
async def test_only_an_answer_of_the_server_itself_is_a_refusal(
    response: web.Response, outcome: str
) -> None:
    """A proxy gives up on a call that the server may have made."""
    server = Sessions()
    async with connected(server) as toolbox:
        tool = await tool_of(toolbox, "s__a")
        server.answers.append(response)
        result = await toolbox.call(tool, {}, CALLER)
        assert (result.outcome, result.is_error) == (outcome, True)
        assert ("refused" in result.text) == (outcome == "done")
        assert (await toolbox.call(tool, {}, CALLER)).outcome == "done"


async def test_a_call_that_failed_with_the_code_of_a_closed_connection_is_not_repeated() -> None:
    """The code is that of any error of a server, and the call may have had an effect."""
    server = Sessions()
    async with connected(server) as toolbox:
        tool = await tool_of(toolbox, "s__a")
        error = {"code": -32000, "message": "the disk is full"}
        body = {"jsonrpc": "2.0", "id": None, "error": error}
        server.answers.append(web.json_response(body, status=400))
        result = await toolbox.call(tool, {}, CALLER)
        assert (result.is_error, server.made) == (True, 1)
        assert "the disk is full" in result.text
        assert (await toolbox.call(tool, {}, CALLER)).outcome == "done"
        assert server.begun == 2, "in a new session: perhaps the old one is gone"


async def test_a_call_without_an_answer_does_not_end_the_calls_of_others() -> None:
    server, goes_on = Sessions(), asyncio.Event()
    async with connected(server) as toolbox:
        tool = await tool_of(toolbox, "s__a")
        server.held = [goes_on]
        other = asyncio.create_task(toolbox.call(tool, {}, CALLER))
        await wait_until(lambda: asyncio.sleep(0, server.made == 1))
        server.answers.append(web.Response(content_type="text/event-stream"))
        try:
            assert (await toolbox.call(tool, {}, CALLER)).outcome == "unknown"
        finally:
            goes_on.set()
        assert (await other).outcome == "done"


@pytest.mark.parametrize("is_personal", [True, False])
async def test_a_server_that_repeats_its_credentials_does_not_show_them_to_the_model(
    is_personal: bool,
) -> None:
    async def token(refused: str) -> str:
        return TOKEN

    async def drop(refused: str) -> None:
        pytest.fail("it was accepted")

    server, pool = Sessions(), McpTransport()
    headers = {} if is_personal else {"Authorization": f"Bearer {TOKEN}"}
    async with serving(server.handle) as url:
        auth = PersonAuth(token, drop) if is_personal else None
        client = McpServer("s", ServerConfig(url=f"{url}/mcp", headers=headers), pool, auth)
        (tool,) = await client.fetch_tools()
        made = (await client.call("a", {})).text
        server.refusal = f"{TOKEN} may not do this"
        refused = (await client.call("a", {})).text
        await client.aclose()
    await pool.aclose()
    assert TOKEN not in tool.description
    assert made == "made for Bearer [removed]"
    assert refused.endswith("[removed] may not do this")


async def test_a_call_whose_token_cannot_be_renewed_was_not_made() -> None:
    """The authorization server is down: the call has not left us."""
    down: list[Exception] = []

    async def token(refused: str) -> str:
        if down:
            raise down[0]
        return TOKEN

    async def drop(refused: str) -> None:
        pytest.fail("it was accepted")

    server, pool = Sessions(), McpTransport()
    async with serving(server.handle) as url:
        config = ServerConfig(url=f"{url}/mcp")
        client = McpServer("s", config, pool, PersonAuth(token, drop))
        assert (await client.call("a", {})).outcome == "done"
        down.append(httpx2.ConnectError("down"))
        result = await client.call("a", {})
        await client.aclose()
    await pool.aclose()
    assert (result.outcome, result.is_error, server.made) == ("not_run", True, 1)
