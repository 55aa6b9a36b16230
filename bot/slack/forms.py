"""A form in a modal, made from the schema of an MCP elicitation, and its checked answer. Pure."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bot.slack.blocks import LABEL_LENGTH, Block
from bot.slack.form_fields import LONGEST_TEXT, Field, UnsupportedForm, read_field
from bot.slack.form_values import LARGEST_NUMBER, digits, epoch, fits, read_value
from bot.slack.payload import Payload
from bot.texts import forms as texts

MOST_FIELDS = 40
CHOICES_PER_GROUP = 100
LARGEST_FORM = 200_000
"""Characters of all fields; Slack takes 250,000 of a whole modal."""
YES_NO = {"0": texts.YES, "1": texts.NO}


def read_form(schema: Payload) -> tuple[Field, ...]:
    """The fields of a schema; none if a tool only asks for a confirmation. Raises
    UnsupportedForm."""
    properties = schema.get("properties", {})
    if schema.get("type") != "object" or not isinstance(properties, Mapping):
        raise UnsupportedForm("not an object")
    if len(properties) > MOST_FIELDS:
        raise UnsupportedForm("too many fields")
    required = schema.get("required")
    names = required if isinstance(required, list) else []
    fields = tuple(
        _with_valid_default(read_field(str(name), each, required=name in names))
        for name, each in properties.items()
    )
    if len(json.dumps(render_fields(fields))) > LARGEST_FORM:
        raise UnsupportedForm("too large")
    return fields


def _with_valid_default(each: Field) -> Field:
    """Slack refuses a form with a default that is no valid value."""
    return each if fits(each, each.default) else replace(each, default=None)


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
            value = read_value(each, given)
        except ValueError as error:
            problems[block_id] = str(error)
            continue
        if value is not None:
            content[each.name] = value
        elif each.required:
            problems[block_id] = texts.REQUIRED
    return content, problems


def _element(each: Field) -> Block:
    match each.kind:
        case "choice":
            return _select(each)
        case "yes_no":
            options = [_option(value, label) for value, label in YES_NO.items()]
            element: Block = {"type": "radio_buttons", "options": options}
            if each.default is not None:
                element["initial_option"] = options[0 if each.default else 1]
            return element
        case "number" | "integer":
            return _number_input(each)
        case "date":
            return {"type": "datepicker"} | _initial("initial_date", each.default)
        case "datetime":
            return {"type": "datetimepicker"} | _initial("initial_date_time", epoch(each.default))
        case "email":
            return {"type": "email_text_input"} | _initial("initial_value", each.default)
        case "url":
            return {"type": "url_text_input"} | _initial("initial_value", each.default)
    return _text_input(each)


def _text_input(each: Field) -> Block:
    element: Block = {"type": "plain_text_input"}
    if each.least is not None and 1 <= each.least <= LONGEST_TEXT:
        element["min_length"] = int(each.least)
    if each.most is not None and 1 <= each.most <= LONGEST_TEXT:
        element["max_length"] = int(each.most)
    if each.most is None or each.most > LABEL_LENGTH * 2:
        element["multiline"] = True
    return element | _initial("initial_value", each.default)


def _number_input(each: Field) -> Block:
    element: Block = {"type": "number_input", "is_decimal_allowed": each.kind == "number"}
    shown = {"min_value": each.least, "initial_value": each.default, "max_value": each.most}
    for key, number in shown.items():
        if number is not None and abs(number) <= LARGEST_NUMBER:
            rounded = math.ceil(number) if key == "min_value" else math.floor(number)
            element[key] = digits(number if each.kind == "number" else rounded)
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
    if each.several and each.most:
        element["max_selected_items"] = int(min(each.most, len(options)))
    return element


def _option(value: str, label: str) -> Block:
    return {"text": {"type": "plain_text", "text": label}, "value": value}


def _initial(key: str, value: Any) -> Block:
    return {} if value is None else {key: value}
