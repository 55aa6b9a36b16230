"""Our own tools: one module of this folder each, named like its tool.

To add one, write a module with a `TOOL`; `own` in the file of BOT_TOOLS turns it on. Another
package offers its own as an entry point of the group `threadbot.tools`.
"""

import importlib
import pkgutil
from collections.abc import Iterable

from bot import plugins
from bot.errors import ConfigError
from bot.tools.config import VARIABLE
from bot.tools.tool import OwnTool

NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__)))


def own_tools(names: Iterable[str]) -> dict[str, OwnTool]:
    """The tools of these names, ours before those of plug-ins. Raises ConfigError for others."""
    return {name: _find(name) for name in names}


def _find(name: str) -> OwnTool:
    offered = plugins.find_names(plugins.TOOLS)
    if name in NAMES:
        tool = importlib.import_module(f"{__name__}.{name}").TOOL
    elif name in offered:
        tool = plugins.load(plugins.TOOLS, name)
    else:
        names = ", ".join((*NAMES, *sorted(offered)))
        raise ConfigError(VARIABLE, f"own: there is no tool {name}; known: {names}")
    if not isinstance(tool, OwnTool) or tool.tool.name != name:
        raise ConfigError(plugins.TOOLS, f"{name} is no tool of that name")
    return tool
