"""`/reset`: Slack allows no commands in threads, so the person chooses the conversation."""

from typing import Any

from bot.models import Conversation
from bot.slack.commands.command import Answer, Ask, Command
from bot.slack.markdown.render import escape_mrkdwn

ACTION = "reset_conversation"
"""The `action_id` of the buttons; their value is the thread's key."""

OFFERED = 5
NONE = (
    "You have no conversation with me here yet. Inside a thread, write `reset`, or choose "
    "_Reset conversation_ in the menu of one of its messages."
)


async def answer(ask: Ask) -> Answer:
    """Offer the person's most recent conversations of this channel, each with a button."""
    recent = await ask.store.conversations.recent(
        ask.team_id, ask.user_id, channel_id=ask.channel_id, limit=OFFERED
    )
    if not recent:
        return {"text": NONE}
    text = "Which conversation shall I forget?"
    blocks: list[dict[str, Any]] = [section(text)]
    for conversation in recent:
        history = await ask.store.conversations.history(conversation.thread)
        blocks.append(conversation_row(conversation, history[0].text if history else ""))
    return {"text": text, "blocks": blocks}


def section(text: str) -> dict[str, Any]:
    """A paragraph in Slack's own mrkdwn."""
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def conversation_row(
    conversation: Conversation,
    first_words: str,
    action_id: str = ACTION,
    *,
    place: bool = False,
    link: str = "",
) -> dict[str, Any]:
    """A conversation by its first words and its age, with a button to reset it.

    With `place` it names the channel, with `link` it leads to the thread.
    """
    title = " ".join(first_words.split())[:70] or "(no text)"
    when = f"<!date^{int(conversation.created_at)}^{{date_short_pretty}} {{time}}|earlier>"
    button = {
        "type": "button",
        "action_id": action_id,
        "text": {"type": "plain_text", "text": "Reset"},
        "value": conversation.thread.key,
        "accessibility_label": f"Reset the conversation: {title}"[:75],
    }
    where = f"<#{conversation.thread.channel_id}>, " if place else ""
    headline = escape_mrkdwn(title)
    if link:
        headline = f"<{link}|{headline.replace('|', '¦')}>"
    return section(f"*{headline}*\n{where}{when}") | {"accessory": button}


COMMAND = Command("/reset", "Forget a conversation of yours and start afresh", answer)
