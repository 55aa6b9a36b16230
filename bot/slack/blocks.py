"""Block Kit: one function per block or element that the bot uses. Pure.

https://docs.slack.dev/reference/block-kit. Texts are cut to Slack's limits: one text that is too
long makes Slack refuse the whole view.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Block = dict[str, Any]

SECTION_LENGTH = 3000
HEADER_LENGTH = 150
LABEL_LENGTH = 75
CONFIRM_TITLE_LENGTH = 100
CONFIRM_TEXT_LENGTH = 300
CHART_TITLE_LENGTH = 50
CHART_LABEL_LENGTH = 20
CHART_POINTS = 20

DIVIDER: Block = {"type": "divider"}


def section(text: str, accessory: Block | None = None) -> Block:
    """A paragraph in Slack's own mrkdwn."""
    block: Block = {"type": "section", "text": _mrkdwn(text, SECTION_LENGTH)}
    return block | ({"accessory": accessory} if accessory else {})


def plain_section(text: str) -> Block:
    """A paragraph of plain text."""
    return {"type": "section", "text": _plain(text, SECTION_LENGTH)}


def header(text: str) -> Block:
    """A heading."""
    return {"type": "header", "text": _plain(text, HEADER_LENGTH)}


def context(text: str) -> Block:
    """Small print in mrkdwn."""
    return {"type": "context", "elements": [_mrkdwn(text, SECTION_LENGTH)]}


def plain_context(text: str) -> Block:
    """Small print that Slack shows as it is."""
    return {"type": "context", "elements": [_plain(text, SECTION_LENGTH)]}


def bar_chart(title: str, bars: Sequence[tuple[str, int]], *, y_label: str) -> Block:
    """A chart of at least one labelled bar; labels that are equal once they are cut get a number.

    With more bars than Slack takes, neighbours are added up.
    """
    size = -(-len(bars) // CHART_POINTS)
    groups = [bars[start : start + size] for start in range(0, len(bars), size)]
    points: dict[str, int] = {}
    for group in groups:
        first, last = group[0][0], group[-1][0]
        label = _cut(first if len(group) == 1 else f"{first}–{last}", CHART_LABEL_LENGTH)
        numbered = (f"{_cut(label, CHART_LABEL_LENGTH - 3)} {n}" for n in range(2, 99))
        free = next(each for each in (label, *numbered) if each not in points)
        points[free] = sum(value for _, value in group)
    data = [{"label": label, "value": value} for label, value in points.items()]
    axes = {"categories": list(points), "y_label": _cut(y_label, CHART_TITLE_LENGTH)}
    series = [{"name": _cut(y_label, CHART_LABEL_LENGTH), "data": data}]
    chart = {"type": "bar", "series": series, "axis_config": axes}
    return {"type": "data_visualization", "title": _cut(title, CHART_TITLE_LENGTH), "chart": chart}


def actions(*elements: Block) -> Block:
    """A row of buttons."""
    return {"type": "actions", "elements": list(elements)}


def button(
    text: str,
    action_id: str,
    value: str,
    *,
    danger: bool = False,
    confirm: Block | None = None,
    accessibility_label: str = "",
) -> Block:
    """A button; with `confirm`, Slack asks first."""
    element: Block = {
        "type": "button",
        "action_id": action_id,
        "text": _plain(text, LABEL_LENGTH),
        "value": value,
    }
    if danger:
        element["style"] = "danger"
    if confirm:
        element["confirm"] = confirm
    if accessibility_label:
        element["accessibility_label"] = accessibility_label[:LABEL_LENGTH]
    return element


def confirmation(title: str, text: str, *, yes: str, no: str) -> Block:
    """The confirmation dialog of a button."""
    return {
        "title": _plain(title, CONFIRM_TITLE_LENGTH),
        "text": _plain(text, CONFIRM_TEXT_LENGTH),
        "confirm": _plain(yes),
        "deny": _plain(no),
    }


def feedback_buttons(action_id: str, good: tuple[str, str], bad: tuple[str, str]) -> Block:
    """Thumbs up and thumbs down; `good` and `bad` are (label, value)."""
    buttons = {
        "type": "feedback_buttons",
        "action_id": action_id,
        "positive_button": _thumb(*good),
        "negative_button": _thumb(*bad),
    }
    return {"type": "context_actions", "elements": [buttons]}


def _thumb(label: str, value: str) -> Block:
    return {"text": _plain(label), "value": value, "accessibility_label": label}


def task_card(task_id: str, title: str, status: str, details: str = "") -> Block:
    """A step of the assistant's work; `details` are plain text that people expand."""
    card: Block = {"type": "task_card", "task_id": task_id, "title": title, "status": status}
    if details:
        section = {"type": "rich_text_section", "elements": [{"type": "text", "text": details}]}
        card["details"] = {"type": "rich_text", "elements": [section]}
    return card


def text_input(
    action_id: str, *, value: str = "", multiline: bool = False, max_length: int = 0
) -> Block:
    """A text input."""
    element: Block = {"type": "plain_text_input", "action_id": action_id}
    if value:
        element["initial_value"] = value
    if multiline:
        element["multiline"] = True
    if max_length:
        element["max_length"] = max_length
    return element


def number_input(
    action_id: str, value: float | None, *, least: float, most: float | None, decimals: bool
) -> Block:
    """An input for a number. Slack refuses a view whose value is beyond the bounds."""
    element: Block = {
        "type": "number_input",
        "action_id": action_id,
        "is_decimal_allowed": decimals,
        "min_value": number_text(least),
    }
    if most is not None:
        element["max_value"] = number_text(most)
    if value is not None:
        bounded = max(least, value if most is None else min(value, most))
        element["initial_value"] = number_text(bounded)
    return element


def number_text(value: float) -> str:
    """A number as Slack wants it: without an exponent."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def select(action_id: str, labels: Mapping[str, str], chosen: str) -> Block:
    """A menu; `labels` are texts by value, `chosen` is one of the values."""
    options = {value: {"text": _plain(text), "value": value} for value, text in labels.items()}
    return {
        "type": "static_select",
        "action_id": action_id,
        "options": list(options.values()),
        "initial_option": options[chosen],
    }


def multi_select(action_id: str, labels: Sequence[str], chosen: Sequence[str]) -> Block:
    """A menu of which several may be chosen; each label is its own value."""
    options = {label: {"text": _plain(label), "value": label} for label in labels}
    element: Block = {
        "type": "multi_static_select",
        "action_id": action_id,
        "options": list(options.values()),
    }
    initial = [options[label] for label in chosen]
    return element | ({"initial_options": initial} if initial else {})


def users_select(action_id: str, chosen: Sequence[str]) -> Block:
    """A select for several people."""
    element: Block = {"type": "multi_users_select", "action_id": action_id}
    return element | ({"initial_users": list(chosen)} if chosen else {})


def channel_select(action_id: str, placeholder: str) -> Block:
    """A menu of the channels of the workspace."""
    return {
        "type": "conversations_select",
        "action_id": action_id,
        "placeholder": _plain(placeholder),
        "filter": {"include": ["public", "private"], "exclude_bot_users": True},
    }


def input_block(
    block_id: str, label: str, element: Block, *, hint: str = "", optional: bool = True
) -> Block:
    """An input of a form, with its label."""
    block: Block = {
        "type": "input",
        "block_id": block_id,
        "optional": optional,
        "label": _plain(label),
        "element": element,
    }
    return block | ({"hint": _plain(hint)} if hint else {})


def modal(
    callback_id: str,
    title: str,
    blocks: Sequence[Block],
    *,
    submit: str,
    close: str,
    private_metadata: str,
) -> Block:
    """A form. `private_metadata` is returned with the submission."""
    return {
        "type": "modal",
        "callback_id": callback_id,
        "private_metadata": private_metadata,
        "title": _plain(title),
        "submit": _plain(submit),
        "close": _plain(close),
        "blocks": list(blocks),
    }


def home(blocks: Sequence[Block]) -> Block:
    """The view of App Home."""
    return {"type": "home", "blocks": list(blocks)}


def _plain(text: str, most: int = SECTION_LENGTH) -> Block:
    return {"type": "plain_text", "text": _cut(text, most)}


def _mrkdwn(text: str, most: int) -> Block:
    return {"type": "mrkdwn", "text": _cut(text, most)}


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
