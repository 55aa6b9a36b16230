"""The date and time in a time zone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bot.tools.tool import Caller, OwnTool, Tool


async def call(arguments: Mapping[str, Any], caller: Caller) -> str:
    """`timezone` is an IANA name, such as Europe/Berlin."""
    name = str(arguments.get("timezone") or "UTC")
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("there is no such time zone") from None
    return datetime.now(zone).strftime("%A, %d %B %Y, %H:%M:%S %Z")


TOOL = OwnTool(
    Tool(
        name="current_time",
        description="The date and time now, in a time zone (IANA name, default UTC).",
        parameters={"type": "object", "properties": {"timezone": {"type": "string"}}},
        read_only=True,
        open_world=False,
    ),
    call,
)
