"""Tools that the AI server runs itself, in the form of the Responses protocol.

The list depends on the configuration and on the servers' tools only, never on a turn, so that
prompt caches stay warm.
"""

from collections.abc import Iterable, Sequence

from bot.models import Json
from bot.tools.config import BuiltIn, ServerConfig
from bot.tools.policy import decide
from bot.tools.tool import Tool


def built_in_tools(config: BuiltIn) -> list[Json]:
    """The built-in tools that are turned on."""
    tools: list[Json] = []
    if config.web_search:
        # Without a location OpenAI searches as from the United States.
        tools.append({"type": "web_search", "user_location": {"type": "approximate"}})
    if config.code_interpreter:
        tools.append({"type": "code_interpreter", "container": {"type": "auto"}})
    if config.image_generation:
        tools.append({"type": "image_generation"})
    if config.file_search:
        tools.append({"type": "file_search", "vector_store_ids": list(config.file_search)})
    return tools


def server_tool(name: str, config: ServerConfig, tools: Sequence[Tool]) -> Json:
    """An MCP server that the AI server calls, with the tools it offers.

    The AI server asks before each call that the policy may refuse in any turn; the policy itself is
    applied to its request.
    """
    free = [tool.name for tool in tools if _is_free(tool, config)]
    asking = [tool.name for tool in tools if tool.name not in free]
    approval = {"always": asking, "never": free}
    filters = {key: {"tool_names": names} for key, names in approval.items() if names}
    made = {
        "type": "mcp",
        "server_label": name,
        "server_url": config.url,
        "allowed_tools": [tool.name for tool in tools],
        "require_approval": filters,
    }
    return made | ({"headers": dict(config.headers)} if config.headers else {})


def _is_free(tool: Tool, config: ServerConfig) -> bool:
    """Whether the policy allows each call, in every channel of the server and after any content."""
    channel_id = next(iter(config.channels), "")
    return decide(tool, config, channel_id, read_external=True) == "allow"


def offered_tools(tools: Iterable[Tool], config: ServerConfig) -> list[Tool]:
    """The tools of a server that are offered in its channels, by name."""
    return [tool for tool in tools if config.offers_somewhere(tool.name)]
