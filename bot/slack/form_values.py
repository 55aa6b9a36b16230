"""The values of a form's fields: what a person entered, and defaults. Pure.

Slack's client checks part of it; everything is checked again here.
"""

import math
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from bot.slack.form_fields import LONGEST_TEXT, Field
from bot.slack.payload import Payload
from bot.texts import forms as texts

LARGEST_NUMBER = 10**15
"""Bounds and defaults beyond this are checked, but not shown."""
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")


def read_value(each: Field, given: Payload) -> Any:
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
            return _moment(given.get("selected_date_time"))
        case "number" | "integer":
            return _number_given(each, str(given.get("value") or "").strip())
    return _text_given(each, str(given.get("value") or ""))


def _moment(seconds: Any) -> str | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC).isoformat().replace("+00:00", "Z")
    except (TypeError, ValueError, OverflowError, OSError):
        raise ValueError(texts.NO_DATE) from None


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
        return dict(enumerate(each.choices))[int(option["value"])][0]
    except (ValueError, KeyError, TypeError):
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


def fits(each: Field, default: Any) -> bool:
    """Whether a default is a valid value. Slack refuses a form with one that is not."""
    try:
        match each.kind:
            case "yes_no":
                return isinstance(default, bool)
            case "number" | "integer":
                is_number = isinstance(default, int | float) and not isinstance(default, bool)
                return is_number and _number_given(each, digits(default)) is not None
            case "choice":
                wanted = default if each.several and isinstance(default, list) else [default]
                known = [value for value, _ in each.choices]
                is_few = each.most is None or len(wanted) <= each.most
                return bool(wanted) and is_few and all(value in known for value in wanted)
            case "date":
                return _is_date(default)
            case "datetime":
                return epoch(default) is not None
        return _is_text(default) and _text_given(each, default) is not None
    except ValueError:
        return False


def epoch(value: Any) -> int | None:
    """An ISO date with a time zone as epoch seconds, if Slack accepts it."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    seconds = int(moment.timestamp()) if moment.tzinfo else 0
    return seconds if 10**9 <= seconds < 10**10 else None


def digits(number: float) -> str:
    """A number without an exponent. Raises ValueError for one that is too large to show."""
    if not abs(number) <= LARGEST_NUMBER:
        raise ValueError(texts.NO_NUMBER)
    return format(Decimal(repr(number)).normalize(), "f")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT


def _is_date(value: Any) -> bool:
    """Whether it is a date as Slack writes it; ISO 8601 has others, such as `20261127`."""
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False
