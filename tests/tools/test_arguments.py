"""The arguments that a model writes: what is shown for approval is exactly what a server gets."""

import json
from typing import Any

import pytest

from bot.slack.approval_card import render_arguments
from bot.tools.tool import DEEPEST, parse_arguments


def nested(depth: int) -> str:
    """An object in which lists are nested."""
    return f'{{"a": {"[" * (depth - 1)}{"]" * (depth - 1)}}}'


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": NaN}', '{"a": 1e999}', '{"a": -Infinity}', '{"a": "\\ud800"}', '{"\\udfff": 1}'),
        *("[]", "null", "{", '{"a": 1} x', nested(DEEPEST + 1), nested(1_000), "[" * 100_000),
    ],
)
def test_arguments_that_cannot_be_sent_as_they_are_shown_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="the arguments are"):
        parse_arguments(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", {}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('{"a": 1.50, "b": 10000000000000000000001}', {"a": 1.5, "b": 10**22 + 1}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        (nested(DEEPEST), json.loads(nested(DEEPEST))),
    ],
)
def test_what_is_shown_is_what_is_sent(text: str, value: dict[str, Any]) -> None:
    parsed = parse_arguments(text)
    assert parsed == value
    assert json.loads(render_arguments(parsed)) == json.loads(json.dumps(parsed))
