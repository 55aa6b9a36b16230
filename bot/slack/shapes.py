"""The shapes of Slack's requests, checked before anything reads them. Pure.

Slack adds fields and leaves some out, so only what the listeners and Bolt need is checked.
"""

import re
from collections.abc import Callable
from typing import Any

Shape = Any
"""A type; a pattern for text; a dict of shapes by key, optional if the key ends with `?`; a list
with the shape of its elements; or a tuple of alternatives."""

_ID = re.compile(r"[\w.:-]{0,100}", re.ASCII)
_ORIGIN: Shape = {
    "team?": (_ID, {"id?": _ID, "enterprise_id?": _ID}),
    "enterprise?": (_ID, {"id?": _ID}),
    "team_id?": _ID,
    "enterprise_id?": _ID,
    "user?": (_ID, {"id?": _ID, "team_id?": _ID}),
    "user_id?": _ID,
    "channel?": (_ID, {"id?": _ID}),
    "channel_id?": _ID,
}
"""Where a request comes from, which Bolt looks for in many places."""
_NESTED: Shape = _ORIGIN | dict.fromkeys(
    ("message?", "previous_message?", "item?", "assistant_thread?"),
    (_ORIGIN, list, str, int, float),  # Bolt and the listeners ignore anything but objects
)
_VIEW: Shape = {
    "id?": _ID,
    "team_id?": _ID,
    "app_installed_team_id?": _ID,
    "callback_id?": str,
    "private_metadata?": str,
}
_REQUEST: Shape = _NESTED | {
    "type?": str,
    "authorizations?": [_ORIGIN],
    "event?": _NESTED,
    "view?": _VIEW,
    "response_url?": str,
    "response_urls?": [{"response_url?": str}],
}
_PRESSED: Shape = {
    "user": {"id": _ID},
    "trigger_id": _ID,
    "actions": [{"action_id": str, "action_ts": _ID, "block_id?": str, "value?": str}],
    "message?": {"ts?": _ID, "thread_ts?": _ID, "blocks?": [{"elements?": [dict]}]},
}
_IN_MESSAGE: Shape = {"container": {"channel_id": _ID, "message_ts": _ID, "thread_ts?": _ID}}
_SUBMITTED: Shape = {
    "user": {"id": _ID},
    "view": {"callback_id": str, "private_metadata": str, "state": {"values": dict}},
}
_SHORTCUT: Shape = {"user": {"id": _ID}, "trigger_id": _ID, "action_ts": _ID, "callback_id": str}
_IN_MENU: Shape = {"channel": {"id": _ID}, "message": {"ts": _ID, "thread_ts?": _ID}}
_COMMAND: Shape = {"command": str, "user_id": _ID, "channel_id": _ID, "text?": str}
_EVENTS: dict[str, Shape] = {"app_home_opened": {"user": _ID}}

_KINDS: dict[str, Shape] = {
    "event_callback": {"event": {"type": str}},
    "block_actions": _PRESSED,
    "view_submission": _SUBMITTED,
    "view_closed": {"user": {"id": _ID}, "view": dict},
    "message_action": _SHORTCUT | _IN_MENU,
    "shortcut": _SHORTCUT,
}


def is_well_formed(body: Any) -> bool:
    """Whether a request has what its listeners need, in the expected types."""
    if not _IS_REQUEST(body):
        return False
    if "command" in body:
        return _IS_COMMAND(body)
    kind = body.get("type")
    if kind in _IS_KIND and not _IS_KIND[kind](body):
        return False
    if kind == "event_callback":
        event = body["event"]
        return event["type"] not in _IS_EVENT or _IS_EVENT[event["type"]](event)
    if kind == "block_actions":
        return bool(body["actions"]) and (bool(body.get("view")) or _IS_IN_MESSAGE(body))
    return True


ShapeCheck = Callable[[Any], bool]


def checker(shape: Shape) -> ShapeCheck:
    """A function that says whether a value has a shape. What is optional may also be null."""
    if isinstance(shape, tuple):
        alternatives = [checker(each) for each in shape]
        return lambda value: any(check(value) for check in alternatives)
    if isinstance(shape, list):
        element = checker(shape[0])
        return lambda value: isinstance(value, list) and all(map(element, value))
    if isinstance(shape, dict):
        return _fields_checker(shape)
    if isinstance(shape, re.Pattern):
        matches = shape.fullmatch
        return lambda value: isinstance(value, str) and matches(value) is not None
    return lambda value: isinstance(value, shape)


def _fields_checker(shape: dict[str, Shape]) -> ShapeCheck:
    optional = {key[:-1]: checker(each) for key, each in shape.items() if key[-1] == "?"}
    required = [(key, checker(each)) for key, each in shape.items() if key[-1] != "?"]

    def check(value: Any) -> bool:
        if not isinstance(value, dict):
            return False
        for name, fits in required:
            if not fits(value.get(name)):
                return False
        return all(
            optional[name](found)
            for name, found in value.items()
            if found is not None and name in optional
        )

    return check


_IS_REQUEST = checker(_REQUEST)
_IS_COMMAND = checker(_COMMAND)
_IS_IN_MESSAGE = checker(_IN_MESSAGE)
_IS_KIND = {kind: checker(shape) for kind, shape in _KINDS.items()}
_IS_EVENT = {kind: checker(shape) for kind, shape in _EVENTS.items()}
