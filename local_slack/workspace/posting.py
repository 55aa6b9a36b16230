"""Posts of people: typed text, files, and the unfurling of links."""

import uuid
from collections.abc import Sequence

from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Json, Message, User
from local_slack.workspace.rich_text import find_links, rich_text_block
from local_slack.workspace.shapes import permalink
from local_slack.workspace.workspace import Workspace


def post(
    workspace: Workspace,
    user: User,
    channel: Channel,
    text: str,
    *,
    thread_ts: str | None = None,
    broadcast: bool = False,
    file_ids: list[str] | None = None,
    attachments: list[Json] | None = None,
) -> Message:
    """Post a message of a person or of another bot. `broadcast` is "also send to channel"."""
    if channel.archived:
        raise SlackError("is_archived")
    if user.id not in channel.members:
        raise SlackError("not_in_channel")
    workspace.check_thread(channel.id, thread_ts)
    subtype = "file_share" if file_ids else "thread_broadcast" if broadcast else None
    message = Message(
        channel.id,
        workspace.clock.next_ts(),
        user.id,
        text,
        thread_ts=thread_ts,
        subtype=subtype,
        blocks=[rich_text_block(text, workspace.new_id("b"))] if text else [],
        file_ids=list(file_ids or []),
        attachments=list(attachments or []),
        client_msg_id=None if user.is_bot else str(uuid.uuid4()),
        bot_id=user.bot_id,
        app_id=user.app_id,
    )
    workspace.put(message)
    _unfurl(workspace, message)
    return message


def post_exactly(workspace: Workspace, user: User, channel: Channel, message: Message) -> Message:
    """Post content that cannot be typed: of an app, or of a feature of Slack."""
    if user.id not in channel.members:
        raise SlackError("not_in_channel")
    workspace.check_thread(channel.id, message.thread_ts)
    return workspace.put(message)


def forward(workspace: Workspace, message: Message) -> Json:
    """The attachment with which Slack shows a shared message."""
    author, channel = workspace.users.get(message.user_id), workspace.channels[message.channel_id]
    name = (author.real_name or author.name) if author else message.user_id
    return {
        "id": 1,
        "ts": message.ts,
        "is_share": True,
        "is_msg_unfurl": True,
        "author_id": message.user_id,
        "author_name": name,
        "author_subname": name,
        "channel_id": channel.id,
        "channel_team": workspace.team_id,
        "from_url": permalink(workspace, message),
        "original_url": permalink(workspace, message),
        "fallback": f"{name}: {message.text}",
        "text": message.text,
        "mrkdwn_in": ["text"],
        "message_blocks": [
            {
                "team": workspace.team_id,
                "channel": channel.id,
                "ts": message.ts,
                "message": {"blocks": message.blocks},
            }
        ],
        "footer": f"Posted in #{channel.name}" if channel.name else "Direct message",
    }


def table(rows: Sequence[Sequence[str]]) -> Json:
    """The attachment that Slack makes of a pasted table."""
    return {
        "id": 1,
        "fallback": "[no preview available]",
        "blocks": [
            {"type": "table", "block_id": "t1", "rows": [[_cell(c) for c in r] for r in rows]}
        ],
    }


def _cell(text: str) -> Json:
    section = {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}
    return {"type": "rich_text", "elements": [section]}


def edit(workspace: Workspace, user: User, message: Message, text: str) -> None:
    if message.user_id != user.id:
        raise SlackError("cant_update_message")
    blocks = [rich_text_block(text, workspace.new_id("b"))]
    workspace.change(message, edited_by=user.id, text=text, blocks=blocks)


def _unfurl(workspace: Workspace, message: Message) -> None:
    """Slack adds previews of links a moment later, as a change without `edited`."""
    links = [link for link in find_links(message.text) if not link.startswith(workspace.url)]
    if links:
        previews = [
            {"id": number, "from_url": link, "title": link, "fallback": link}
            for number, link in enumerate(links, len(message.attachments) + 1)
        ]
        workspace.change(message, attachments=[*message.attachments, *previews])
