"""Calls that the AI server makes itself: of built-in tools, and of MCP servers it connects to."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bot.calls import HostedCall
from bot.engines.items import Item, fields, listed, text

BUILT_IN: Mapping[str, str] = {
    "web_search_call": "web_search",
    "file_search_call": "file_search",
    "code_interpreter_call": "code_interpreter",
    "image_generation_call": "image_generation",
}
"""The name of a built-in tool by the type of its item."""
_INPUTS = ("action", "queries", "code")
KEPT_CHARS = 4_000
"""Characters of the arguments, and of a result, that are kept."""
MOST_CALLS = 200
"""Calls of one run that are kept."""


def hosted_calls(items: Iterable[Item]) -> tuple[HostedCall, ...]:
    """The calls that the AI server has made, in order, each once."""
    found: dict[str, HostedCall] = {}
    for index, item in enumerate(items):
        kind, item_id = text(item.get("type")), text(item.get("id")) or f"item:{index}"
        if kind == "mcp_call":
            found[item_id] = _mcp_call(item, item_id)
        elif kind in BUILT_IN:
            found[item_id] = HostedCall(item_id, BUILT_IN[kind], _inputs(item))
    return tuple(found.values())[:MOST_CALLS]


def _mcp_call(item: Item, item_id: str) -> HostedCall:
    error, output, arguments = _error(item.get("error")), item.get("output"), item.get("arguments")
    made = HostedCall(
        item_id,
        text(item.get("name")),
        arguments if isinstance(arguments, str) and len(arguments) <= KEPT_CHARS else "{}",
        text(item.get("server_label")),
        approval=text(item.get("approval_request_id")),
    )
    if error:
        return _ended(made, f"Error: {error}", "failed")
    if isinstance(output, str) or item.get("status") == "completed":
        return _ended(made, text(output), "done")
    return _ended(made, "", "failed" if item.get("status") == "failed" else "unknown")


def _ended(call: HostedCall, output: str, outcome: Any) -> HostedCall:
    return HostedCall(
        call.id, call.name, call.arguments, call.server, output[:KEPT_CHARS], outcome, call.approval
    )


def _error(error: Any) -> str:
    """The text of an error: an object, or a string from older servers."""
    if isinstance(error, str):
        return error
    shown = fields(error)
    if not shown:
        return ""
    parts = [text(fields(part).get("text")) for part in listed(shown.get("content"))]
    return text(shown.get("message")) or "\n".join(filter(None, parts)) or "the call failed"


def _inputs(item: Item) -> str:
    """The request to a built-in tool, as JSON."""
    given = {key: item[key] for key in _INPUTS if item.get(key)}
    return json.dumps(given, sort_keys=True, default=str)[:KEPT_CHARS]
