"""Validates Block Kit as strictly as Slack: known types, required fields, lengths.

If Slack documents no limit, that of its SDKs is used.
"""

from collections.abc import Callable
from typing import Any

from local_slack.workspace.errors import SlackError
from local_slack.workspace.expansion import MessageBounds, count_blocks
from local_slack.workspace.input_rules import find_problem
from local_slack.workspace.model import Json

MAX_BLOCKS = 50
MAX_MARKDOWN = 12_000
MAX_CHARTS, MAX_SERIES, MAX_POINTS = 2, 6, 20

# fmt: off
MESSAGE_BLOCKS = frozenset({
    "actions", "auth_provider", "card", "carousel", "container", "context", "context_actions",
    "data_table", "data_visualization", "divider", "file", "header", "image", "markdown", "plan",
    "rich_text", "section", "table", "task_card", "video",
})
VIEW_BLOCKS = frozenset({
    "actions", "alert", "context", "divider", "header", "image", "input", "rich_text", "section",
    "video",
})
ACTION_ELEMENTS = frozenset({
    "button", "checkboxes", "channels_select", "conversations_select", "datepicker",
    "datetimepicker", "external_select", "feedback_buttons", "icon_button",
    "multi_channels_select", "multi_conversations_select", "multi_external_select",
    "multi_static_select", "multi_users_select", "overflow", "radio_buttons", "static_select",
    "timepicker", "users_select", "workflow_button",
})
INPUT_ELEMENTS = frozenset({
    "plain_text_input", "email_text_input", "url_text_input", "number_input", "file_input",
    "rich_text_input",
})
# fmt: on
MAX_ITEMS = {"actions": 25, "context": 10, "context_actions": 5, "carousel": 10}


class BlockError(Exception):
    """Blocks are invalid; the message goes into `response_metadata.messages`."""


def check_message_blocks(
    blocks: list[Json] | None,
    *,
    too_many: str = "invalid_blocks",
    bounds: MessageBounds | None = None,
) -> list[Json]:
    """The blocks with their `block_id`s filled in; raises SlackError as chat.postMessage does."""
    blocks = blocks or []
    if len(blocks) > MAX_BLOCKS:
        raise SlackError(too_many, errors=["no more than 50 items allowed [json-pointer:/blocks]"])
    check_all(blocks, MESSAGE_BLOCKS, "invalid_blocks")
    if sum(block["type"] == "data_visualization" for block in blocks) > MAX_CHARTS:
        raise refusal("invalid_blocks", ["no more than 2 charts allowed [json-pointer:/blocks]"])
    markdown = [block["text"] for block in blocks if block["type"] == "markdown"]
    if sum(map(len, markdown)) > MAX_MARKDOWN:
        raise SlackError("msg_blocks_too_long")
    if bounds:
        check_markdown("\n\n".join(markdown), bounds, others=len(blocks) - len(markdown))
    return with_ids(blocks)


def check_markdown(markdown: str, bounds: MessageBounds, *, others: int = 0) -> None:
    """Raise SlackError if Slack would not accept this much Markdown beside `others` blocks."""
    if len(markdown) > bounds.longest_markdown:
        raise SlackError("msg_too_long")
    if bounds.expands and others + count_blocks(markdown) > MAX_BLOCKS:
        raise SlackError("invalid_blocks", errors=["no more than 50 items allowed"])


def with_ids(blocks: list[Json]) -> list[Json]:
    """Fill in missing `block_id`s and, for elements, `action_id`s, as Slack does."""
    filled = []
    for number, block in enumerate(blocks):
        copy = {**block}
        copy.setdefault("block_id", f"b{number}")
        if isinstance(copy.get("elements"), list) and copy["type"] in MAX_ITEMS:
            copy["elements"] = [
                _with_action_id(element, f"{copy['block_id']}-{position}")
                for position, element in enumerate(copy["elements"])
            ]
        for name in ("accessory", "element"):
            if isinstance(copy.get(name), dict):
                copy[name] = _with_action_id(copy[name], f"{copy['block_id']}-{name}")
        filled.append(copy)
    return filled


def _with_action_id(element: Json, action_id: str) -> Json:
    interactive = element.get("type") in ACTION_ELEMENTS or "input" in str(element.get("type"))
    return {"action_id": action_id, **element} if interactive else element


def refusal(error: str, messages: list[str]) -> SlackError:
    return SlackError(error, errors=messages, response_metadata={"messages": messages})


def check_all(blocks: list[Json], known: frozenset[str], error: str) -> None:
    seen: set[str] = set()
    for number, block in enumerate(blocks):
        try:
            _check_block(block, known)
            block_id = block.get("block_id")
            if block_id is not None:
                _limit(block_id, 255, "block_id")
                _demand(block_id not in seen, "block_id already exists")
                seen.add(block_id)
        # The latter: a part has a different JSON type than the checks below expect.
        except (BlockError, AttributeError, KeyError, TypeError) as reason:
            pointer = f"[ERROR] {reason} [json-pointer:/blocks/{number}]"
            raise refusal(error, [pointer]) from None


def _check_block(block: Json, known: frozenset[str]) -> None:
    kind = block.get("type")
    _demand(kind in known, f"unsupported type: {kind}")
    check = _CHECKS.get(str(kind))
    if check is not None:
        check(block)


def _section(block: Json) -> None:
    _demand("text" in block or "fields" in block, "must provide text or fields")
    if "text" in block:
        _text(block["text"], 3_000, ("mrkdwn", "plain_text"))
    fields = block.get("fields", [])
    _demand(len(fields) <= 10, "no more than 10 items allowed")
    for item in fields:
        _text(item, 2_000, ("mrkdwn", "plain_text"))
    if "accessory" in block:
        _element(block["accessory"], ACTION_ELEMENTS | {"image"})


def _elements(block: Json) -> None:
    elements = block.get("elements")
    _demand(isinstance(elements, list) and bool(elements), "missing required field: elements")
    assert isinstance(elements, list)
    limit = MAX_ITEMS[block["type"]]
    _demand(len(elements) <= limit, f"no more than {limit} items allowed")
    for element in elements:
        if block["type"] == "context":
            if element.get("type") == "image":
                _element(element, {"image"})
            else:
                _text(element, 3_000, ("mrkdwn", "plain_text"))
        elif block["type"] == "context_actions":
            _element(element, {"feedback_buttons", "icon_button"})
        elif block["type"] == "actions":
            _element(element, ACTION_ELEMENTS)


def _element(element: Any, allowed: frozenset[str] | set[str]) -> None:
    _demand(isinstance(element, dict), "must be an object")
    kind = element.get("type")
    _demand(kind in allowed, f"unsupported type: {kind}")
    _limit(element.get("action_id", ""), 255, "action_id")
    if kind == "button":
        _text(element.get("text"), 75, ("plain_text",))
        _limit(element.get("value", ""), 2_000, "value")
        _limit(element.get("url", ""), 3_000, "url")
        _demand(element.get("style") in (None, "primary", "danger"), "invalid style")
    elif kind == "feedback_buttons":
        for name in ("positive_button", "negative_button"):
            button = element.get(name)
            _demand(isinstance(button, dict), f"missing required field: {name}")
            _text(button.get("text"), 75, ("plain_text",))
            _limit(button.get("value", ""), 2_000, "value")
    elif kind == "image":
        _demand(bool(element.get("alt_text")), "missing required field: alt_text")
    elif kind in ("static_select", "multi_static_select", "radio_buttons", "checkboxes"):
        _options(element)
    if "confirm" in element:
        _demand(isinstance(element["confirm"], dict), "invalid confirm")


def _options(element: Json) -> None:
    lists = [element["options"]] if "options" in element else []
    if not lists:
        _demand("option_groups" in element, "missing required field: options")
        lists = [group["options"] for group in element["option_groups"]]
        _demand(0 < len(lists) <= 100, "between 1 and 100 option groups")
    limit = 10 if element["type"] in ("radio_buttons", "checkboxes") else 100
    for options in lists:
        _demand(0 < len(options) <= limit, f"between 1 and {limit} options")
        for option in options:
            _text(option.get("text"), 75, ("plain_text", "mrkdwn"))
            _limit(option.get("value", ""), 150, "value")


def _input(block: Json) -> None:
    _text(block.get("label"), 2_000, ("plain_text",))
    element = block.get("element")
    _demand(isinstance(element, dict), "missing required field: element")
    assert isinstance(element, dict)
    _element(element, ACTION_ELEMENTS | INPUT_ELEMENTS)
    problem = find_problem(element)
    _demand(not problem, problem)


def _table(block: Json) -> None:
    rows = block.get("rows")
    _demand(isinstance(rows, list) and bool(rows), "missing required field: rows")
    assert isinstance(rows, list)
    _demand(len(rows) <= 100, "no more than 100 items allowed")
    _demand(all(0 < len(row) <= 20 for row in rows), "no more than 20 items allowed")
    _demand(len({len(row) for row in rows}) == 1, "all rows must be of the same length")
    kinds = ("raw_text", "raw_number", "rich_text")
    _demand(all(cell.get("type") in kinds for row in rows for cell in row), "unsupported cell")
    size = sum(len(str(cell.get("text", ""))) for row in rows for cell in row)
    _demand(size <= 10_000, "table is too long")


def _chart(block: Json) -> None:
    """https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block"""
    title, chart = block.get("title"), block.get("chart")
    _demand(isinstance(title, str) and bool(title), "missing required field: title")
    _limit(title, 50, "title")
    _demand(isinstance(chart, dict), "missing required field: chart")
    assert isinstance(chart, dict)
    if chart.get("type") == "pie":
        _points(chart.get("segments"), MAX_SERIES)
        return
    _demand(chart.get("type") in ("bar", "area", "line"), "unsupported chart type")
    axes, series = chart.get("axis_config") or {}, chart.get("series")
    _demand(bool(axes.get("categories")), "missing required field: categories")
    for label in axes["categories"]:
        _limit(label, 20, "category")
    for name in ("x_label", "y_label"):
        _limit(axes.get(name, ""), 50, name)
    _demand(isinstance(series, list) and 1 <= len(series) <= MAX_SERIES, "1 to 6 series")
    assert isinstance(series, list)
    _demand(len({each["name"] for each in series}) == len(series), "names must be unique")
    for each in series:
        labels = _points(each.get("data"), MAX_POINTS)
        _demand(labels <= set(axes["categories"]), "labels must match the categories")


def _points(points: Any, most: int) -> set[str]:
    """The labels of data points."""
    _demand(isinstance(points, list) and 1 <= len(points) <= most, f"1 to {most} items allowed")
    for point in points:
        _limit(point.get("label"), 20, "label")
        value = point.get("value")
        _demand(isinstance(value, int | float) and not isinstance(value, bool), "not a number")
    labels = {str(point["label"]) for point in points}
    _demand(len(labels) == len(points), "labels must be unique")
    return labels


def _image(block: Json) -> None:
    _demand(bool(block.get("alt_text")), "missing required field: alt_text")
    _limit(block["alt_text"], 2_000, "alt_text")
    _demand("image_url" in block or "slack_file" in block, "missing required field: image_url")


def _markdown(block: Json) -> None:
    _demand(isinstance(block.get("text"), str), "missing required field: text")
    _demand(bool(block["text"]), "must be more than 0 characters")


_CHECKS: dict[str, Callable[[Json], None]] = {
    "section": _section,
    "actions": _elements,
    "context": _elements,
    "data_visualization": _chart,
    "context_actions": _elements,
    "header": lambda block: _text(block.get("text"), 150, ("plain_text",)),
    "image": _image,
    "input": _input,
    "markdown": _markdown,
    "table": _table,
}


def _text(value: Any, limit: int, kinds: tuple[str, ...]) -> None:
    _demand(isinstance(value, dict), "missing required field: text")
    _demand(value.get("type") in kinds, f"text must be of type {' or '.join(kinds)}")
    text = text_of(value)
    _demand(bool(text), "must be more than 0 characters")
    _limit(text, limit, "text")


def text_of(value: Any) -> str:
    return str(value.get("text", "")) if isinstance(value, dict) else ""


def _limit(value: Any, limit: int, name: str) -> None:
    _demand(isinstance(value, str), f"{name} must be a string")
    _demand(len(value) <= limit, f"{name} must be less than {limit + 1} characters")


def _demand(condition: bool, reason: str) -> None:
    if not condition:
        raise BlockError(reason)
