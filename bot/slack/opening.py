"""Opens the workspaces of a deployment: the one of its token, or those that install the bot."""

from bot.errors import StoreUnavailable
from bot.settings import Settings
from bot.slack.client import SlackClient, guard_client, identify
from bot.slack.installed import InstalledWorkspaces
from bot.slack.workspaces import OneWorkspace, Workspaces, make_workspace
from bot.store.shards import Shards
from bot.telemetry.log import log
from bot.timing import SlackTiming


async def open_workspaces(
    settings: Settings, timing: SlackTiming, shards: Shards, client: SlackClient
) -> Workspaces:
    """All workspaces. Raises ConfigError for a bad token, Retry when Slack is unavailable."""
    own = None
    if settings.slack_bot_token is not None:
        identity = await identify(client)
        store = shards.of(identity.team_id)
        guarded = guard_client(client, store.circuits, "slack:token")
        own = make_workspace(guarded, identity, settings, timing)
        try:
            await store.installations.keep_data(own.id)
        except StoreUnavailable:
            if len(shards) == 1:
                raise
            # The other shards work; the next start does it.
            log.warning("own_workspace_not_kept", team=own.id, shard=store.number)
    if own is not None and settings.slack_client_id is None:
        return OneWorkspace(own)
    return InstalledWorkspaces(own, shards, client, settings, timing)
