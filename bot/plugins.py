"""Plug-ins: packages that add engines, slash commands and tools through entry points.

`threadbot.engines`: a callable like `bot.engines.open_engine`, named as `BOT_ENGINE` names it.
`threadbot.commands`: a `Command`. `threadbot.tools`: an `OwnTool`, named like its tool. See
`examples/`.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from bot.errors import ConfigError

ENGINES = "threadbot.engines"
COMMANDS = "threadbot.commands"
TOOLS = "threadbot.tools"


def find_names(group: str) -> frozenset[str]:
    """The names that the installed packages offer. Nothing is imported."""
    return frozenset(entry_points(group=group).names)


def load(group: str, name: str) -> Any:
    """The object behind a name. Raises ConfigError if its package cannot be imported."""
    found = [point for point in entry_points(group=group) if point.name == name]
    if not found:
        raise ConfigError(group, f"no installed package offers {name}")
    return _import(found[0])


def load_all(group: str) -> list[Any]:
    """All objects of a group, by name."""
    return [_import(point) for point in sorted(entry_points(group=group), key=lambda p: p.name)]


def _import(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise ConfigError(
            point.group, f"{point.name} ({point.value}) cannot be imported: {error!r}"
        ) from error
