"""Our own tools: one module each, and this index.

To add one, write a module with a `TOOL` and list it in `TOOLS`; `own` in the file of BOT_TOOLS
turns it on.
"""

from collections.abc import Iterable

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
    """The tools of these names. Raises ConfigError for one that is not listed."""
    known = {each.tool.name: each for each in TOOLS}
    for name in names:
        if name not in known:
            raise ConfigError(VARIABLE, f"own: there is no tool {name}; known: {', '.join(known)}")
    return {name: known[name] for name in names}
