"""Messages to people about their own accounts at tool servers."""

from bot.errors import BotError
from bot.slack.direct_messages import DirectMessages
from bot.slack.surfaces.account_code import code_button
from bot.slack.workspaces import Workspaces
from bot.telemetry.log import log
from bot.texts.accounts import ask_code


async def ask_for_code(workspaces: Workspaces, team_id: str, user_id: str, server: str) -> None:
    """Ask a person for the code that their browser shows. Best effort."""
    try:
        workspace = await workspaces.find(team_id)
        if workspace is not None:
            messages = DirectMessages(workspace.client)
            await messages.send_blocks(user_id, ask_code(server), [code_button()])
    except BotError as error:
        log.warning("code_not_requested", user=user_id, error=str(error)[:100])
