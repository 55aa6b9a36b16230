"""A linked thread, if the person who asks can see it."""

from collections.abc import Mapping
from typing import Any

from bot.tools.tool import Caller, OwnTool, Tool


async def call(arguments: Mapping[str, Any], caller: Caller) -> str:
    """Raises ValueError with the reason if it may not be read."""
    if caller.source is None:
        raise ValueError("Slack cannot be read here")
    return await caller.source.read_thread(str(arguments.get("link") or ""), caller.viewer)


TOOL = OwnTool(
    Tool(
        name="slack_read_thread",
        description="Read a thread in Slack that a message links to.",
        parameters={
            "type": "object",
            "properties": {
                "link": {
                    "type": "string",
                    "description": "The link to a message, https://….slack.com/archives/….",
                }
            },
            "required": ["link"],
        },
        read_only=True,
        retained=False,
    ),
    call,
)
