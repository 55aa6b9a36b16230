"""Opens the workspaces of a deployment: the one of its token, or those that install the bot."""

from aiohttp import web

from bot.settings import Settings
from bot.slack.client import SlackClient, guard_client, identify
from bot.slack.install import Install
from bot.slack.installed import InstalledWorkspaces
from bot.slack.lifecycle import Lifecycle
from bot.slack.scopes import SCOPES
from bot.slack.workspaces import OneWorkspace, Workspaces, make_workspace
from bot.store import Store
from bot.timing import SlackTiming


async def open_workspaces(
    settings: Settings, timing: SlackTiming, store: Store, client: SlackClient
) -> Workspaces:
    """All workspaces. Raises ConfigError for a bad token, Retry when Slack is unavailable."""
    own = None
    if settings.slack_bot_token is not None:
        guarded = guard_client(client, store.circuits, "slack:token")
        own = make_workspace(guarded, await identify(client), settings, timing)
        await store.installations.keep_data(own.id)
    if own is not None and settings.slack_client_id is None:
        return OneWorkspace(own)
    return InstalledWorkspaces(own, store, client, settings, timing)


def find_lifecycle(workspaces: Workspaces, store: Store, client: SlackClient) -> Lifecycle | None:
    """What handles the events about installations; None where there are none."""
    if not isinstance(workspaces, InstalledWorkspaces):
        return None
    return Lifecycle(store, workspaces, client)


def add_install_routes(
    site: web.Application,
    workspaces: Workspaces,
    store: Store,
    client: SlackClient,
    settings: Settings,
) -> None:
    """Serve the pages of the installation, if workspaces install the bot themselves."""
    if isinstance(workspaces, InstalledWorkspaces):
        Install(store, client, settings, SCOPES, workspaces.forget).add_routes(site)
