"""A local Slack on loopback: opens the workspace, serves it, and speaks for its people."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, TypeVar

from aiohttp import web

from bot.playground import control
from bot.playground.agents import agent_thread, expire_statuses
from bot.playground.clock import Clock
from bot.playground.delivery import ACK_SECONDS, Answer, Deliveries, Delivery
from bot.playground.faults import Faults
from bot.playground.file_server import FileServer
from bot.playground.http_events import HttpEvents
from bot.playground.interactions import Interactions
from bot.playground.model import AgentThread, Channel, Json, Message, User
from bot.playground.people import Person
from bot.playground.rates import Rates
from bot.playground.responses import ResponseUrls
from bot.playground.shapes import permalink
from bot.playground.snapshot import restore, snapshot
from bot.playground.socket_mode import SocketMode
from bot.playground.streams import expire_streams
from bot.playground.web_api import CallRecord, Tokens, WebApi
from bot.playground.workspace import Workspace

MAX_UPLOAD_BYTES = 100 * 1024 * 1024
TICK_SECONDS = 0.5
Value = TypeVar("Value")


class Route:
    """Chooses the transport as Slack does: Socket Mode once the app has turned to it."""

    def __init__(self, http: HttpEvents, sockets: SocketMode) -> None:
        self.http = http
        self.sockets = sockets

    async def send(
        self, delivery: Delivery, timeout: float, retry_num: int, retry_reason: str
    ) -> Answer:
        transport = self.sockets if self.http.url is None else self.http
        return await transport.send(delivery, timeout, retry_num, retry_reason)


class LocalSlack:
    """A running workspace. `open_workspace` makes one."""

    def __init__(
        self,
        workspace: Workspace,
        tokens: Tokens,
        faults: Faults,
        *,
        events: frozenset[str] | None,
        scopes: frozenset[str] | None,
        commands: frozenset[str] | None,
        events_url: str | None,
        time_factor: float,
        ack_seconds: float,
        rate_limits: bool,
    ) -> None:
        self.workspace = workspace
        self.tokens = tokens
        self.faults = faults
        self.control_token = secrets.token_urlsafe(18)
        self.http = HttpEvents(tokens.signing_secret, events_url)
        self.sockets = SocketMode(workspace.app_id)
        self.rates = Rates(workspace.clock, enabled=rate_limits)
        self.interactions = Interactions(workspace)
        self.deliveries_to_app = Deliveries(
            workspace,
            Route(self.http, self.sockets),
            faults,
            events=events,
            time_factor=time_factor,
            ack_seconds=ack_seconds,
        )
        self.web_api = WebApi(
            workspace, tokens, faults, self.rates, self.sockets, self.interactions
        )
        self.web_api.scopes, self.web_api.events = scopes, events
        self.base_url = ""
        self._commands = commands
        self._runner: web.AppRunner | None = None
        self._ticker: asyncio.Task[None] | None = None

    # What an app needs to know

    @property
    def api_url(self) -> str:
        """For `AsyncWebClient(base_url=...)`."""
        return f"{self.base_url}/api/"

    @property
    def bot_token(self) -> str:
        return self.tokens.bot

    @property
    def app_token(self) -> str:
        return self.tokens.app

    @property
    def signing_secret(self) -> str:
        return self.tokens.signing_secret

    @property
    def events_url(self) -> str | None:
        """Where events go by HTTP; None: through Socket Mode. May be set at any time."""
        return self.http.url

    @events_url.setter
    def events_url(self, url: str | None) -> None:
        self.http.url = url

    @property
    def clock(self) -> Clock:
        return self.workspace.clock

    # People and places

    @property
    def bot(self) -> User:
        return self.workspace.bot

    def user(self, name: str) -> Person:
        """The person of this name (or id); raises SlackError("user_not_found")."""
        return Person(
            self.workspace.get_user(name),
            self.workspace,
            self.deliveries_to_app,
            self.interactions,
            self._commands,
        )

    def add_user(self, name: str, **fields: Any) -> Person:
        """A new user; `is_guest=True`, `is_bot=True`, `team_id=...` and the like."""
        user = User(self.workspace.new_id("U"), name, **fields)
        if user.is_bot and user.bot_id is None:
            user.bot_id = self.workspace.new_id("B")
            user.app_id = user.app_id or self.workspace.new_id("A")
        self.workspace.add_user(user)
        return self.user(user.id)

    def channel(self, name: str) -> Channel:
        """By "#name" or id; raises SlackError("channel_not_found")."""
        return self.workspace.find_channel(name) or self.workspace.get_channel(name)

    def add_channel(
        self, name: str, members: Iterable[str] = (), *, private: bool = False, bot: bool = True
    ) -> Channel:
        """A new channel with these people and, by default, the bot."""
        ids = [self.workspace.get_user(member).id for member in members]
        if bot:
            ids.append(self.bot.id)
        channel = Channel(self.workspace.new_id("C"), "group" if private else "channel", name, ids)
        return self.workspace.add_channel(channel)

    # What is there

    def messages(self, channel: str) -> list[Message]:
        """All messages of a channel, replies too, in order."""
        return list(self.workspace.messages[self.channel(channel).id].values())

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The root and its replies, in order."""
        return self.workspace.thread(self.channel(channel).id, ts)

    def replies(self, channel: str, ts: str) -> list[Message]:
        """What the bot has written in a thread, in order."""
        thread = self.thread(channel, ts)
        return [message for message in thread if message.user_id == self.bot.id]

    def agent_thread(self, channel: str, ts: str) -> AgentThread:
        """Status line, title, prompts and session of a thread."""
        self.expire()
        return agent_thread(self.workspace, self.channel(channel).id, ts)

    def permalink(self, message: Message) -> str:
        return permalink(self.workspace, message)

    @property
    def calls(self) -> list[CallRecord]:
        """The Web API calls so far, in order, without tokens."""
        return list(self.web_api.calls)

    @property
    def deliveries(self) -> list[Delivery]:
        """All payloads sent to the app, with their attempts."""
        return list(self.deliveries_to_app.log)

    def snapshot(self) -> Json:
        """The state as a JSON dict; give it to `open_workspace(state=...)`."""
        return snapshot(self.workspace)

    # Time

    def expire(self) -> None:
        """End the streams and status lines whose time is over (also done twice a second)."""
        expire_streams(self.workspace)
        expire_statuses(self.workspace)

    async def wait_for(self, predicate: Callable[[], Value], timeout: float = 5.0) -> Value:
        """The first true value of `predicate`, asked again after every change; TimeoutError."""
        changed = asyncio.Event()
        stop = self.workspace.changes.observe(lambda change: changed.set())
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate()):
                    changed.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await changed.wait()
                return value
        finally:
            stop()

    async def settled(self, timeout: float = 5.0) -> None:
        """Wait until every delivery so far is acknowledged or given up."""
        await self.wait_for(lambda: not self.deliveries_to_app.pending, timeout)

    # Lifetime

    async def start(self, port: int) -> None:
        app = web.Application(client_max_size=MAX_UPLOAD_BYTES)
        files = FileServer(self.workspace, self.tokens.bot)
        responses = ResponseUrls(self.workspace, self.interactions)
        app.router.add_route("GET", "/link/", self.sockets.serve)
        app.router.add_route("*", "/api/{method}", self.web_api.serve)
        app.router.add_post("/upload/v1/{ticket}", files.upload)
        app.router.add_get("/files-pri/{file}/{tail:.+}", files.download)
        app.router.add_post("/response/{key}", responses.serve)
        control.add_routes(app, self)
        self._runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        self.web_api.base_url = self.interactions.base_url = self.base_url
        self.workspace.files_url = self.base_url
        self._ticker = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self.expire()

    async def close(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        await self.deliveries_to_app.close()
        await self.sockets.cut()
        await self.http.close()
        if self._runner is not None:
            await self._runner.cleanup()


def found_workspace(
    clock: Clock | None, bot_name: str, users: Iterable[str], channels: Iterable[str]
) -> Workspace:
    """A new workspace: everybody and the bot in every channel."""
    workspace = Workspace(clock=clock or Clock())
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
        state: A `snapshot()` to go on from; users and channels come from it.
    """
    workspace = (
        restore(state, clock) if state else found_workspace(clock, bot_name, users, channels)
    )
    slack = LocalSlack(
        workspace,
        tokens or Tokens("xoxb-playground", "xapp-playground", secrets.token_hex(16)),
        faults or Faults(),
        events=None if events is None else frozenset(events),
        scopes=None if scopes is None else frozenset(scopes),
        commands=None if commands is None else frozenset(commands),
        events_url=events_url,
        time_factor=time_factor,
        ack_seconds=ack_seconds,
        rate_limits=rate_limits,
    )
    try:
        await slack.start(port)
        yield slack
    finally:
        await slack.close()
