"""Opens a local Slack on loopback: state, HTTP server, clock."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator
from functools import partial
from typing import Unpack

from aiohttp import web

from local_slack.api.file_server import FileServer
from local_slack.api.responses import ResponseUrls
from local_slack.api.web_api import Tokens
from local_slack.control import control, web_page
from local_slack.control.guard import refuse_other_origins
from local_slack.local_slack import LocalSlack
from local_slack.options import Options
from local_slack.workspace.clock import Clock
from local_slack.workspace.model import Channel, User
from local_slack.workspace.snapshot import restore
from local_slack.workspace.workspace import Workspace

MAX_UPLOAD_BYTES = 100 * 1024 * 1024
TICK_SECONDS = 0.5


def found_workspace(options: Options) -> Workspace:
    """A new workspace, with all users and the app in every channel."""
    workspace = Workspace(clock=options.get("clock") or Clock())
    workspace.counter = itertools.count(options.get("first_id", 1))
    for name in options.get("users", ("alice", "bob", "carol")):
        workspace.add_user(User(workspace.new_id("U"), name))
    workspace.add_user(
        User(
            workspace.new_id("U"),
            options.get("bot_name", "threadbot"),
            is_bot=True,
            bot_id=workspace.new_id("B"),
            app_id=workspace.app_id,
        )
    )
    for name in options.get("channels", ("general", "random")):
        members = list(workspace.users)
        workspace.add_channel(Channel(workspace.new_id("C"), "channel", name, members))
    return workspace


@contextlib.asynccontextmanager
async def open_workspace(*, port: int = 0, **options: Unpack[Options]) -> AsyncIterator[LocalSlack]:
    """A local Slack with one app installed, on 127.0.0.1; `port` 0 takes a free one."""
    state = options.get("state")
    workspace = restore(state, options.get("clock")) if state else found_workspace(options)
    workspace.enterprise_id = options.get("enterprise_id") or workspace.enterprise_id
    tokens = Tokens("xoxb-local-slack", "xapp-local-slack", secrets.token_hex(16))
    slack = LocalSlack(workspace, options.get("tokens") or tokens, options)
    async with _serving(slack, port), _ticking(slack):
        yield slack


@contextlib.asynccontextmanager
async def _serving(slack: LocalSlack, port: int) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        runner = web.AppRunner(make_web_app(slack), shutdown_timeout=0.5, access_log=None)
        stack.push_async_callback(runner.cleanup)
        stack.push_async_callback(slack.close)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        slack.serve_at(f"http://127.0.0.1:{runner.addresses[0][1]}")
        yield


def make_web_app(slack: LocalSlack) -> web.Application:
    """All routes: the API, sockets, files, response URLs, control, the page."""
    app = web.Application(
        client_max_size=MAX_UPLOAD_BYTES, middlewares=[refuse_other_origins(slack)]
    )
    files = files_of(slack)
    responses = ResponseUrls(slack.workspace, slack.interactions)
    app.router.add_get("/link/", slack.sockets.serve)
    app.router.add_route("*", "/api/{method}", partial(_call, slack))
    app.router.add_get("/oauth/v2/authorize", partial(_authorize, slack))
    app.router.add_post("/upload/v1/{ticket}", files.upload)
    app.router.add_get("/files-pri/{file}/{tail:.+}", partial(_download, slack))
    app.router.add_post("/response/{key}", responses.serve)
    control.add_routes(app, slack)
    web_page.add_routes(app, slack)
    return app


def files_of(slack: LocalSlack) -> FileServer:
    """The files of a workspace, for its app."""
    api = slack.web_api
    return FileServer(slack.workspace, api.is_bot_token, lambda: api.is_granted("files:read"))


async def _call(slack: LocalSlack, request: web.Request) -> web.StreamResponse:
    return await (slack.added.call if slack.added else slack.web_api.serve)(request)


async def _download(slack: LocalSlack, request: web.Request) -> web.StreamResponse:
    return await (slack.added.download if slack.added else files_of(slack).download)(request)


async def _authorize(slack: LocalSlack, request: web.Request) -> web.StreamResponse:
    if slack.added is None:
        raise web.HTTPNotFound
    return await slack.added.distribution.authorize(request)


@contextlib.asynccontextmanager
async def _ticking(slack: LocalSlack) -> AsyncIterator[None]:
    """Expire streams and status lines."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            slack.expire()

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
