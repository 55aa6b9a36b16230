"""The calls of a chat completion, assembled from its chunks.

Servers differ: some send a call in chunks with its index, some complete, some without an id or with
index 0 for all calls, some with arguments as an object.
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

    @property
    def is_whole(self) -> bool:
        """Whether the arguments of all calls are complete."""
        return all(call.is_whole for call in self._calls if call.arguments)

    def take(self, delta: Mapping[str, Any]) -> None:
        """Apply one entry: a complete call, or a chunk of one."""
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
        """The calls as items of a response; a call without an id gets one."""
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
        """The call of a chunk: the newest with its index, unless the chunk begins another call."""
        known = [call for call in self._calls if call.index == index]
        if not known or (call_id and known[-1].id and call_id != known[-1].id):
            return None
        begins = bool(name) and bool(known[-1].name) and known[-1].is_whole
        return None if begins and call_id != (known[-1].id or None) else known[-1]
