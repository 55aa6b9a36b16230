"""Plug-ins: packages that add engines, slash commands and tools through entry points.

`threadbot.engines`: a callable like `bot.engines.open_engine`, named as `BOT_ENGINE` names it.
`threadbot.commands`: a `Command`. `threadbot.tools`: an `OwnTool`, named like its tool. See
`examples/`.
"""

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from bot.errors import ConfigError

ENGINES = "threadbot.engines"
COMMANDS = "threadbot.commands"
TOOLS = "threadbot.tools"


def find_names(group: str) -> frozenset[str]:
    """The names that the installed packages offer. Nothing is imported."""
    return frozenset(_offered(group).names)


def load(group: str, name: str) -> Any:
    """The object behind a name. Raises ConfigError if its package cannot be imported."""
    found = [point for point in _offered(group) if point.name == name]
    if not found:
        raise ConfigError(group, f"no installed package offers {name}")
    return _import(found[0])


def load_all(group: str) -> list[Any]:
    """All objects of a group, by name."""
    return [_import(point) for point in sorted(_offered(group), key=lambda p: p.name)]


def _offered(group: str) -> EntryPoints:
    return _installed(tuple(sys.path)).select(group=group)


@lru_cache(maxsize=4)
def _installed(path: tuple[str, ...]) -> EntryPoints:
    """The entry points of all packages on the path. Finding them reads a file of each package."""
    return entry_points()


def _import(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise ConfigError(
            point.group, f"{point.name} ({point.value}) cannot be imported: {error!r}"
        ) from error
