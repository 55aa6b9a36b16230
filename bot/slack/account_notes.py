"""Messages to people about their own accounts at tool servers."""

from bot.errors import BotError
from bot.slack.direct_messages import DirectMessages
from bot.slack.workspaces import Workspaces
from bot.telemetry.log import log
from bot.texts.accounts import connected_note


async def notify_connected(workspaces: Workspaces, team_id: str, user_id: str, server: str) -> None:
    """Notify a person that an account was connected. Best effort."""
    try:
        workspace = await workspaces.find(team_id)
        if workspace is not None:
            await DirectMessages(workspace.client).send(user_id, connected_note(server))
    except BotError as error:
        log.warning("account_not_announced", user=user_id, error=str(error)[:100])
