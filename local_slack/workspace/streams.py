"""Streamed messages: start, append, stop, and ends without the app.

A stream accepts 12,000 characters in total and ends about five minutes after its start, whatever is
appended. Slack documents neither the lifetime nor that the limit covers all chunks together; others
have measured both, and this is the stricter reading.
"""

from local_slack.workspace import agents
from local_slack.workspace.blocks import MAX_BLOCKS
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json, Message, Stream, StreamState
from local_slack.workspace.workspace import Workspace

LIFETIME_SECONDS = 300.0
MAX_CHARACTERS = 12_000
CHUNKS = {"markdown_text": "text", "task_update": "id", "plan_update": "title", "blocks": "blocks"}


def append(workspace: Workspace, message: Message, markdown: str, chunks: list[Json]) -> None:
    """Append to a live stream; raises the errors of chat.appendStream."""
    stream = live(message)
    text = check_room(stream, markdown, chunks)
    stream.length += len(text)
    _say(stream, markdown)
    for chunk in chunks:
        _apply(stream, chunk)
    _show(workspace, message, message.text + text)


def check_room(stream: Stream, markdown: str, chunks: list[Json]) -> str:
    """The text that the chunks would add; raises SlackError if the stream cannot accept them."""
    text = markdown
    blocks = sum(block["type"] != "markdown" for block in stream.chunk_blocks)
    for chunk in chunks:
        required = CHUNKS.get(str(chunk.get("type")))
        if required is None or required not in chunk:
            raise SlackError("invalid_chunks")
        if chunk["type"] == "markdown_text":
            text += str(chunk["text"])
        blocks += len(chunk.get("blocks", ()))
    if stream.length + len(text) > MAX_CHARACTERS:
        raise SlackError("msg_too_long")
    if blocks > MAX_BLOCKS:
        raise SlackError("msg_blocks_too_many")
    return text


def live(message: Message) -> Stream:
    """The stream of a message that is still streaming; else raises Slack's error."""
    stream = message.stream
    if stream is None or stream.state in ("stopped", "expired"):
        raise SlackError("message_not_in_streaming_state")
    if stream.state == "stopped_by_user":
        raise SlackError("stopped_by_user")
    return stream


def end(workspace: Workspace, message: Message, state: StreamState) -> None:
    if message.stream is not None and message.stream.state == "streaming":
        message.stream.state = state
        workspace.streaming.pop((message.channel_id, message.ts), None)
        _show(workspace, message, message.text)


def expire_streams(workspace: Workspace) -> None:
    """End the streams that are five minutes old, as Slack does."""
    now = workspace.clock.now()
    for message in tuple(workspace.streaming.values()):
        if message.stream and now - message.stream.started_at >= LIFETIME_SECONDS:
            end(workspace, message, "expired")
            agents.set_session(workspace, message.channel_id, message.root_ts, "active")


def stop_by_user(workspace: Workspace, user_id: str, channel_id: str, thread_ts: str) -> list[str]:
    """Press Stop: Slack closes the streams of the thread and sends the app an event.

    The session keeps its status until the app sets it.
    """
    closed = []
    for message in tuple(workspace.streaming.values()):
        if message.channel_id == channel_id and message.root_ts == thread_ts:
            end(workspace, message, "stopped_by_user")
            closed.append(message.ts)
    event = {
        "channel": channel_id,
        "thread_ts": thread_ts,
        "user": user_id,
        "streaming_message_ts": closed,
        "event_ts": workspace.clock.next_ts(),
    }
    workspace.changes.publish("session_stopped", event=event)
    return closed


def _show(workspace: Workspace, message: Message, text: str) -> None:
    stream = message.stream
    assert stream is not None
    workspace.change(message, text=text, blocks=stream.chunk_blocks + stream.final_blocks)


def _say(stream: Stream, text: str) -> None:
    """Append to the last text; after a card a new text begins, as in Slack's timeline."""
    if text and stream.chunk_blocks and stream.chunk_blocks[-1]["type"] == "markdown":
        last = stream.chunk_blocks.pop()
        text = last["text"] + text
    if text:
        stream.chunk_blocks.append({"type": "markdown", "text": text})


def _apply(stream: Stream, chunk: Json) -> None:
    if chunk["type"] == "markdown_text":
        _say(stream, str(chunk["text"]))
    elif chunk["type"] == "task_update":
        _update_task(stream, chunk)
    elif chunk["type"] == "plan_update":
        plans = [block for block in stream.chunk_blocks if block["type"] == "plan"]
        if plans:
            plans[0]["title"] = chunk["title"]
        else:
            stream.chunk_blocks.insert(0, {"type": "plan", "title": chunk["title"]})
    elif chunk["type"] == "blocks":
        stream.chunk_blocks.extend(chunk["blocks"])


def _update_task(stream: Stream, chunk: Json) -> None:
    """Title and status replace, details and output append."""
    cards = [block for block in stream.chunk_blocks if block.get("task_id") == chunk["id"]]
    card: Json = cards[0] if cards else {"type": "task_card", "task_id": chunk["id"]}
    if not cards:
        stream.chunk_blocks.append(card)
    for name in ("title", "status"):
        if name in chunk:
            card[name] = chunk[name]
    for name in ("details", "output"):
        if chunk.get(name):
            card[name] = str(card.get(name, "")) + str(chunk[name])
    if "sources" in chunk:
        card["sources"] = chunk["sources"]
