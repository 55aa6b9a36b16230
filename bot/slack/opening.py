"""Opens the workspaces of a deployment: the one of its token, or those that install the bot."""

import hashlib
from functools import partial

from pydantic import SecretStr

from bot.errors import Retry, StoreUnavailable
from bot.models import decode, encode
from bot.settings import Settings
from bot.slack.client import Identity, SlackClient, guard_client, identify
from bot.slack.installed import InstalledWorkspaces
from bot.slack.workspaces import OneWorkspace, Workspaces, make_workspace
from bot.store import Store
from bot.store.corrupt import read_each
from bot.store.shards import Shards
from bot.telemetry.log import log
from bot.timing import SlackTiming

KEPT_SECONDS = 90 * 86400
"""How long after a start the identity that it found can be used."""


async def open_workspaces(
    settings: Settings, timing: SlackTiming, shards: Shards, client: SlackClient
) -> Workspaces:
    """All workspaces. Raises ConfigError for a bad token, Retry when Slack is unavailable and no
    process with this token has started in the last 90 days.
    """
    own = None
    if settings.slack_bot_token is not None:
        mark = _mark_of(settings.slack_bot_token)
        identity = await _identify(client, shards.home, mark)
        store = shards.of(identity.team_id)
        guarded = guard_client(client, store.circuits, "slack:token")
        own = make_workspace(guarded, identity, settings, timing)
        try:
            await store.installations.keep_data(own.id)
            await shards.home.flags.note(mark, encode(identity), KEPT_SECONDS)
        except StoreUnavailable:
            if len(shards) == 1:
                raise
            # The other shards work; the next start does it.
            log.warning("own_workspace_not_kept", team=own.id, shard=store.number)
    if own is not None and settings.slack_client_id is None:
        return OneWorkspace(own)
    return InstalledWorkspaces(own, shards, client, settings, timing)


def _mark_of(token: SecretStr) -> str:
    """The name under which the identity of a token is kept."""
    return f"identity:{hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:32]}"


async def _identify(client: SlackClient, store: Store, mark: str) -> Identity:
    """The identity of the token; while Slack is unavailable, as an earlier start has found it.

    So a process that starts during an outage of Slack receives and waits like the others.
    """
    try:
        return await identify(client)
    except Retry as error:
        kept = await store.flags.read(mark)
        found = read_each(mark, [kept] if kept else [], partial(decode, Identity))
        if not found:
            raise
        log.warning("slack_unavailable_at_start", error=str(error)[:100])
        return found[0][1]
