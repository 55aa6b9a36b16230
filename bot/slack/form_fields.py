"""The fields of a form, read from the schema of an MCP elicitation. Pure.

The schema is flat: strings, numbers, booleans, choices.
https://modelcontextprotocol.io/specification (elicitation)
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bot.slack.blocks import LABEL_LENGTH
from bot.slack.literal import visible
from bot.slack.payload import Payload
from bot.texts import forms as texts

FieldKind = Literal[
    "text", "email", "url", "date", "datetime", "number", "integer", "yes_no", "choice"
]

MOST_CHOICES = 1_000
LONGEST_TEXT = 3_000
LONGEST_LABEL = 150
LONGEST_HINT = 500
LONGEST_PATTERN = 100
FORMATS: Mapping[str, FieldKind] = {
    "email": "email",
    "uri": "url",
    "date": "date",
    "date-time": "datetime",
}


class UnsupportedForm(ValueError):
    """The schema asks for something that a modal cannot show."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `choices` are (value, label); `least` and `most` bound a number, the length of a
    text or the number of selected choices."""

    name: str
    kind: FieldKind
    label: str
    hint: str = ""
    required: bool = False
    several: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    least: float | None = None
    most: float | None = None
    default: Any = field(default=None, compare=False)


def read_field(name: str, schema: Any, *, required: bool) -> Field:
    """A field of a schema. Raises UnsupportedForm."""
    if not isinstance(schema, Mapping):
        raise UnsupportedForm(f"{name}: no schema")
    schema = _without_null(schema)
    kind, several, choices = _kind_of(name, schema)
    low, high = _BOUNDS.get("several" if several else kind, ("minLength", "maxLength"))
    found = Field(
        name=name,
        kind=kind,
        label=_shown(schema.get("title"), LONGEST_LABEL) or _shown(name, LONGEST_LABEL),
        hint=_hint(schema),
        required=required,
        several=several,
        choices=choices,
        least=_number(schema.get(low)),
        most=_number(schema.get(high)),
        default=schema.get("default"),
    )
    if not _can_be_answered(found):
        raise UnsupportedForm(f"{name}: no value fits")
    return found


def _without_null(schema: Payload) -> Payload:
    """The schema of the value if a field may also be null, in the form that Pydantic writes."""
    kinds, options = schema.get("type"), schema.get("anyOf")
    if isinstance(kinds, list) and (only := [kind for kind in kinds if kind != "null"])[1:] == []:
        return {**schema, "type": only[0] if only else None}
    inner = [each for each in options if _is_map(each)] if isinstance(options, list) else []
    inner = [each for each in inner if each.get("type") != "null"]
    if len(inner) == 1 and "const" not in inner[0]:
        return {**{key: each for key, each in schema.items() if key != "anyOf"}, **inner[0]}
    return schema


def _hint(schema: Payload) -> str:
    """The description, and the pattern of a text. Only the server checks patterns: matching
    one may take forever."""
    about, pattern = schema.get("description"), schema.get("pattern")
    if isinstance(pattern, str) and schema.get("type") == "string":
        room = LONGEST_HINT - 2 * LONGEST_PATTERN
        before = f"{about[:room]} · " if isinstance(about, str) and about else ""
        about = before + texts.pattern(pattern[:LONGEST_PATTERN])
    return _shown(about, LONGEST_HINT)


def _can_be_answered(each: Field) -> bool:
    """Whether a modal can hold a value within the bounds."""
    least, most = each.least or 0, each.most
    if each.kind == "text" and (least > LONGEST_TEXT or (most is not None and most < 1)):
        return False
    if each.several and (least > len(each.choices) or (most is not None and most < 1)):
        return False
    return each.least is None or most is None or each.least <= most


_BOUNDS = {
    "several": ("minItems", "maxItems"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
}


def _kind_of(name: str, schema: Payload) -> tuple[FieldKind, bool, tuple[tuple[str, str], ...]]:
    match schema.get("type"):
        case "string" | None if choices := _choices(schema):
            return "choice", False, choices
        case "string":
            return FORMATS.get(str(schema.get("format")), "text"), False, ()
        case "number":
            return "number", False, ()
        case "integer":
            return "integer", False, ()
        case "boolean":
            return "yes_no", False, ()
        case "array" if isinstance(items := schema.get("items"), Mapping):
            if choices := _choices(items):
                return "choice", True, choices
    raise UnsupportedForm(f"{name}: {schema.get('type')}")


def _choices(schema: Payload) -> tuple[tuple[str, str], ...]:
    """(value, label) of an enumeration, in any of the notations of the protocol's revisions."""
    options = schema.get("oneOf") or schema.get("anyOf")
    if isinstance(options, list):
        pairs = [(each.get("const"), each.get("title")) for each in options if _is_map(each)]
    else:
        values, names = schema.get("enum"), schema.get("enumNames")
        values = values if isinstance(values, list) else []
        names = names if isinstance(names, list) and len(names) == len(values) else values
        pairs = list(zip(values, names, strict=True))
    found = tuple(
        (value, _shown(label, LABEL_LENGTH) or _shown(value, LABEL_LENGTH) or "-")
        for value, label in pairs
        if isinstance(value, str)
    )
    if len(found) > MOST_CHOICES:
        raise UnsupportedForm("too many choices")
    return found


def _is_map(value: object) -> bool:
    return isinstance(value, Mapping)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_usual = is_number and abs(value) < sys.float_info.max  # not an endless integer, not NaN
    return float(value) if is_usual else None


def _shown(text: Any, most: int) -> str:
    plain = visible(text, keep="") if isinstance(text, str) else ""
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
