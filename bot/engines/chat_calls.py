"""The calls of a chat completion, assembled from its chunks.

Servers differ: some send a call in chunks with its index, some complete, some without an id or with
index 0 for all calls, some with arguments as an object.
"""

import json
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bot.engines.items import fields, text, whole
from bot.engines.size import VALUE_BYTES

CALL_BYTES = 10 * VALUE_BYTES
"""Bytes of a call in memory, without its texts."""


@dataclass
class _Call:
    id: str
    name: str = ""
    chunks: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        self.chunks[:] = ["".join(self.chunks)]
        return self.chunks[0]

    @property
    def is_whole(self) -> bool:
        if not self.chunks or not self.chunks[-1].rstrip().endswith("}"):
            return False
        try:
            return isinstance(json.loads(self.arguments), dict)
        except (ValueError, RecursionError):
            return False


class ChatCalls:
    """Takes the `tool_calls` of deltas and messages; `size` is their approximate size in bytes,
    `chars` the length of all arguments."""

    def __init__(self) -> None:
        self.size = 0
        self.chars = 0
        self._calls: list[_Call] = []
        self._newest: dict[int, _Call] = {}
        """The newest call of each index."""

    @property
    def is_whole(self) -> bool:
        """Whether the arguments of all calls are complete."""
        return all(call.is_whole for call in self._calls if call.chunks)

    def take(self, delta: Mapping[str, Any]) -> None:
        """Apply one entry: a complete call, or a chunk of one."""
        function, call_id = fields(delta.get("function")), text(delta.get("id"))
        index, name = whole(delta.get("index")), text(function.get("name"))
        arguments = function.get("arguments")
        if isinstance(arguments, Mapping):
            arguments = json.dumps(arguments)
        call = self._find(index, call_id, name)
        if call is None:
            call = self._newest[index] = _Call(call_id)
            self._calls.append(call)
            self.size += CALL_BYTES + len(call_id)
        call.name = call.name or name
        if words := text(arguments):
            call.chunks.append(words)
        self.size += sys.getsizeof(name) + sys.getsizeof(words)
        self.chars += len(words)

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
        known = self._newest.get(index)
        if known is None or (call_id and known.id and call_id != known.id):
            return None
        begins = bool(name) and bool(known.name) and known.is_whole
        return None if begins and call_id != (known.id or None) else known
