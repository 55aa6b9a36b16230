"""The web part of a process: takes Slack's events, over HTTP or Socket Mode, and shows pages."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from bot.engines.offered import OfferedModels
from bot.health import Probe
from bot.process.running import running
from bot.settings import Settings
from bot.slack.account_notes import ask_for_code
from bot.slack.answer.waiting import showing_waits
from bot.slack.client import SlackClient
from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.dispatch import Dispatcher
from bot.slack.opening_web import add_install_routes, find_lifecycle, find_shared_channels
from bot.slack.receiving import Receiving
from bot.slack.server import add_events_route, open_socket_mode
from bot.slack.signatures import Verifier
from bot.slack.workspace_app import open_app
from bot.slack.workspaces import PerWorkspace, Workspaces
from bot.store.shards import Shards
from bot.timing import Timing
from bot.tools.accounts import Accounts
from bot.tools.config import ToolsConfig, summarize
from bot.tools.connect_site import ConnectSite


@dataclass(frozen=True, slots=True)
class WebPart:
    """The running web part; in Socket Mode `is_connected` is the state of the socket."""

    settings: Settings
    shards: Shards
    client: SlackClient
    workspaces: Workspaces
    accounts: Accounts
    dispatcher: Dispatcher
    notes: DeliveryNotes
    is_connected: Probe | None

    def add_routes(self, site: web.Application) -> None:
        """Serve installations, connected accounts, and Slack's events unless a socket has them."""
        add_install_routes(site, self.workspaces, self.shards, self.client, self.settings)
        if self.accounts.servers:
            ConnectSite(self.accounts, partial(ask_for_code, self.workspaces)).add_routes(site)
        if not self.settings.socket_mode:
            add_events_route(site, self.dispatcher, _verifier(self.settings), self.notes)


@asynccontextmanager
async def open_web(
    settings: Settings,
    timing: Timing,
    shards: Shards,
    client: SlackClient,
    workspaces: Workspaces,
    tools: ToolsConfig,
    accounts: Accounts,
    receiving: Receiving,
) -> AsyncIterator[WebPart]:
    """The web part, which in Socket Mode has its connection."""
    async with AsyncExitStack() as stack:
        for store in shards:
            waits = showing_waits(workspaces, store.inbox, timing.answer)
            await stack.enter_async_context(waits)
            await stack.enter_async_context(running(store.redelivery.watch()))
        notes = DeliveryNotes(shards.home)
        asks = partial(_try_key, settings), OfferedModels(settings).list
        build = partial(open_app, timing.slack, summarize(tools), accounts, *asks)
        dispatcher = Dispatcher(
            PerWorkspace(workspaces, shards, build),
            notes,
            find_lifecycle(workspaces, shards, client),
            find_shared_channels(workspaces),
            receiving,
        )
        is_connected = None
        if settings.socket_mode:
            is_connected = await stack.enter_async_context(
                open_socket_mode(dispatcher, client, settings, shards.home)
            )
        yield WebPart(
            settings, shards, client, workspaces, accounts, dispatcher, notes, is_connected
        )


async def _try_key(settings: Settings, key: str) -> str:
    """Why a workspace's own key of the AI server does not work; "" if it does."""
    from bot.engines.keyed import try_key

    return await try_key(settings, key)


def _verifier(settings: Settings) -> Verifier:
    secret = settings.slack_signing_secret
    return Verifier(secret.get_secret_value() if secret else "")
