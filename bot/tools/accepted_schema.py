"""The schema of a tool's arguments in the form that AI servers accept.

MCP allows any JSON Schema of an object. OpenAI refuses requests with some of them, and with the
request each answer in the channel: alternatives at the top level, lists without `items`, references
to nothing, keywords of a wrong type.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.tools.output import ANYTHING, DEEPEST_SCHEMA, TYPES, are_strings

Schema = Mapping[str, Any]

_NAMED = ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas")
_LISTED = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = (
    *("items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems"),
    *("not", "if", "then", "else", "contains", "propertyNames"),
)
_ALTERNATIVES = ("allOf", "anyOf", "oneOf", "$ref")
_NOT_AT_THE_TOP = (*_ALTERNATIVES, "enum", "const", "not", "if", "then", "else")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_COUNTS = (
    *("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("minContains", "maxContains"),
)
_TEXTS = ("title", "description", "format", "$comment", "$schema", "contentEncoding")
_FLAGS = ("uniqueItems", "deprecated", "readOnly", "writeOnly")
_LEFT_OUT = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$vocabulary")
"""They change what a reference means."""


def accepted_schema(schema: Schema) -> Schema:
    """The schema itself if nothing has to change. `schema` is a checked one: see
    `checked_schema`."""
    try:
        found = _accepted(_flat(schema), schema, 0)
    except RecursionError:
        return ANYTHING
    return schema if found == schema else found


def _flat(root: Schema) -> Schema:
    """The top level without alternatives. All properties of all of them are offered: the server
    checks which ones fit together."""
    if not any(key in root for key in _NOT_AT_THE_TOP):
        return root
    properties: dict[str, Any] = {}
    required = list(root.get("required", ()))
    for key in _ALTERNATIVES:
        for branch in _branches(root, key):
            properties |= _map(branch.get("properties"))
            if key in ("allOf", "$ref") and are_strings(branch.get("required")):
                required += branch["required"]
    kept = {key: value for key, value in root.items() if key not in _NOT_AT_THE_TOP}
    properties |= root.get("properties", {})
    return {**kept, "properties": properties, "required": list(dict.fromkeys(required))}


def _branches(root: Schema, key: str) -> list[Schema]:
    listed = [{"$ref": root[key]}] if key == "$ref" and key in root else root.get(key, ())
    maps = map(_map, listed if isinstance(listed, list) else ())
    found = [_target(root, each["$ref"]) if "$ref" in each else each for each in maps]
    return list(map(_map, found))


def _map(value: Any) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _accepted(schema: Any, root: Schema, depth: int) -> Any:
    if not isinstance(schema, Mapping):
        return schema
    if depth > DEEPEST_SCHEMA:
        return {}
    made = {
        key: _inner(key, value, root, depth + 1)
        for key, value in schema.items()
        if _is_sound(key, value, root)
    }
    if "array" in _types(made) and "items" not in made:
        made["items"] = {}
    return made


def _inner(key: str, value: Any, root: Schema, depth: int) -> Any:
    """The value of a keyword, with the schemas in it as they are accepted."""
    if key in _NAMED:
        return {name: _accepted(each, root, depth) for name, each in value.items()}
    if key in _LISTED:
        return [_accepted(each, root, depth) for each in value]
    if key in ("required", "type") and isinstance(value, list):
        return list(dict.fromkeys(value))
    return _accepted(value, root, depth) if key in _SINGLE else value


def _types(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _is_sound(key: str, value: Any, root: Schema) -> bool:
    """Whether a keyword has a value that AI servers accept."""
    if key in _CHECKS:
        return _CHECKS[key](value)
    return key not in _LEFT_OUT and (key != "$ref" or _target(root, value) is not None)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return _is_number(value) and value >= 0 and value == int(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_schema(value: Any) -> bool:
    return isinstance(value, Mapping | bool)


def _are_types(value: Any) -> bool:
    kinds = [value] if isinstance(value, str) else value
    return are_strings(kinds) and bool(kinds) and TYPES.issuperset(kinds)


def _are_named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(map(_is_schema, value.values()))


def _are_listed(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _is_pattern(value: Any) -> bool:
    try:
        re.compile(value)
    except (re.error, TypeError, OverflowError, RecursionError):
        return False
    return True


def _are_dependent(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return all(are_strings(each) and len(set(each)) == len(each) for each in value.values())


_CHECKS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(_NUMBERS, _is_number),
    **dict.fromkeys(_COUNTS, _is_count),
    **dict.fromkeys(_TEXTS, _is_text),
    **dict.fromkeys(_FLAGS, lambda value: isinstance(value, bool)),
    **dict.fromkeys(_SINGLE, _is_schema),
    **dict.fromkeys(_NAMED, _are_named),
    **dict.fromkeys(_LISTED, _are_listed),
    "multipleOf": lambda value: _is_number(value) and value > 0,
    "type": _are_types,
    "required": are_strings,
    "enum": lambda value: isinstance(value, list) and bool(value),
    "examples": lambda value: isinstance(value, list),
    "pattern": _is_pattern,
    "dependentRequired": _are_dependent,
}


def _target(root: Schema, reference: str) -> Any:
    """What a reference within the schema points to; None if there is nothing."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    found: Any = root
    for part in reference[1:].split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        elif isinstance(found, Mapping) and name in found:
            found = found[name]
        else:
            return None
    return found
