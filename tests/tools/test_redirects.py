"""A server that sends the bot elsewhere, such as to an internal address, is not followed."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.tool import Caller, Tool
from bot.tools.toolbox import open_toolbox

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    """An HTTP server on a free port; yields its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_leaks_no_header(status: int) -> None:
    reached: list[str] = []

    async def internal(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.json_response({})

    async with serving(internal) as target:

        async def hostile(request: web.Request) -> web.Response:
            return web.Response(status=status, headers={"Location": f"{target}/latest/meta-data"})

        async with serving(hostile) as url:
            config = ServerConfig(url=f"{url}/mcp", headers={"Authorization": "Bearer sesame"})
            async with open_toolbox(ToolsConfig(servers={"s": config})) as toolbox:
                assert not await toolbox.offer("C1")
                tool = Tool("write", "", {}, server="s")
                result = await toolbox.call(tool, {}, Caller("T1", "C1", "1.0", "U1"))
                assert result.is_error
                assert target not in result.text
    assert reached == []
