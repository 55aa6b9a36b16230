"""The calls of a chat completion, put together from its chunks.

Servers differ: some send a call in pieces with its index, some whole, some without an id or with
the index 0 for all of them, some with arguments that are an object.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.engines.items import fields, text, whole


@dataclass
class _Call:
    id: str
    index: int
    name: str = ""
    arguments: str = ""

    @property
    def is_whole(self) -> bool:
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


class ChatCalls:
    """Takes the `tool_calls` of deltas and messages; `size` counts characters."""

    def __init__(self) -> None:
        self.size = 0
        self._calls: list[_Call] = []

    def take(self, delta: Mapping[str, Any]) -> None:
        """Take in one entry: a whole call, or a piece of one."""
        function, call_id = fields(delta.get("function")), text(delta.get("id"))
        index, name = whole(delta.get("index")), text(function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            arguments = json.dumps(arguments)
        call = self._find(index, call_id, name)
        if call is None:
            call = _Call(call_id, index)
            self._calls.append(call)
        call.name = call.name or name
        call.arguments += text(arguments)
        self.size += len(name) + len(text(arguments)) + 1

    def items(self) -> list[dict[str, Any]]:
        """The calls as items of a response; one without an id of its own gets one."""
        seen: set[str] = set()
        made = []
        for call in self._calls:
            call_id = call.id
            if not call_id or call_id in seen:
                call_id = f"call_{secrets.token_hex(12)}"
            seen.add(call_id)
            made.append(
                {
                    "type": "function_call",
                    "id": f"fc_{call_id}",
                    "call_id": call_id,
                    "name": call.name,
                    "arguments": call.arguments or "{}",
                    "status": "completed",
                }
            )
        return made

    def _find(self, index: int, call_id: str, name: str) -> _Call | None:
        """The call that a piece belongs to: the newest of its index, unless it begins another."""
        known = [call for call in self._calls if call.index == index]
        if not known or (call_id and known[-1].id and call_id != known[-1].id):
            return None
        begins = bool(name) and bool(known[-1].name) and known[-1].is_whole
        return None if begins and call_id != (known[-1].id or None) else known[-1]
