"""chat.startStream, appendStream, stopStream."""

from local_slack.api.methods.call import Call, Method
from local_slack.api.methods.chat import (
    MessageContent,
    new_message,
    postable_channel,
    read_metadata,
)
from local_slack.workspace import agents, streams
from local_slack.workspace.blocks import check_markdown, check_message_blocks
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json, Message, Stream
from local_slack.workspace.shapes import message_json


def _pieces(call: Call) -> tuple[str, list[Json]]:
    chunks = call.args.objects("chunks", "invalid_chunks") or []
    for chunk in chunks:
        if chunk.get("type") == "blocks":
            check_message_blocks(chunk.get("blocks"), too_many="msg_blocks_too_many")
    return call.args.get("markdown_text") or "", chunks


def start(call: Call) -> Json:
    channel = postable_channel(call)
    workspace = call.workspace
    # Group DMs are not documented as supported: refused.
    if channel.type == "mpim":
        raise SlackError("channel_type_not_supported")
    # Newer pages call thread_ts optional; apps report that it is required.
    call.args.require("thread_ts")
    # Documented for channels only; some apps see these errors in DMs too, so they are required
    # there.
    for name in ("team", "user"):
        if not call.args.get(f"recipient_{name}_id"):
            raise SlackError(f"missing_recipient_{name}_id")
    recipient = call.args.require("recipient_user_id")
    if recipient not in workspace.users:
        raise SlackError("user_not_found")
    if call.args.get("task_display_mode") not in (None, "timeline", "plan", "dense"):
        raise SlackError("invalid_arguments")
    markdown, chunks = _pieces(call)
    message = new_message(call, channel, MessageContent("", [], []))
    message.stream = Stream(
        workspace.clock.now(),
        recipient_user_id=recipient,
        task_display_mode=call.args.get("task_display_mode") or "timeline",
    )
    streams.check_room(message.stream, markdown, chunks)
    _check_size(call, message, markdown, chunks)
    workspace.put(message)
    agents.clear_status(workspace, channel.id, message.thread_ts)
    root = workspace.find_message(channel.id, message.root_ts)
    initiator = root.user_id if root else None
    agents.set_session(workspace, channel.id, message.root_ts, "processing", initiator=initiator)
    if markdown or chunks:
        streams.append(workspace, message, markdown, chunks)
    return {"channel": channel.id, "ts": message.ts}


def _stream_message(call: Call) -> Message:
    channel = call.own_channel()
    message = call.message(channel)
    if message.user_id != call.bot_id:
        raise SlackError("message_not_owned_by_app")
    return message


def _check_size(call: Call, message: Message, markdown: str, chunks: list[Json]) -> None:
    """The message with the new chunks has the limits of a posted message."""
    assert message.stream is not None
    held = [block["text"] for block in message.stream.chunk_blocks if block["type"] == "markdown"]
    new = [str(chunk["text"]) for chunk in chunks if chunk["type"] == "markdown_text"]
    check_markdown("".join([*held, markdown or "", *new]), call.workspace.bounds)


def append(call: Call) -> Json:
    message = _stream_message(call)
    streams.live(message)
    markdown, chunks = _pieces(call)
    if not markdown and not chunks:
        raise SlackError("no_text")
    _check_size(call, message, markdown, chunks)
    streams.append(call.workspace, message, markdown, chunks)
    return {"channel": message.channel_id, "ts": message.ts}


def stop(call: Call) -> Json:
    message = _stream_message(call)
    stream = message.stream
    if stream is None or stream.state != "streaming":
        raise SlackError("message_not_in_streaming_state")
    markdown, chunks = _pieces(call)
    given = call.args.objects("blocks", "invalid_blocks_format")
    blocks = check_message_blocks(given, too_many="msg_blocks_too_many")
    metadata = read_metadata(call)
    status = call.args.get("session_status") or "active"
    if status not in agents.SESSION_STATUSES:
        raise SlackError("invalid_status")
    if markdown or chunks:
        streams.append(call.workspace, message, markdown, chunks)
    stream.final_blocks = blocks
    if metadata:
        message.metadata = metadata
    streams.end(call.workspace, message, "stopped")
    agents.set_session(call.workspace, message.channel_id, message.root_ts, status)
    return {
        "channel": message.channel_id,
        "ts": message.ts,
        "message": message_json(call.workspace, message),
    }


METHODS = {
    "chat.startStream": Method(start, 2, ("chat:write",)),
    "chat.appendStream": Method(append, 4, ("chat:write",)),
    "chat.stopStream": Method(stop, 2, ("chat:write",)),
}
