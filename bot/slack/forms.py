"""A form in a modal, made from the schema of an MCP elicitation, and its answer, validated. Pure.

The schema is flat: strings, numbers, booleans, choices. Slack's client checks part of it;
everything is checked again here. https://modelcontextprotocol.io/specification (elicitation)
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from bot.slack.blocks import LABEL_LENGTH, Block
from bot.slack.literal import visible
from bot.texts import forms as texts

Payload = Mapping[str, Any]
Kind = Literal["text", "email", "url", "date", "datetime", "number", "integer", "yes_no", "choice"]

MOST_FIELDS = 40
MOST_CHOICES = 1_000
CHOICES_PER_GROUP = 100
LONGEST_TEXT = 3_000
LONGEST_LABEL = 150
LONGEST_HINT = 500
YES_NO = {"0": texts.YES, "1": texts.NO}
FORMATS: Mapping[str, Kind] = {
    "email": "email",
    "uri": "url",
    "date": "date",
    "date-time": "datetime",
}
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


class UnsupportedForm(ValueError):
    """The schema asks for something that a modal cannot show."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `choices` are (value, label); `least` and `most` bound a number, the length of a
    text or the number of selected choices."""

    name: str
    kind: Kind
    label: str
    hint: str = ""
    required: bool = False
    several: bool = False
    choices: tuple[tuple[str, str], ...] = ()
    least: float | None = None
    most: float | None = None
    default: Any = field(default=None, compare=False)


def read_form(schema: Payload) -> tuple[Field, ...]:
    """The fields of a schema. Raises UnsupportedForm."""
    properties = schema.get("properties")
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        raise UnsupportedForm("not an object")
    if not 0 < len(properties) <= MOST_FIELDS:
        raise UnsupportedForm("too many fields" if properties else "no fields")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    return tuple(
        _field(str(name), each, required=name in names) for name, each in properties.items()
    )


def render_fields(fields: Sequence[Field]) -> list[Block]:
    """The input blocks."""
    blocks = []
    for number, each in enumerate(fields):
        block_id = f"field{number}"
        block: Block = {
            "type": "input",
            "block_id": block_id,
            "optional": not each.required,
            "label": {"type": "plain_text", "text": each.label},
            "element": _element(each) | {"action_id": block_id},
        }
        if each.hint:
            block["hint"] = {"type": "plain_text", "text": each.hint}
        blocks.append(block)
    return blocks


def parse_answer(
    fields: Sequence[Field], values: Mapping[str, Mapping[str, Payload]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The content of a submitted form, and its errors by block."""
    content: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for number, each in enumerate(fields):
        block_id = f"field{number}"
        given = values.get(block_id, {}).get(block_id) or {}
        try:
            value = _value(each, given)
        except ValueError as error:
            problems[block_id] = str(error)
            continue
        if value is not None:
            content[each.name] = value
        elif each.required:
            problems[block_id] = texts.REQUIRED
    return content, problems


def _field(name: str, schema: Any, *, required: bool) -> Field:
    if not isinstance(schema, Mapping):
        raise UnsupportedForm(f"{name}: no schema")
    kind, several, choices = _kind_of(name, schema)
    low, high = _BOUNDS.get("several" if several else kind, ("minLength", "maxLength"))
    return Field(
        name=name,
        kind=kind,
        label=_shown(schema.get("title"), LONGEST_LABEL) or _shown(name, LONGEST_LABEL),
        hint=_shown(schema.get("description"), LONGEST_HINT),
        required=required,
        several=several,
        choices=choices,
        least=_number(schema.get(low)),
        most=_number(schema.get(high)),
        default=schema.get("default"),
    )


_BOUNDS = {
    "several": ("minItems", "maxItems"),
    "number": ("minimum", "maximum"),
    "integer": ("minimum", "maximum"),
}


def _kind_of(name: str, schema: Payload) -> tuple[Kind, bool, tuple[tuple[str, str], ...]]:
    match schema.get("type"):
        case "string" if choices := _choices(schema):
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


def _element(each: Field) -> Block:
    match each.kind:
        case "choice":
            return _select(each)
        case "yes_no":
            options = [_option(value, label) for value, label in YES_NO.items()]
            element: Block = {"type": "radio_buttons", "options": options}
            if isinstance(each.default, bool):
                element["initial_option"] = options[0 if each.default else 1]
            return element
        case "number" | "integer":
            return _number_input(each)
        case "date":
            return {"type": "datepicker"} | _initial("initial_date", each, _is_date)
        case "datetime":
            return {"type": "datetimepicker"}
        case "email":
            return {"type": "email_text_input"} | _initial("initial_value", each, _is_text)
        case "url":
            return {"type": "url_text_input"} | _initial("initial_value", each, _is_text)
    return _text_input(each)


def _text_input(each: Field) -> Block:
    element: Block = {"type": "plain_text_input"}
    if each.least and each.least <= LONGEST_TEXT:
        element["min_length"] = int(each.least)
    if each.most is not None and 1 <= each.most <= LONGEST_TEXT:
        element["max_length"] = int(each.most)
    if each.most is None or each.most > LABEL_LENGTH * 2:
        element["multiline"] = True
    return element | _initial("initial_value", each, _is_text)


def _number_input(each: Field) -> Block:
    element: Block = {"type": "number_input", "is_decimal_allowed": each.kind == "number"}
    for key, bound in (("min_value", each.least), ("max_value", each.most)):
        if bound is not None and math.isfinite(bound):
            element[key] = f"{bound:g}" if each.kind == "number" else str(round(bound))
    if isinstance(each.default, int | float) and not isinstance(each.default, bool):
        element["initial_value"] = f"{each.default:g}"
    return element


def _select(each: Field) -> Block:
    options = [_option(str(at), label) for at, (_, label) in enumerate(each.choices)]
    wanted = each.default if isinstance(each.default, list) else [each.default]
    chosen = [
        option for option, (value, _) in zip(options, each.choices, strict=True) if value in wanted
    ]
    element: Block = {"type": "multi_static_select" if each.several else "static_select"}
    if len(options) <= CHOICES_PER_GROUP:
        element["options"] = options
    else:
        element["option_groups"] = [
            {
                "label": {"type": "plain_text", "text": f"{at + 1}…"},
                "options": options[at : at + CHOICES_PER_GROUP],
            }
            for at in range(0, len(options), CHOICES_PER_GROUP)
        ]
    if chosen:
        element |= {"initial_options": chosen} if each.several else {"initial_option": chosen[0]}
    if each.several and each.most and each.most >= 1:
        element["max_selected_items"] = int(each.most)
    return element


def _option(value: str, label: str) -> Block:
    return {"text": {"type": "plain_text", "text": label}, "value": value}


def _initial(key: str, each: Field, fits: Any) -> Block:
    return {key: each.default} if fits(each.default) else {}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and bool(date.fromisoformat(value))
    except ValueError:
        return False


def _value(each: Field, given: Payload) -> Any:
    """The value of a field; None if empty. Raises ValueError with a message for the person."""
    match each.kind:
        case "choice":
            return _chosen(each, given)
        case "yes_no":
            value = (given.get("selected_option") or {}).get("value")
            return {"0": True, "1": False}.get(value) if value else None
        case "date":
            value = given.get("selected_date")
            if value and not _is_date(value):
                raise ValueError(texts.NO_DATE)
            return value or None
        case "datetime":
            seconds = given.get("selected_date_time")
            if seconds is None:
                return None
            return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
        case "number" | "integer":
            return _number_given(each, str(given.get("value") or "").strip())
    return _text_given(each, str(given.get("value") or ""))


def _chosen(each: Field, given: Payload) -> Any:
    options = given.get("selected_options") if each.several else [given.get("selected_option")]
    values = [_choice(each, option) for option in options or [] if option]
    if not each.several:
        return values[0] if values else None
    if not values and not each.required:
        return None
    if each.least is not None and len(values) < each.least:
        raise ValueError(texts.at_least(each.least))
    if each.most is not None and len(values) > each.most:
        raise ValueError(texts.at_most(each.most))
    return values or None


def _choice(each: Field, option: Payload) -> str:
    try:
        return each.choices[int(option["value"])][0]
    except (ValueError, IndexError, KeyError, TypeError):
        raise ValueError(texts.NO_CHOICE) from None


def _number_given(each: Field, text: str) -> int | float | None:
    if not text:
        return None
    if "_" in text:
        raise ValueError(texts.NO_NUMBER)
    try:
        value = int(text) if each.kind == "integer" else float(text)
    except ValueError:
        raise ValueError(texts.WHOLE if each.kind == "integer" else texts.NO_NUMBER) from None
    if not math.isfinite(value):
        raise ValueError(texts.NO_NUMBER)
    if each.least is not None and value < each.least:
        raise ValueError(texts.at_least(each.least))
    if each.most is not None and value > each.most:
        raise ValueError(texts.at_most(each.most))
    return value


def _text_given(each: Field, text: str) -> str | None:
    if not text:
        return None
    if each.kind == "email" and not _EMAIL.fullmatch(text):
        raise ValueError(texts.NO_EMAIL)
    if each.kind == "url" and not _is_url(text):
        raise ValueError(texts.NO_URL)
    if each.least is not None and len(text) < each.least:
        raise ValueError(texts.longer(each.least))
    if each.most is not None and len(text) > each.most:
        raise ValueError(texts.shorter(each.most))
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _shown(text: Any, most: int) -> str:
    plain = visible(text, keep="") if isinstance(text, str) else ""
    return plain if len(plain) <= most else f"{plain[: most - 1]}…"
