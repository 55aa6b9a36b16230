"""Validation of input elements: their bounds, and initial values that fit these.

https://docs.slack.dev/reference/block-kit/block-elements
"""

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from local_slack.workspace.model import Json

NUMBER = re.compile(r"-?\d{1,20}(\.\d{1,20})?")
LONGEST_INPUT = 3_000

Problem = str
"""What is wrong with an element; "" if nothing."""


def _text(element: Json) -> Problem:
    least, most = element.get("min_length", 0), element.get("max_length", LONGEST_INPUT)
    if not 0 <= least <= LONGEST_INPUT or not 1 <= most <= LONGEST_INPUT or least > most:
        return "min_length and max_length do not fit"
    initial = element.get("initial_value", "")
    return "" if len(initial) <= most else "initial_value is too long"


def _number(element: Json) -> Problem:
    names = ("min_value", "initial_value", "max_value")
    given = [element[name] for name in names if name in element]
    if not all(isinstance(each, str) and NUMBER.fullmatch(each) for each in given):
        return "not a number"
    if not element.get("is_decimal_allowed") and any("." in each for each in given):
        return "decimals are not allowed"
    numbers = [float(each) for each in given]
    return "" if numbers == sorted(numbers) else "min_value, initial_value, max_value do not fit"


def _date(element: Json) -> Problem:
    initial = element.get("initial_date", "2000-01-01")
    try:
        is_date = date.fromisoformat(initial).isoformat() == initial
    except ValueError:
        is_date = False
    return "" if is_date else "initial_date is not YYYY-MM-DD"


def _datetime(element: Json) -> Problem:
    initial = element.get("initial_date_time", 1_000_000_000)
    is_epoch = isinstance(initial, int) and 10**9 <= initial < 10**10
    return "" if is_epoch else "initial_date_time has 10 digits"


def _email(element: Json) -> Problem:
    initial = element.get("initial_value", "a@b.c")
    return "" if re.fullmatch(r"[^@\s]+@[^@\s]+", initial) else "initial_value is no address"


def _choices(element: Json) -> Problem:
    groups = [group["options"] for group in element.get("option_groups", ())]
    options = [option for group in [element.get("options", []), *groups] for option in group]
    chosen: list[Any] = [*element.get("initial_options", ())]
    chosen += [element["initial_option"]] if "initial_option" in element else []
    if any(each not in options for each in chosen):
        return "an initial option is not one of the options"
    most = element.get("max_selected_items", len(options))
    return "" if len(chosen) <= most and most >= 1 else "too many initial options"


_RULES: dict[str, Callable[[Json], Problem]] = {
    "plain_text_input": _text,
    "number_input": _number,
    "datepicker": _date,
    "datetimepicker": _datetime,
    "email_text_input": _email,
    "static_select": _choices,
    "multi_static_select": _choices,
    "radio_buttons": _choices,
}


def find_problem(element: Json) -> Problem:
    """The first problem of an input element."""
    rule = _RULES.get(element["type"])
    try:
        return rule(element) if rule else ""
    except (TypeError, KeyError):
        return "a value has the wrong type"
