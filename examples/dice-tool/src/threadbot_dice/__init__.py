"""roll_dice: random numbers that the model does not invent."""

import secrets
from collections.abc import Mapping
from typing import Any

from bot.tools.tool import Caller, OwnTool, Tool

MOST = 100


async def call(arguments: Mapping[str, Any], caller: Caller) -> str:
    """Roll `count` dice with `sides` sides. ValueError is an answer that the model reads."""
    count, sides = int(arguments.get("count", 1)), int(arguments.get("sides", 6))
    if not (1 <= count <= MOST and 2 <= sides <= MOST):
        raise ValueError(f"from 1 to {MOST} dice, with 2 to {MOST} sides")
    return " ".join(str(secrets.randbelow(sides) + 1) for _ in range(count))


NUMBER = {"type": "integer", "minimum": 1, "maximum": MOST}
TOOL = OwnTool(
    Tool(
        name="roll_dice",
        description="Roll dice (default: one with six sides).",
        parameters={"type": "object", "properties": {"count": NUMBER, "sides": NUMBER}},
        read_only=True,
        open_world=False,
    ),
    call,
)
