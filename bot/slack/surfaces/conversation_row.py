"""A person's conversation as a row with a Reset button, and links to its thread."""

from collections.abc import Sequence

from bot.models import Conversation, Record
from bot.slack.blocks import Block, button, section
from bot.slack.markdown.escape import escape_mrkdwn
from bot.texts import home as texts

RESET = "reset_conversation"
"""The `action_id` of the buttons of rows; their value is the thread's key."""

TITLE_LENGTH = 70
_MARKS = str.maketrans({"*": "∗", "`": "'", "~": "∼", "|": "¦"})
"""mrkdwn has no escapes: characters that would format or end a title are replaced by similar
ones."""


def conversation_row(
    conversation: Conversation,
    records: Sequence[Record],
    action_id: str = RESET,
    *,
    url: str = "",
) -> Block:
    """A conversation by its first question and its age, with a button to reset it.

    With `url`, the workspace's address, it also names the channel and links to the thread.
    """
    title = _title(records)
    headline = escape_mrkdwn(title).translate(_MARKS)
    when = texts.date(conversation.created_at, "earlier")
    reset = button(
        texts.RESET,
        action_id,
        conversation.thread.key,
        accessibility_label=texts.reset_label(title),
    )
    if url:
        headline = f"<{permalink(url, conversation)}|{headline}>"
        when = f"{place(conversation.thread.channel_id)}, {when}"
    return section(f"*{headline}*\n{when}", reset)


def place(channel_id: str) -> str:
    """The display name of a channel; a direct message has none in Slack."""
    return texts.DIRECT_MESSAGE if channel_id.startswith("D") else f"<#{channel_id}>"


def permalink(url: str, conversation: Conversation) -> str:
    """The address of a thread's root; `url` is the workspace's, from `auth.test`."""
    thread = conversation.thread
    root = thread.thread_ts.replace(".", "")
    return f"{url.rstrip('/')}/archives/{thread.channel_id}/p{root}"


def _title(records: Sequence[Record]) -> str:
    if not records:  # its first turn is under way, or waits for an approval
        return texts.NOT_ANSWERED
    from bot.slack.markdown.plain import plain  # large, and not needed for messages

    asked = (record.text for record in records if record.role == "user")
    return plain(next(asked, ""), TITLE_LENGTH) or texts.NO_TEXT
