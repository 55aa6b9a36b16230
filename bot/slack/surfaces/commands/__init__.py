"""The slash commands: one module each, and this index.

To add one, write a module with a `COMMAND` and list it in `COMMANDS`; the manifest follows.
"""

from bot.slack.surfaces.commands import conversations, forget_me, help, reset, usage
from bot.slack.surfaces.commands.command import Answer, Ask, Command

COMMANDS: tuple[Command, ...] = (
    reset.COMMAND,
    conversations.COMMAND,
    usage.COMMAND,
    forget_me.COMMAND,
    help.COMMAND,
)

__all__ = ["COMMANDS", "Answer", "Ask", "Command"]
