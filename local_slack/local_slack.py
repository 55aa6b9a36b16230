"""A running workspace: its people, its content and its logs, for tests and programs."""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from local_slack.api.rates import Rates
from local_slack.api.web_api import CallRecord, Tokens, WebApi
from local_slack.app_pages import AppPage
from local_slack.delivery.delivery import ACK_SECONDS, AppResponse, Deliveries, Delivery
from local_slack.delivery.faults import Faults
from local_slack.delivery.http_events import HttpEvents
from local_slack.delivery.interactions import Interactions
from local_slack.delivery.socket_mode import SocketMode
from local_slack.options import Options
from local_slack.people import Person
from local_slack.switches import Switch
from local_slack.traces import Trace, steps_of
from local_slack.workspace.agents import agent_thread, expire_agents
from local_slack.workspace.clock import Clock
from local_slack.workspace.model import AgentThread, Channel, Json, Message, User
from local_slack.workspace.rich_text import find_pings
from local_slack.workspace.shapes import permalink
from local_slack.workspace.snapshot import snapshot
from local_slack.workspace.streams import expire_streams
from local_slack.workspace.workspace import Workspace

if TYPE_CHECKING:
    from local_slack.added import AddedWorkspaces

Value = TypeVar("Value")
KEPT_TRACES = 20_000
SLACKBOT = "USLACKBOT"
PATIENCE = 60.0
"""Seconds that the waits for a condition last at most."""


class Route:
    """Chooses the transport: HTTP if a request URL is set, else Socket Mode."""

    def __init__(self, http: HttpEvents, sockets: SocketMode) -> None:
        self.http = http
        self.sockets = sockets

    async def send(
        self, delivery: Delivery, timeout: float, retry_num: int, retry_reason: str
    ) -> AppResponse:
        transport = self.sockets if self.http.url is None else self.http
        return await transport.send(delivery, timeout, retry_num, retry_reason)


def _set_of(names: Iterable[str] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


class LocalSlack:
    """A running workspace. `open_workspace` makes one."""

    def __init__(self, workspace: Workspace, tokens: Tokens, options: Options) -> None:
        events, scopes = _set_of(options.get("events")), _set_of(options.get("scopes"))
        events_url = options.get("events_url")
        self.workspace = workspace
        self.tokens = tokens
        self.faults = faults = options.get("faults") or Faults()
        self.commands = _set_of(options.get("commands"))
        self.patience = options.get("patience", PATIENCE)
        self.control_token = secrets.token_urlsafe(18)
        self.http = HttpEvents(tokens.signing_secret, events_url)
        self.sockets = SocketMode(workspace.app_id)
        self.rates = Rates(workspace.clock, enabled=options.get("rate_limits", False))
        self.interactions = Interactions(workspace)
        self.deliveries_to_app = Deliveries(
            workspace,
            Route(self.http, self.sockets),
            faults,
            events=events,
            time_factor=options.get("time_factor", 1.0),
            ack_seconds=options.get("ack_seconds", ACK_SECONDS),
        )
        self.web_api = WebApi(
            workspace, tokens, faults, self.rates, self.sockets, self.interactions
        )
        self.web_api.scopes, self.web_api.events = scopes, events
        self.web_api.events_url = events_url
        self.base_url = ""
        self.switches: dict[str, Switch] = {}
        self.pages: dict[str, AppPage] = {}
        self.added: AddedWorkspaces | None = None
        self._traces: deque[Trace] = deque(maxlen=KEPT_TRACES)
        self._trace_number = 0

    # Connection settings of the app

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
    def config_token(self) -> str:
        """A person's configuration token, for the methods of `apps.manifest`."""
        return self.tokens.config

    @property
    def signing_secret(self) -> str:
        return self.tokens.signing_secret

    @property
    def events_url(self) -> str | None:
        """The request URL of events; None: Socket Mode. May be set at any time."""
        return self.http.url

    @events_url.setter
    def events_url(self, url: str | None) -> None:
        self.http.url = self.web_api.events_url = url

    @property
    def manifest(self) -> Json:
        """From it the page offers commands, shortcuts and suggested prompts."""
        return self.workspace.manifest

    @manifest.setter
    def manifest(self, manifest: Json) -> None:
        self.workspace.manifest = manifest

    @property
    def clock(self) -> Clock:
        return self.workspace.clock

    # People and channels

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
            self.commands,
        )

    def add_user(self, name: str, **fields: Any) -> Person:
        """A new user; accepts `is_guest=True`, `is_bot=True`, `team_id=...` and so on."""
        user = User(self.workspace.new_id("U"), name, **fields)
        if user.is_bot and user.bot_id is None:
            user.bot_id = self.workspace.new_id("B")
            user.app_id = user.app_id or self.workspace.new_id("A")
        self.workspace.add_user(user)
        return self.user(user.id)

    def slackbot(self) -> Person:
        """Slack's own bot, which writes reminders and notices as an ordinary user."""
        if SLACKBOT not in self.workspace.users:
            self.workspace.add_user(User(SLACKBOT, "slackbot", "Slackbot"))
        return self.user(SLACKBOT)

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

    # Messages and logs

    def messages(self, channel: str) -> list[Message]:
        """All messages of a channel including replies, in order."""
        return list(self.workspace.messages[self.channel(channel).id].values())

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The root and its replies, in order."""
        return self.workspace.thread(self.channel(channel).id, ts)

    def replies(self, channel: str, ts: str) -> list[Message]:
        """The bot's messages in a thread, in order."""
        thread = self.thread(channel, ts)
        return [message for message in thread if message.user_id == self.bot.id]

    def agent_thread(self, channel: str, ts: str) -> AgentThread:
        """Status line, title, prompts and session of a thread."""
        self.expire()
        return agent_thread(self.workspace, self.channel(channel).id, ts)

    def pings(self, message: Message) -> set[str]:
        """Who is notified by a message: user ids, "here", "channel", "everyone", "subteam^…"."""
        return set(find_pings([message.text, message.blocks, message.attachments]))

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

    # The app's own steps

    def trace(self, source: str, title: str, *, at: float | None = None, **fields: Any) -> None:
        """Report a step inside the app for "What happened"; the fields are those of `Trace`.

        `at` is real time in seconds since the epoch; by default it is now.
        """
        self._trace_number += 1
        offset = self.clock.now() - time.time()
        at = self.clock.now() if at is None else at + offset
        trace = Trace(number=self._trace_number, source=source, title=title, at=at, **fields)
        self._traces.append(trace)
        self.workspace.changes.publish("trace", **trace.as_json())

    def steps(self, channel: str, thread_ts: str) -> list[Json]:
        """Everything reported for a thread: deliveries, calls and traces, in order."""
        channel_id = self.channel(channel).id
        traces = list(self._traces)
        return steps_of(self.workspace, channel_id, thread_ts, self.deliveries, self.calls, traces)

    def add_switch(self, switch: Switch) -> None:
        """Offer a button on the page's panel of faults."""
        self.switches[switch.name] = switch
        self._publish_switches()

    def set_switch(self, name: str, state: str) -> None:
        """Change the status text of a button."""
        self.switches[name].state = state
        self._publish_switches()

    def add_page(self, page: AppPage) -> None:
        """Offer a page of the app in the sidebar; open pages show it after a reload."""
        self.pages[page.name] = page

    def _publish_switches(self) -> None:
        switches = [switch.as_json() for switch in self.switches.values()]
        self.workspace.changes.publish("switches", switches=switches)

    def snapshot(self) -> Json:
        """The state as a JSON dict; give it to `open_workspace(state=...)`."""
        return snapshot(self.workspace)

    # Time

    def expire(self) -> None:
        """End expired streams and status lines (also done twice a second)."""
        expire_streams(self.workspace)
        expire_agents(self.workspace)

    async def wait_for(self, predicate: Callable[[], Value], timeout: float | None = None) -> Value:
        """The first true value of `predicate`, checked after every change.

        Raises TimeoutError after `timeout` seconds, by default the `patience` of the workspace.
        """
        changed = asyncio.Event()
        stop = self.workspace.changes.observe(lambda change: changed.set())
        try:
            async with asyncio.timeout(self.patience if timeout is None else timeout):
                while not (value := predicate()):
                    changed.clear()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await changed.wait()
                return value
        finally:
            stop()

    def serve_at(self, base_url: str) -> None:
        """Set the address of the server in all parts."""
        self.base_url = base_url
        self.web_api.base_url = self.interactions.base_url = base_url
        self.workspace.files_url = base_url

    async def settled(self, timeout: float | None = None) -> None:
        """Wait until every delivery so far was acknowledged or given up."""
        await self.wait_for(lambda: not self.deliveries_to_app.pending, timeout)

    async def close(self) -> None:
        """Stop delivering; pending deliveries are dropped."""
        await self.deliveries_to_app.close()
        await self.sockets.cut()
        await self.http.close()
