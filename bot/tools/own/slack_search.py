"""The search of the workspace, for the person who asks."""

from collections.abc import Mapping
from typing import Any

from bot.tools.tool import Caller, OwnTool, Tool


async def call(arguments: Mapping[str, Any], caller: Caller) -> str:
    """Raises ValueError with the reason if it may not be read."""
    if caller.source is None:
        raise ValueError("Slack cannot be read here")
    return await caller.source.search(str(arguments.get("query") or ""), caller.viewer)


TOOL = OwnTool(
    Tool(
        name="slack_search",
        description="Search the messages of public channels in this Slack workspace.",
        parameters={
            "type": "object",
            "properties": {
                "query": {
                    "type": "string",
                    "description": "What to look for, in words or as a question.",
                }
            },
            "required": ["query"],
        },
        read_only=True,
        retained=False,
    ),
    call,
)
