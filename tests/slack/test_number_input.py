"""Slack refuses a form with a value beyond the bounds of its input."""

import pytest

from bot.slack.blocks import number_input


@pytest.mark.parametrize(
    ("value", "most", "shown"),
    [(0.001, 5.0, "0.01"), (0.001, None, "0.01"), (2.5, 5.0, "2.5"), (7.0, 5.0, "5")],
)
def test_a_value_from_the_command_line_is_shown_within_the_bounds(
    value: float, most: float | None, shown: str
) -> None:
    element = number_input("cost", value, least=0.01, most=most, decimals=True)
    assert element["initial_value"] == shown
