"""Our own tools: one module each, and this index.

To add one, write a module with a `TOOL` and list it in `TOOLS`; `own` in the file of BOT_TOOLS
turns it on. Another package offers its own as an entry point of the group `threadbot.tools`.
"""

from collections.abc import Iterable

from bot import plugins
from bot.errors import ConfigError
from bot.tools.config import VARIABLE
from bot.tools.own import current_time, slack_read_canvas, slack_read_thread, slack_search
from bot.tools.tool import OwnTool

TOOLS: tuple[OwnTool, ...] = (
    current_time.TOOL,
    slack_read_canvas.TOOL,
    slack_read_thread.TOOL,
    slack_search.TOOL,
)


def own_tools(names: Iterable[str]) -> dict[str, OwnTool]:
    """The tools of these names, ours before those of plug-ins. Raises ConfigError for others."""
    return {name: _find(name) for name in names}


def _find(name: str) -> OwnTool:
    known = {each.tool.name: each for each in TOOLS}
    if name in known:
        return known[name]
    offered = plugins.find_names(plugins.TOOLS)
    if name not in offered:
        names = ", ".join((*known, *sorted(offered)))
        raise ConfigError(VARIABLE, f"own: there is no tool {name}; known: {names}")
    tool = plugins.load(plugins.TOOLS, name)
    if not isinstance(tool, OwnTool) or tool.tool.name != name:
        raise ConfigError(plugins.TOOLS, f"{name} is no tool of that name")
    return tool
