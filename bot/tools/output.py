"""The text of a result for the model: bounded, and without bytes that it cannot read."""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from bot.models import well_formed

LARGEST_SCHEMA = 50_000
"""Characters of the schema of one tool: all schemas travel with each request."""


DEEPEST_SCHEMA = 32
TYPES = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
ANYTHING: Mapping[str, Any] = {"type": "object", "properties": {}}


def checked_schema(schema: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """A schema that AI servers take: of an object, well formed, and not endless. Else one that
    allows all: a request with a bad schema fails, and with it each answer in the channel.
    """
    if not schema or schema.get("type", "object") != "object":
        return ANYTHING
    try:
        length = len(json.dumps(schema, allow_nan=False))
    except (ValueError, TypeError, RecursionError):
        return ANYTHING
    if length > LARGEST_SCHEMA or not _is_sound(schema):
        return ANYTHING
    return {"properties": {}, **schema, "type": "object"}


def _is_sound(schema: Any, depth: int = 0) -> bool:
    """Whether the parts of a schema that AI servers check have the right form."""
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, Mapping) or depth > DEEPEST_SCHEMA:
        return False
    type_, required, enum = schema.get("type", []), schema.get("required", []), schema.get("enum")
    types = [type_] if isinstance(type_, str) else type_
    if not (are_strings(types) and TYPES.issuperset(types) and are_strings(required)):
        return False
    if enum is not None and not (isinstance(enum, list) and enum):
        return False
    return all(_is_sound(each, depth + 1) for each in _parts(schema))


def _parts(schema: Mapping[str, Any]) -> Iterator[Any]:
    """The schemas within a schema; None in place of what has another form."""
    for key in ("properties", "$defs", "definitions", "patternProperties"):
        named = schema.get(key, {})
        yield from named.values() if isinstance(named, Mapping) else [None]
    for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        listed = schema.get(key, [True])
        yield from listed if isinstance(listed, list) and listed else [None]
    for key in ("items", "additionalProperties", "not"):
        yield schema.get(key, True)


def are_strings(value: Any) -> bool:
    """Whether a value is a list of strings."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def cut(text: str, most: int) -> str:
    """At most `most` characters, with a line that says how much is missing."""
    if len(text) <= most:
        return well_formed(text)
    return f"{well_formed(text[:most])}\n[cut: {most} of {len(text)} characters]"


def one_line(text: str, most: int) -> str:
    """At most `most` characters on one line, without control and format characters."""
    shown = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text[:1000])
    return " ".join(shown.split())[:most]


def render_content(
    blocks: Iterable[Any], structured: Any, most: int, scrub: Callable[[str], str] = str
) -> str:
    """MCP's content blocks as text; other content is described by its kind and size.

    `scrub` removes secrets before the text is cut, which could leave the beginning of one.
    """
    parts, length = [], 0
    for block in blocks:
        part = _render_block(block)
        parts.append(part)
        length += len(part)
        if length > most:
            break
    if not any(parts) and structured is not None:
        parts = [_as_json(structured, most)]
    return cut(scrub("\n".join(filter(None, parts))) or "[no output]", most)


def _as_json(value: Any, most: int) -> str:
    """Data as JSON; if it is too long, a beginning of more than `most` characters."""
    parts, length = [], 0
    for part in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(value):
        parts.append(part)
        length += len(part)
        if length > most:
            break
    return "".join(parts)


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
