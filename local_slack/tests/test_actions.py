"""Selects, pickers and inputs as Slack reports them."""

from typing import Any

import pytest

from local_slack import SlackError
from local_slack.actions import default_state, find_element, make_action

CHOICES = [
    {"text": {"type": "plain_text", "text": name}, "value": name} for name in ("red", "blue")
]


def element(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "action_id": "it", **fields}


def blocks_with(item: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"type": "input", "block_id": "block", "element": item}]


@pytest.mark.parametrize(
    ("item", "value", "reported"),
    [
        (element("static_select", options=CHOICES), "blue", {"selected_option": CHOICES[1]}),
        (
            element("static_select", option_groups=[{"label": {}, "options": CHOICES}]),
            "red",
            {"selected_option": CHOICES[0]},
        ),
        (element("checkboxes", options=CHOICES), ["red"], {"selected_options": [CHOICES[0]]}),
        (element("multi_static_select", options=CHOICES), "red", {"selected_options": CHOICES[:1]}),
        (element("users_select"), "U1", {"selected_user": "U1"}),
        (element("datepicker"), "2026-11-21", {"selected_date": "2026-11-21"}),
        (element("plain_text_input"), "words", {"value": "words"}),
    ],
)
def test_a_choice_is_reported_the_same_in_an_action_and_in_the_state(
    item: dict[str, Any], value: Any, reported: dict[str, Any]
) -> None:
    blocks = blocks_with(item)
    block, found = find_element(blocks, "it")
    action = make_action(block, found, value, "1.000001")
    expected = {"type": item["type"], "action_id": "it", "block_id": "block"}
    assert action == expected | {"action_ts": "1.000001"} | reported
    assert default_state(blocks, {"it": value}) == {
        "block": {"it": {"type": item["type"]} | reported}
    }


@pytest.mark.parametrize(
    ("item", "reported"),
    [
        (element("static_select", options=CHOICES), {"selected_option": None}),
        (
            element("radio_buttons", options=CHOICES, initial_option=CHOICES[0]),
            {"selected_option": CHOICES[0]},
        ),
        (element("checkboxes", options=CHOICES), {"selected_options": []}),
        (element("users_select", initial_user="U1"), {"selected_user": "U1"}),
        (element("plain_text_input", initial_value="draft"), {"value": "draft"}),
        (element("plain_text_input"), {"value": None}),
    ],
)
def test_untouched_elements_have_their_initial_value(
    item: dict[str, Any], reported: dict[str, Any]
) -> None:
    assert default_state(blocks_with(item)) == {"block": {"it": {"type": item["type"]} | reported}}


def test_an_option_that_is_not_offered_cannot_be_chosen() -> None:
    block, item = find_element(blocks_with(element("static_select", options=CHOICES)), "it")
    with pytest.raises(SlackError, match="option_not_found"):
        make_action(block, item, "green", "1.000001")


def test_a_block_id_chooses_between_buttons_of_one_action_id() -> None:
    buttons = [element("button", value=value) for value in ("first", "second")]
    blocks = [{"block_id": button["value"], "elements": [button]} for button in buttons]
    assert find_element(blocks, "it")[1]["value"] == "first"
    assert find_element(blocks, "it", "second")[1]["value"] == "second"
    with pytest.raises(SlackError, match="action_not_found"):
        find_element(blocks, "it", "third")


def test_buttons_have_no_state() -> None:
    button = element("button", text={"type": "plain_text", "text": "x"}, value="v")
    blocks = [{"type": "actions", "block_id": "block", "elements": [button]}]
    assert default_state(blocks) == {}
