"""What people post: text typed into the message box, with files, and the unfurling of links."""

import uuid

from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Message, User
from local_slack.workspace.rich_text import find_links, rich_text_block
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
) -> Message:
    """A message of a person or of another bot. `broadcast` is "also send to channel"."""
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
        client_msg_id=None if user.is_bot else str(uuid.uuid4()),
        bot_id=user.bot_id,
        app_id=user.app_id,
    )
    workspace.put(message)
    _unfurl(workspace, message)
    return message


def edit(workspace: Workspace, user: User, message: Message, text: str) -> None:
    if message.user_id != user.id:
        raise SlackError("cant_update_message")
    blocks = [rich_text_block(text, workspace.new_id("b"))]
    workspace.change(message, edited_by=user.id, text=text, blocks=blocks)


def _unfurl(workspace: Workspace, message: Message) -> None:
    """Slack adds previews of links a moment later, as a change without `edited`."""
    links = [link for link in find_links(message.text) if not link.startswith(workspace.url)]
    if links:
        attachments = [
            {"id": number, "from_url": link, "title": link, "fallback": link}
            for number, link in enumerate(links, 1)
        ]
        workspace.change(message, attachments=attachments)
