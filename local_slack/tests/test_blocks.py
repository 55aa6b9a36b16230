"""Block Kit: accepted and refused blocks."""

from typing import Any

import pytest

from local_slack import SlackError
from local_slack.workspace.blocks import check_message_blocks
from local_slack.workspace.input_rules import find_problem
from local_slack.workspace.view_rules import check_view

PLAIN = {"type": "plain_text", "text": "x"}


def button(**fields: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "a", "text": PLAIN, **fields}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


def section(text: str, kind: str = "mrkdwn") -> dict[str, Any]:
    return {"type": "section", "text": {"type": kind, "text": text}}


def table(rows: int, columns: int, text: str = "x") -> dict[str, Any]:
    row = [{"type": "raw_text", "text": text}] * columns
    return {"type": "table", "rows": [row] * rows}


def select(options: int) -> dict[str, Any]:
    items = [{"text": PLAIN, "value": str(number)} for number in range(options)]
    return {"type": "static_select", "action_id": "a", "placeholder": PLAIN, "options": items}


@pytest.mark.parametrize(
    "block",
    [
        section("x" * 3_000),
        {"type": "section", "fields": [PLAIN] * 10},
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 150}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 10},
        actions(*[button(action_id=str(n)) for n in range(25)]),
        actions(button(text={"type": "plain_text", "text": "x" * 75}, value="y" * 2_000)),
        actions(select(100)),
        actions({"type": "checkboxes", "action_id": "c", "options": [{"text": PLAIN}]}),
        {
            "type": "section",
            "text": PLAIN,
            "accessory": {"type": "image", "image_url": "x", "alt_text": "y"},
        },
        {
            "type": "context",
            "elements": [{"type": "image", "image_url": "x", "alt_text": "y"}],
        },
        {"type": "markdown", "text": "x" * 12_000},
        table(100, 20),
        {"type": "divider"},
        {"type": "image", "image_url": "https://example.org/a.png", "alt_text": "a"},
    ],
)
def test_a_block_at_its_limit_is_accepted(block: dict[str, Any]) -> None:
    [checked] = check_message_blocks([block])
    assert checked["type"] == block["type"]
    assert checked["block_id"]


def chart(
    *labels: str, kind: str = "bar", title: str = "t", series: int = 1, **more: Any
) -> dict[str, Any]:
    data = [{"label": label, "value": 1} for label in labels]
    named = [{"name": str(number), "data": data} for number in range(series)]
    axes = {"categories": list(labels)} | more
    shown = {"type": kind, "series": named, "axis_config": axes, "segments": data}
    return {"type": "data_visualization", "title": title, "chart": shown}


TWENTY = [str(number) for number in range(20)]


@pytest.mark.parametrize(
    "block",
    [
        chart("x" * 20),
        chart(*TWENTY),
        chart("a", kind="line", series=6),
        chart("a", kind="pie"),
        chart("a", title="x" * 50, x_label="x" * 50),
    ],
)
def test_a_chart_at_its_limit_is_accepted(block: dict[str, Any]) -> None:
    check_message_blocks([block, block])
    with pytest.raises(SlackError):
        check_message_blocks([block] * 3)


@pytest.mark.parametrize(
    "block",
    [
        chart(),
        chart("x" * 21),
        chart(*TWENTY, "21"),
        chart("a", series=7),
        chart("a", series=0),
        chart("a", kind="donut"),
        chart(*TWENTY, kind="pie"),
        chart("a", title="x" * 51),
        chart("a", y_label="x" * 51),
        chart("a", categories=["b"]),
        chart("a", "a"),
        {"type": "data_visualization", "title": "t"},
    ],
)
def test_a_chart_beyond_its_limit_is_refused(block: dict[str, Any]) -> None:
    with pytest.raises(SlackError):
        check_message_blocks([block])


@pytest.mark.parametrize(
    "block",
    [
        {"type": "marquee"},
        {"type": "section"},
        section(""),
        section("x" * 3_001),
        section("x", "markdown"),
        {"type": "section", "fields": [PLAIN] * 11},
        {"type": "section", "text": PLAIN, "accessory": {"type": "plain_text_input"}},
        {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}},
        {"type": "header", "text": {"type": "mrkdwn", "text": "x"}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "x"}] * 11},
        {"type": "context", "elements": []},
        actions(*[button(action_id=str(n)) for n in range(26)]),
        actions(button(text={"type": "plain_text", "text": "x" * 76})),
        actions(button(value="y" * 2_001)),
        actions(button(style="loud")),
        actions(button(), {"type": "image", "image_url": "x", "alt_text": "y"}),
        actions(select(101)),
        actions(select(0)),
        actions({"type": "checkboxes", "options": [{"text": PLAIN, "value": "x" * 151}]}),
        actions(button(confirm="sure?")),
        {"type": "context", "elements": [{"type": "image", "image_url": "x"}]},
        {"type": "context_actions", "elements": [{"type": "feedback_buttons", "action_id": "f"}]},
        {"type": "markdown", "text": ""},
        {"type": "image", "image_url": "https://example.org/a.png"},
        {"type": "input", "label": PLAIN, "element": {"type": "plain_text_input"}},
        table(101, 1),
        table(1, 21),
        table(10, 10, "x" * 101),
        {"type": "table", "rows": [[PLAIN]]},
        {"type": "divider", "block_id": "x" * 256},
        {"type": "divider", "block_id": 7},
        {"type": "actions", "elements": ["button"]},
        {"type": "table", "rows": [1]},
        {"type": "section", "fields": 3},
    ],
)
def test_a_block_beyond_its_limit_is_refused(block: dict[str, Any]) -> None:
    with pytest.raises(SlackError) as caught:
        check_message_blocks([block])
    assert caught.value.code == "invalid_blocks"
    assert "/blocks/0" in caught.value.details["response_metadata"]["messages"][0]


def test_two_blocks_cannot_have_the_same_id() -> None:
    twice = [{"type": "divider", "block_id": "a"}] * 2
    with pytest.raises(SlackError, match="invalid_blocks"):
        check_message_blocks(twice)


def view(**fields: Any) -> dict[str, Any]:
    return {"type": "modal", "title": PLAIN, "blocks": [section("x")], **fields}


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (view(type="popup"), "invalid_arguments"),
        (view(title={"type": "plain_text", "text": "x" * 25}), "invalid_arguments"),
        ({"type": "modal", "blocks": []}, "invalid_arguments"),
        (view(blocks=[section("x")] * 101), "invalid_arguments"),
        (view(private_metadata="x" * 3_001), "invalid_arguments"),
        (view(blocks=[{"type": "markdown", "text": "x"}]), "invalid_arguments"),
        (
            view(
                blocks=[
                    {
                        "type": "input",
                        "label": PLAIN,
                        "element": {"type": "plain_text_input", "action_id": "a"},
                    }
                ]
            ),
            "invalid_arguments",
        ),
        (view(blocks=[section("x" * 3_000)] * 90), "view_too_large"),
    ],
)
def test_a_view_that_slack_would_refuse_is_refused(refusal: dict[str, Any], code: str) -> None:
    with pytest.raises(SlackError, match=code):
        check_view(refusal)


@pytest.mark.parametrize(
    "element",
    [
        {"type": "plain_text_input", "min_length": "3"},
        {"type": "plain_text_input", "initial_value": 5},
        {"type": "datepicker", "initial_date": 5},
        {"type": "datepicker", "initial_date": "20261127"},
        {"type": "email_text_input", "initial_value": 5},
        {"type": "multi_static_select", "options": [], "initial_options": 5},
    ],
)
def test_a_wrong_value_of_an_input_is_a_problem(element: dict[str, Any]) -> None:
    assert find_problem(element)
