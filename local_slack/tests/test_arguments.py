"""The encodings of arguments that clients use."""

import pytest

from local_slack import SlackError
from local_slack.api.arguments import Arguments


@pytest.mark.parametrize(
    ("value", "flag"),
    [
        ("true", True),
        ("1", True),
        (1, True),
        (True, True),
        ("0", False),
        (0, False),
        (False, False),
    ],
)
def test_flags_are_written_in_many_ways(value: object, flag: bool) -> None:
    assert Arguments({"x": value}).flag("x") is flag


def test_numbers_pass_as_text_and_text_as_numbers() -> None:
    arguments = Arguments({"ts": 5, "limit": "20"})
    assert arguments.get("ts") == "5"
    assert arguments.integer("limit", 100) == 20
    assert arguments.integer("other", 100) == 100


@pytest.mark.parametrize(
    "read",
    [
        lambda arguments: arguments.get("items"),
        lambda arguments: arguments.require("missing"),
        lambda arguments: arguments.integer("word", 1),
        lambda arguments: arguments.objects("words", "invalid_arguments"),
        lambda arguments: arguments.json("word"),
    ],
)
def test_a_value_of_the_wrong_kind_is_an_invalid_argument(read: object) -> None:
    arguments = Arguments({"items": [], "word": "many", "words": ["a"]})
    assert callable(read)
    with pytest.raises(SlackError, match="invalid_arguments"):
        read(arguments)


def test_null_means_absent() -> None:
    assert Arguments({"x": None}).values == {}
    assert Arguments({"x": ""}).json("x") is None
