"""chat.postMessage, postEphemeral, update, delete, getPermalink."""

from dataclasses import dataclass
from typing import Any

from local_slack.api.methods.call import Call, Method
from local_slack.workspace.agents import clear_status
from local_slack.workspace.blocks import check_message_blocks
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Json, Message
from local_slack.workspace.shapes import message_json, permalink

MAX_TEXT = 40_000
MAX_UPDATED_TEXT = 4_000
MAX_MARKDOWN_TEXT = 12_000
MAX_ATTACHMENTS = 100
# Slack documents no limit for metadata_too_large; this is a conservative one.
MAX_METADATA = 8_000


@dataclass(frozen=True)
class MessageContent:
    """The content of a message. Markdown is stored as a `markdown` block; its text is the
    fallback."""

    text: str
    blocks: list[Json]
    attachments: list[Json]


def read_content(call: Call) -> MessageContent:
    """The content of the arguments, checked; raises Slack's errors."""
    text, markdown = call.args.get("text"), call.args.get("markdown_text")
    given = call.args.objects("blocks", "invalid_blocks_format")
    attachments = call.args.objects("attachments", "invalid_attachments") or []
    if len(attachments) > MAX_ATTACHMENTS:
        raise SlackError("too_many_attachments")
    if markdown is not None:
        # Whether an empty `text` beside markdown_text passes is not documented: refused.
        if text is not None or given:
            raise SlackError("markdown_text_conflict")
        if len(markdown) > MAX_MARKDOWN_TEXT:
            raise SlackError("msg_too_long")
        if not markdown:
            raise SlackError("no_text")
        blocks = check_message_blocks(
            [{"type": "markdown", "text": markdown}], bounds=call.workspace.bounds
        )
        return MessageContent(markdown, blocks, attachments)
    if not (text or given or attachments):
        raise SlackError("no_text")
    return MessageContent(
        text or "", check_message_blocks(given, bounds=call.workspace.bounds), attachments
    )


def read_metadata(call: Call) -> Json | None:
    """`metadata` as {event_type, event_payload}; {} clears it."""
    metadata = call.args.json("metadata", "invalid_metadata_format")
    if metadata is None or metadata == {}:
        return None if metadata is None else {}
    if not isinstance(metadata, dict):
        raise SlackError("invalid_metadata_format")
    payload = metadata.get("event_payload")
    if not isinstance(metadata.get("event_type"), str) or not isinstance(payload, dict):
        raise SlackError("invalid_metadata_format")
    if not all(_is_plain(value) for value in payload.values()):
        raise SlackError("invalid_metadata_schema")
    if len(str(metadata)) > MAX_METADATA:
        raise SlackError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": payload}


def _is_plain(value: Any, depth: int = 0) -> bool:
    """A value, a flat object of values, or a list of either."""
    if isinstance(value, str | int | float):
        return True
    if isinstance(value, dict):
        return all(isinstance(item, str | int | float) for item in value.values())
    return isinstance(value, list) and depth == 0 and all(_is_plain(v, 1) for v in value)


def postable_channel(call: Call) -> Channel:
    """The channel to post in; a user id means the DM with that user."""
    reference = call.args.get("channel") or ""
    workspace = call.workspace
    if reference in workspace.users:
        channel, _ = workspace.open_dm([reference, call.bot_id])
    else:
        found = workspace.find_channel(reference)
        if found is None or (found.type != "channel" and call.bot_id not in found.members):
            raise SlackError("channel_not_found")
        channel = found
    if channel.archived:
        raise SlackError("is_archived")
    if call.bot_id not in channel.members and not call.has_scope("chat:write.public"):
        raise SlackError("not_in_channel")
    if channel.type == "im" and not workspace.messages_tab:
        raise SlackError("messages_tab_disabled")
    return channel


def new_message(call: Call, channel: Channel, content: MessageContent) -> Message:
    """A message of the bot, not yet posted."""
    workspace = call.workspace
    thread_ts = call.args.get("thread_ts") or None
    if workspace.strays and thread_ts and not workspace.find_message(channel.id, thread_ts):
        thread_ts = None
    workspace.check_thread(channel.id, thread_ts)
    if any(call.args.get(name) for name in ("username", "icon_emoji", "icon_url")):
        call.demand_scope("chat:write.customize")
    text = content.text
    if len(text) > MAX_TEXT:
        text = text[:MAX_TEXT]
        call.warnings.append("message_truncated")
    return Message(
        channel.id,
        workspace.clock.next_ts(),
        call.bot_id,
        text,
        thread_ts=thread_ts,
        blocks=content.blocks,
        attachments=content.attachments,
        bot_id=workspace.bot.bot_id,
        app_id=workspace.app_id,
        username=call.args.get("username"),
        icon_emoji=call.args.get("icon_emoji"),
    )


def post_message(call: Call) -> Json:
    channel = postable_channel(call)
    message = new_message(call, channel, read_content(call))
    message.metadata = read_metadata(call) or None
    if call.args.flag("reply_broadcast") and message.thread_ts:
        message.subtype = "thread_broadcast"
    call.workspace.put(message)
    clear_status(call.workspace, channel.id, message.thread_ts)
    return {
        "channel": channel.id,
        "ts": message.ts,
        "message": message_json(call.workspace, message),
    }


def post_ephemeral(call: Call) -> Json:
    channel = postable_channel(call)
    user = call.workspace.users.get(call.args.require("user"))
    if user is None or user.id not in channel.members:
        raise SlackError("user_not_in_channel")
    content = read_content(call)
    if len(content.text) > MAX_TEXT:
        raise SlackError("msg_too_long")
    message = new_message(call, channel, content)
    message.visible_to = user.id
    call.workspace.put(message)
    return {"message_ts": message.ts}


def _own_message(call: Call, refusal: str) -> Message:
    channel = call.visible_channel()
    message = call.message(channel)
    if message.user_id != call.bot_id:
        raise SlackError(refusal)
    return message


def update(call: Call) -> Json:
    message = _own_message(call, "cant_update_message")
    workspace = call.workspace
    if workspace.channels[message.channel_id].archived:
        raise SlackError("is_inactive")
    if message.stream is not None and message.stream.state == "streaming":
        raise SlackError("streaming_state_conflict")
    metadata = read_metadata(call)
    if len(call.args.get("text") or "") > MAX_UPDATED_TEXT:
        raise SlackError("msg_too_long")
    fields: dict[str, object] = {}
    if metadata is not None:
        fields["metadata"] = metadata or None
    content = read_content(call)
    fields |= {
        "text": content.text,
        "blocks": content.blocks,
        "attachments": content.attachments,
    }
    # Slack shows no "(edited)" on an update with blocks.
    workspace.change(message, edited_by=None if content.blocks else call.bot_id, **fields)
    shown = message_json(workspace, message)
    # In Slack's answer to an update the message itself has no `ts`.
    del shown["ts"]
    return {
        "channel": message.channel_id,
        "ts": message.ts,
        "text": message.text,
        "message": shown,
    }


def delete(call: Call) -> Json:
    message = _own_message(call, "cant_delete_message")
    call.workspace.delete(message)
    return {"channel": message.channel_id, "ts": message.ts}


def get_permalink(call: Call) -> Json:
    channel = call.visible_channel()
    message = call.message(channel, "message_ts")
    return {"channel": channel.id, "permalink": permalink(call.workspace, message)}


METHODS = {
    "chat.postMessage": Method(post_message, "special", ("chat:write",)),
    "chat.postEphemeral": Method(post_ephemeral, 4, ("chat:write",)),
    "chat.update": Method(update, 3, ("chat:write",)),
    "chat.delete": Method(delete, 3, ("chat:write",)),
    "chat.getPermalink": Method(get_permalink, "special"),
}
