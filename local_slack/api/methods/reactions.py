"""reactions.*."""

import re

from local_slack.api.methods.call import Call, Method
from local_slack.workspace.clock import is_ts
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Json, Message
from local_slack.workspace.shapes import message_json

NAME = re.compile(r"^[a-z0-9_'+-]+(::skin-tone-[2-6])?$")


def _item(call: Call) -> tuple[Channel, Message]:
    if not call.args.get("timestamp") or not call.args.get("channel"):
        raise SlackError("no_item_specified")
    if not is_ts(call.args.require("timestamp")):
        raise SlackError("bad_timestamp")
    channel = call.own_channel()
    return channel, call.message(channel, "timestamp")


def _name(call: Call) -> str:
    name = call.args.require("name").strip(":")
    if not NAME.match(name):
        raise SlackError("invalid_name")
    return name


def add(call: Call) -> Json:
    name = _name(call)
    channel, message = _item(call)
    if channel.archived:
        raise SlackError("is_archived")
    call.workspace.react(message, call.bot_id, name)
    return {}


def remove(call: Call) -> Json:
    name = _name(call)
    _, message = _item(call)
    call.workspace.unreact(message, call.bot_id, name)
    return {}


def get(call: Call) -> Json:
    channel, message = _item(call)
    shape = message_json(call.workspace, message)
    return {"type": "message", "channel": channel.id, "message": shape}


METHODS = {
    "reactions.add": Method(add, 3, ("reactions:write",)),
    "reactions.remove": Method(remove, 2, ("reactions:write",)),
    "reactions.get": Method(get, 3, ("reactions:read",)),
}
