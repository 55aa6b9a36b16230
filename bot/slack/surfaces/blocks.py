"""What several of our messages and views are made of: paragraphs, and a person's conversations."""

from collections.abc import Sequence
from typing import Any

from bot.models import Conversation, Record
from bot.slack.markdown.plain import plain
from bot.slack.markdown.render import escape_mrkdwn

RESET = "reset_conversation"
"""The `action_id` of the buttons of rows; their value is the thread's key."""

TITLE_LENGTH = 70
_MARKS = str.maketrans({"*": "∗", "`": "'", "~": "∼", "|": "¦"})
"""mrkdwn has no escapes: what would format or end a title is put by its like."""


def section(text: str) -> dict[str, Any]:
    """A paragraph in Slack's own mrkdwn."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def conversation_row(
    conversation: Conversation,
    records: Sequence[Record],
    action_id: str = RESET,
    *,
    url: str = "",
) -> dict[str, Any]:
    """A conversation by its first question and its age, with a button to reset it.

    With `url`, the workspace's address, it also names the place and leads there.
    """
    title = _title(records)
    headline = escape_mrkdwn(title).translate(_MARKS)
    when = f"<!date^{int(conversation.created_at)}^{{date_short_pretty}} {{time}}|earlier>"
    button = {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": "Reset"},
        "value": conversation.thread.key,
        "accessibility_label": f"Reset the conversation: {title}"[:75],
    }
    if url:
        headline = f"<{permalink(url, conversation)}|{headline}>"
        when = f"{place(conversation.thread.channel_id)}, {when}"
    return section(f"*{headline}*\n{when}") | {"accessory": button}


def place(channel_id: str) -> str:
    """A channel as people know it; a direct message has no name that Slack would show."""
    return "direct message" if channel_id.startswith("D") else f"<#{channel_id}>"


def permalink(url: str, conversation: Conversation) -> str:
    """The address of a thread's root; `url` is the workspace's, as `auth.test` tells it."""
    thread = conversation.thread
    root = thread.thread_ts.replace(".", "")
    return f"{url.rstrip('/')}/archives/{thread.channel_id}/p{root}"


def _title(records: Sequence[Record]) -> str:
    asked = (record.text for record in records if record.role == "user")
    return plain(next(asked, ""), TITLE_LENGTH) or "(no text)"
