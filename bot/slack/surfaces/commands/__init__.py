"""The slash commands: one module each, and this index.

To add one, write a module with a `COMMAND` and list it in `COMMANDS`; the manifest follows. Another
package offers its own as an entry point of the group `threadbot.commands`.
"""

from bot import plugins
from bot.errors import ConfigError
from bot.slack.surfaces.commands import conversations, forget_me, help, reset, tools, usage
from bot.slack.surfaces.commands.command import Answer, Ask, Command

COMMANDS: tuple[Command, ...] = (
    reset.COMMAND,
    conversations.COMMAND,
    usage.COMMAND,
    tools.COMMAND,
    forget_me.COMMAND,
    help.COMMAND,
)


def all_commands() -> tuple[Command, ...]:
    """Ours and those of plug-ins. Raises ConfigError for a plug-in that cannot be used."""
    offered = plugins.load_all(plugins.COMMANDS)
    names = [command.name for command in COMMANDS]
    for command in offered:
        if not isinstance(command, Command) or command.name in names:
            raise ConfigError(plugins.COMMANDS, f"{command!r} is no command, or its name is taken")
        names.append(command.name)
    return (*COMMANDS, *offered)


__all__ = ["COMMANDS", "Answer", "Ask", "Command", "all_commands"]
