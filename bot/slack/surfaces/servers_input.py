"""The choice of tool servers in a form: all are on unless an admin turns them off."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.calls import ToolSummary
from bot.slack.blocks import Block, multi_select

BLOCK = "servers"
MOST_SERVERS = 100
"""Options that one of Slack's menus takes."""


def servers_of(tools: ToolSummary) -> tuple[str, ...]:
    """The servers to choose from."""
    return tuple(server.name for server in tools.servers)[:MOST_SERVERS]


def servers_input(servers: Sequence[str], off: Sequence[str]) -> Block:
    """The element of the form, with the servers that are on."""
    return multi_select(BLOCK, servers, [name for name in servers if name not in off])


def read_servers_off(
    given: Mapping[str, Mapping[str, Any]], servers: Sequence[str], before: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The servers that were turned off, from the states of the elements; `before` without one."""
    if BLOCK not in given:
        return before
    on = {option.get("value") for option in given[BLOCK].get("selected_options") or ()}
    return tuple(name for name in servers if name not in on)
