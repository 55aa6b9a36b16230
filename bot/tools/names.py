"""Names of functions that AI servers accept: at most 64 of `[A-Za-z0-9_-]`.

MCP allows 128 characters and dots, and two servers may have tools of the same name. The mapping is
stable: the same tools give the same names in every process, so that prompt caches stay warm.
"""

import hashlib
import re
from collections.abc import Iterable

from bot.tools.tool import Tool

LONGEST = 64
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]")
_HASH = 8


def name_functions(tools: Iterable[Tool]) -> dict[str, Tool]:
    """A function name for each tool, sorted. A name that is too long or not unique gets a hash; so
    does one that looks like another's name with its hash."""
    wanted: dict[str, list[Tool]] = {}
    for tool in tools:
        wanted.setdefault(_plain(tool), []).append(tool)
    unique = {
        name: same[0] for name, same in wanted.items() if len(same) == 1 and len(name) <= LONGEST
    }
    named = {
        _hashed(name, tool): tool
        for name, same in wanted.items()
        for tool in same
        if name not in unique
    }
    for name, tool in unique.items():
        named[_hashed(name, tool) if name in named else name] = tool
    return dict(sorted(named.items()))


def _plain(tool: Tool) -> str:
    parts = (tool.server, tool.name) if tool.server else (tool.name,)
    return "__".join(_FOREIGN.sub("_", part) for part in parts) or "tool"


def _hashed(name: str, tool: Tool) -> str:
    identity = f"{tool.server}\0{tool.name}".encode()
    digest = hashlib.sha256(identity).hexdigest()[:_HASH]
    return f"{name[: LONGEST - _HASH - 1]}_{digest}"
