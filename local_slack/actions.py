"""Interactive elements: looked up by action_id and turned into the payloads that Slack sends."""

from collections.abc import Iterator
from typing import Any

from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json

SELECTED = {
    "users_select": "selected_user",
    "channels_select": "selected_channel",
    "conversations_select": "selected_conversation",
    "datepicker": "selected_date",
    "timepicker": "selected_time",
    "datetimepicker": "selected_date_time",
    "multi_users_select": "selected_users",
    "multi_channels_select": "selected_channels",
    "multi_conversations_select": "selected_conversations",
}
ONE_OPTION = ("static_select", "external_select", "radio_buttons", "overflow")
MANY_OPTIONS = ("multi_static_select", "multi_external_select", "checkboxes")


def elements(blocks: list[Json]) -> Iterator[tuple[Json, Json]]:
    """Every element with an action_id, together with its block."""
    for block in blocks:
        candidates = list(block.get("elements") or [])
        candidates += [block[name] for name in ("accessory", "element") if name in block]
        for element in candidates:
            if isinstance(element, dict) and "action_id" in element:
                yield block, element


def find_element(
    blocks: list[Json], action_id: str, block_id: str | None = None
) -> tuple[Json, Json]:
    """The first element with this id, or the one in a block: several rows may share an
    action_id."""
    for block, element in elements(blocks):
        if element["action_id"] == action_id and block_id in (None, block.get("block_id")):
            return block, element
    raise SlackError("action_not_found")


def make_action(block: Json, element: Json, value: str | None, action_ts: str) -> Json:
    """One entry of `actions` in a block_actions payload."""
    kind = element["type"]
    action: Json = {
        "type": kind,
        "action_id": element["action_id"],
        "block_id": block["block_id"],
        "action_ts": action_ts,
    }
    if kind == "feedback_buttons":
        button = element[f"{value or 'positive'}_button"]
        return action | {"text": button["text"], "value": button.get("value", "")}
    if kind == "button":
        return action | {"text": element["text"], "value": element.get("value", "")}
    if kind == "icon_button":
        return action | {"value": element.get("value", "")}
    return action | _reported(element, value)


def default_state(blocks: list[Json], values: Json | None = None) -> Json:
    """`state.values`: the inputs' values, by block_id and action_id."""
    given = values or {}
    state: Json = {}
    for block, element in elements(blocks):
        if element["type"] in ("button", "feedback_buttons", "icon_button", "overflow"):
            continue
        value = given.get(element["action_id"], given.get(block["block_id"]))
        reported = {"type": element["type"], **_reported(element, value)}
        state.setdefault(block["block_id"], {})[element["action_id"]] = reported
    return state


def _reported(element: Json, value: Any) -> Json:
    kind = element["type"]
    if kind in ONE_OPTION:
        initial = element.get("initial_option")
        return {"selected_option": initial if value is None else _option(element, value)}
    if kind in MANY_OPTIONS:
        if value is None:
            return {"selected_options": element.get("initial_options", [])}
        chosen = [value] if isinstance(value, str) else value
        return {"selected_options": [_option(element, item) for item in chosen]}
    name = SELECTED.get(kind)
    if name is not None:
        return {
            name: element.get(f"initial_{name.removeprefix('selected_')}", value)
            if value is None
            else value
        }
    return {"value": element.get("initial_value") if value is None else value}


def _option(element: Json, value: str) -> Json:
    options = list(element.get("options") or [])
    for group in element.get("option_groups") or []:
        options += group["options"]
    for option in options:
        if option.get("value") == value:
            found: Json = option
            return found
    raise SlackError("option_not_found")
