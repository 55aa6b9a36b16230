"""The slash commands: one module of this folder each.

To add one, write a module with a `COMMAND`; it is found here, and the manifest follows. Another
package offers its own as an entry point of the group `threadbot.commands`.
"""

import importlib
import pkgutil

from bot import plugins
from bot.errors import ConfigError
from bot.slack.surfaces.commands.command import Answer, Ask, Command


def _found_here() -> tuple[Command, ...]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(module.COMMAND for module in modules if hasattr(module, "COMMAND"))


COMMANDS = _found_here()


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
