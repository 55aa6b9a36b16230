"""The policy for a call: allow, ask or deny. Deny overrides ask, ask overrides allow."""

from typing import Literal

from bot.tools.config import ServerConfig, matches
from bot.tools.tool import Tool

PolicyDecision = Literal["allow", "ask", "deny"]


def asks_always(tool: Tool, config: ServerConfig | None) -> bool:
    """Whether a person is asked before each single call."""
    return config is not None and (config.ask == "always" or matches(tool.name, config.always_ask))


def decide(
    tool: Tool, config: ServerConfig | None, channel_id: str, *, read_external: bool = False
) -> PolicyDecision:
    """The policy's decision on a call of `tool` in a channel.

    `config` is None for our own tools, which read only. `read_external`: the turn has read content
    that its requester did not write (web, files, other people's text); such content may contain
    instructions, so a write needs approval even if the policy allows it.
    """
    if config is None:
        return "allow" if tool.read_only else "ask"
    if not config.offers(tool.name, channel_id):
        return "deny"
    writes = not (tool.read_only and config.trust_hints)
    if asks_always(tool, config):
        return "ask"
    if config.auth == "person" and read_external:
        return "ask"  # reading with a person's account may reveal what is theirs
    if writes and (config.ask == "writes" or read_external):
        return "ask"
    return "allow"
