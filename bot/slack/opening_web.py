"""Opens what only the web part needs if workspaces install the bot themselves."""

from aiohttp import web

from bot.settings import Settings
from bot.slack.client import SlackClient
from bot.slack.install import Install
from bot.slack.installed import InstalledWorkspaces
from bot.slack.lifecycle import Lifecycle
from bot.slack.scopes import SCOPES
from bot.slack.shared_channels import SharedChannels
from bot.slack.workspaces import Workspaces
from bot.store.shards import Shards


def find_lifecycle(workspaces: Workspaces, shards: Shards, client: SlackClient) -> Lifecycle | None:
    """The handler of events about installations; None without installations."""
    if not isinstance(workspaces, InstalledWorkspaces):
        return None
    return Lifecycle(shards, workspaces, client)


def find_shared_channels(workspaces: Workspaces) -> SharedChannels | None:
    """The finder of the other workspaces of a Slack Connect channel; None without installations."""
    return SharedChannels(workspaces) if isinstance(workspaces, InstalledWorkspaces) else None


def add_install_routes(
    site: web.Application,
    workspaces: Workspaces,
    shards: Shards,
    client: SlackClient,
    settings: Settings,
) -> None:
    """Serve the pages of the installation, if workspaces install the bot themselves."""
    if isinstance(workspaces, InstalledWorkspaces):
        Install(shards, client, settings, SCOPES, workspaces.forget).add_routes(site)
