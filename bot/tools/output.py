"""The text of a result for the model: bounded, and without bytes that it cannot read."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from bot.models import well_formed

LARGEST_SCHEMA = 50_000
"""Characters of the schema of one tool: all schemas travel with each request."""


def checked_schema(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A schema that AI servers take: of an object, and not endless. Else one that allows all."""
    anything: Mapping[str, Any] = {"type": "object", "properties": {}}
    if not schema or schema.get("type", "object") != "object":
        return anything
    try:
        length = len(json.dumps(schema))
    except (ValueError, TypeError, RecursionError):
        return anything
    return {"properties": {}, **schema, "type": "object"} if length <= LARGEST_SCHEMA else anything


def cut(text: str, most: int) -> str:
    """At most `most` characters, with a line that says how much is missing."""
    text = well_formed(text)
    if len(text) <= most:
        return text
    return f"{text[:most]}\n[cut: {most} of {len(text)} characters]"


def render_content(blocks: Iterable[Any], structured: Any, most: int) -> str:
    """MCP's content blocks as text; other content is described by its kind and size."""
    parts, length = [], 0
    for block in blocks:
        part = _render_block(block)
        parts.append(part)
        length += len(part)
        if length > most:
            break
    if not any(parts) and structured is not None:
        parts = [json.dumps(structured, ensure_ascii=False, default=str)]
    return cut("\n".join(filter(None, parts)) or "[no output]", most)


def _render_block(block: Any) -> str:
    kind = getattr(block, "type", "")
    if kind == "text":
        return str(block.text)
    if kind in ("image", "audio"):
        size = len(block.data) * 3 // 4
        return f"[{kind}: {block.mime_type}, {size} bytes, not shown]"
    if kind == "resource_link":
        return f"[resource: {block.uri}]"
    if kind == "resource":
        text = getattr(block.resource, "text", None)
        return str(text) if text is not None else f"[resource: {block.resource.uri}]"
    return f"[{kind or 'unknown content'}]"
