"""Shared parts of the stories about tools: worlds with an MCP server, and scripts for the model."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from bot.store import AuditLine
from tests.fakes.openai import Answer, Call, Prompt
from tests.world import World

ENGINES: dict[str, dict[str, Any]] = {
    "responses": {},
    "replayed": {"fake": {"conversations": False}},
    "chat": {"fake": {"conversations": False, "responses": False}},
    "assistants": {"engine": "assistants"},
    "echo": {"engine": "echo"},
}

OpenTools = Callable[..., AbstractAsyncContextManager[World]]


def effects(counts: Path) -> list[str]:
    return counts.read_text().split()


def read(topic: str) -> Call:
    return Call("s__read", f'{{"topic": "{topic}"}}')


def script(*rounds: Answer) -> Any:
    """Answers with rounds of calls, then shows the results of the last one."""
    left = list(rounds)

    def answer(prompt: Prompt) -> Answer:
        if left:
            return left.pop(0)
        return Answer(" | ".join(map(str, prompt.outputs.values() or prompt.user_messages)))

    return answer


async def audit(world: World) -> list[AuditLine]:
    return [stored.line async for stored in world.bot.store.audit.read()]
