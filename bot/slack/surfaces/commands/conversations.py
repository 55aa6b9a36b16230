"""`/conversations`: lists, searches and resets a person's own conversations."""

from collections.abc import Sequence

from bot.models import Record
from bot.slack.blocks import actions, section
from bot.slack.markdown.escape import escape_mrkdwn
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.slack.surfaces.conversation_row import conversation_row
from bot.slack.surfaces.job_buttons import job_button
from bot.texts import commands as texts

LISTED = 10
SEARCHED = 200
"""Maximum number of conversations to search: Slack waits for only three seconds."""


async def answer(ask: Ask) -> Answer:
    """The newest conversations, or those that contain all words after the command."""
    words = ask.text.lower().split()
    recent = await ask.store.conversations.recent(ask.team_id, ask.user_id, limit=SEARCHED)
    visible = await ask.rights.visible(ask.user_id, recent)
    found = visible if words else visible[:LISTED]
    histories = await ask.store.conversations.histories([each.thread for each in found])
    pairs = [
        (conversation, records)
        for conversation, records in zip(found, histories, strict=True)
        if _holds(records, words)
    ]
    if not pairs:
        return {"text": texts.NONE_SUCH if words else texts.NONE}
    text = texts.conversations(ask.text.strip()[:100])
    reset_all = job_button(
        "reset_all", texts.RESET_ALL, confirm=texts.RESET_ALL_CONFIRM, danger=True
    )
    blocks = [
        section(f"*{escape_mrkdwn(text)}*"),
        *(conversation_row(*pair, url=ask.url) for pair in pairs[:LISTED]),
        actions(reset_all, job_button("export", texts.EXPORT)),
    ]
    return {"text": text, "blocks": blocks}


def _holds(records: Sequence[Record], words: Sequence[str]) -> bool:
    said = "\n".join(record.text for record in records).lower()
    return all(word in said for word in words)


COMMAND = Command(
    "/conversations", texts.CONVERSATIONS, answer, usage_hint=texts.CONVERSATIONS_HINT
)
