"""Opens a local Slack on loopback: state, HTTP server, clock."""

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Iterable
from functools import partial

from aiohttp import web

from local_slack.api.file_server import FileServer
from local_slack.api.responses import ResponseUrls
from local_slack.api.web_api import Tokens
from local_slack.control import control, web_page
from local_slack.control.guard import refuse_other_origins
from local_slack.delivery.delivery import ACK_SECONDS
from local_slack.delivery.faults import Faults
from local_slack.local_slack import LocalSlack
from local_slack.workspace.clock import Clock
from local_slack.workspace.model import Channel, Json, User
from local_slack.workspace.snapshot import restore
from local_slack.workspace.workspace import Workspace

MAX_UPLOAD_BYTES = 100 * 1024 * 1024
TICK_SECONDS = 0.5


def found_workspace(
    clock: Clock | None,
    bot_name: str,
    users: Iterable[str],
    channels: Iterable[str],
    first_id: int = 1,
) -> Workspace:
    """A new workspace, with all users and the app in every channel."""
    workspace = Workspace(clock=clock or Clock())
    workspace.counter = itertools.count(first_id)
    for name in users:
        workspace.add_user(User(workspace.new_id("U"), name))
    workspace.add_user(
        User(
            workspace.new_id("U"),
            bot_name,
            is_bot=True,
            bot_id=workspace.new_id("B"),
            app_id=workspace.app_id,
        )
    )
    for name in channels:
        members = list(workspace.users)
        workspace.add_channel(Channel(workspace.new_id("C"), "channel", name, members))
    return workspace


@contextlib.asynccontextmanager
async def open_workspace(
    *,
    port: int = 0,
    events_url: str | None = None,
    users: Iterable[str] = ("alice", "bob", "carol"),
    channels: Iterable[str] = ("general", "random"),
    bot_name: str = "threadbot",
    events: Iterable[str] | None = None,
    scopes: Iterable[str] | None = None,
    commands: Iterable[str] | None = None,
    faults: Faults | None = None,
    clock: Clock | None = None,
    time_factor: float = 1.0,
    ack_seconds: float = ACK_SECONDS,
    rate_limits: bool = False,
    tokens: Tokens | None = None,
    state: Json | None = None,
    enterprise_id: str | None = None,
    first_id: int = 1,
) -> AsyncIterator[LocalSlack]:
    """A local Slack with one app installed, on 127.0.0.1.

    Args:
        port: 0 takes a free one.
        events_url: The app's request URL; None delivers through Socket Mode.
        users, channels: Names for a new workspace; all users are in all channels.
        events: Names the app subscribed to, such as "message.im"; None: all.
        scopes: Bot scopes that the app was granted; None: all but `chat:write.public`.
        commands: Slash commands of the app; None: any.
        time_factor: Scales the waits before Slack's retries (1 s, 1 min, 5 min).
        ack_seconds: How long Slack waits for an acknowledgement.
        rate_limits: Enforce the tiers and one post per second and channel.
        state: A `snapshot()` to continue from; users and channels come from it.
        enterprise_id: The Enterprise organization of the workspace.
        first_id: The number in the first id of a new workspace.
    """
    workspace = (
        restore(state, clock)
        if state
        else found_workspace(clock, bot_name, users, channels, first_id)
    )
    workspace.enterprise_id = enterprise_id or workspace.enterprise_id
    slack = LocalSlack(
        workspace,
        tokens or Tokens("xoxb-local-slack", "xapp-local-slack", secrets.token_hex(16)),
        faults or Faults(),
        events=None if events is None else frozenset(events),
        scopes=None if scopes is None else frozenset(scopes),
        commands=None if commands is None else frozenset(commands),
        events_url=events_url,
        time_factor=time_factor,
        ack_seconds=ack_seconds,
        rate_limits=rate_limits,
    )
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
