"""`/conversations`: a person's own threads with links; find them by words; reset them."""

from collections.abc import Sequence
from typing import Any

from bot.models import Record
from bot.slack.markdown.render import escape_mrkdwn
from bot.slack.surfaces.blocks import conversation_row, section
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.slack.surfaces.job_buttons import errand_button

LISTED = 10
SEARCHED = 200
"""Conversations whose record is looked through for words: Slack waits for three seconds only."""

NONE = "You have no conversation with me yet. Mention me in a channel, or write to me directly."
NONE_SUCH = "None of your conversations holds these words."
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
    histories = await ask.store.conversations.histories([each.thread for each in found])
    pairs = [
        (conversation, records)
        for conversation, records in zip(found, histories, strict=True)
        if _holds(records, words)
    ]
    if not pairs:
        return {"text": NONE_SUCH if words else NONE}
    text = "Your conversations" + (f" with “{ask.text.strip()[:100]}”" if words else "")
    blocks: list[dict[str, Any]] = [section(f"*{escape_mrkdwn(text)}*")]
    blocks += [conversation_row(*pair, url=ask.url) for pair in pairs[:LISTED]]
    reset_all = errand_button("reset_all", "Reset all", confirm=CONFIRM_RESET_ALL, danger=True)
    blocks.append({"type": "actions", "elements": [reset_all, errand_button("export", "Export")]})
    return {"text": text, "blocks": blocks}


def _holds(records: Sequence[Record], words: Sequence[str]) -> bool:
    said = "\n".join(record.text for record in records).lower()
    return all(word in said for word in words)


COMMAND = Command(
    "/conversations", "Your conversations with the assistant", answer, usage_hint="[words]"
)
