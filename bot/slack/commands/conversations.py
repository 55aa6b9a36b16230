"""`/conversations`: a person's own threads with links; find them by words; reset them."""

from typing import Any

from bot.models import Conversation
from bot.slack.commands.command import Answer, Ask, Command
from bot.slack.commands.reset import conversation_row, section
from bot.slack.errands import errand_button

LISTED = 10
SEARCHED = 200
"""Conversations whose record is looked through for words: Slack waits for three seconds only."""

CONFIRM_RESET_ALL = (
    "I forget all conversations that you wrote in. Their threads stay in Slack; the next message "
    "in each starts afresh."
)


async def answer(ask: Ask) -> Answer:
    """The newest conversations, or with words behind the command those that hold all of them."""
    words = ask.text.lower().split()
    found = await ask.store.conversations.recent(
        ask.team_id, ask.user_id, limit=SEARCHED if words else LISTED
    )
    texts = await ask.store.conversations.texts([conversation.thread for conversation in found])
    pairs = [
        (conversation, lines)
        for conversation, lines in zip(found, texts, strict=True)
        if all(word in "\n".join(lines).lower() for word in words)
    ]
    if not pairs:
        return {"text": "I know of no such conversation of yours."}
    text = "Your conversations" + (f" with “{ask.text.strip()}”" if words else "")
    blocks: list[dict[str, Any]] = [section(f"*{text}*")]
    for conversation, lines in pairs[:LISTED]:
        link = permalink(ask.url, conversation)
        first = lines[0] if lines else ""
        blocks.append(conversation_row(conversation, first, place=True, link=link))
    reset_all = errand_button("reset_all", "Reset all", confirm=CONFIRM_RESET_ALL, danger=True)
    blocks.append({"type": "actions", "elements": [reset_all, errand_button("export", "Export")]})
    return {"text": text, "blocks": blocks}


def permalink(url: str, conversation: Conversation) -> str:
    """The address of a thread's root; `url` is the workspace's, as `auth.test` tells it."""
    thread = conversation.thread
    root = thread.thread_ts.replace(".", "")
    return f"{url.rstrip('/')}/archives/{thread.channel_id}/p{root}"


COMMAND = Command(
    "/conversations", "Your conversations with the assistant", answer, usage_hint="[words]"
)
