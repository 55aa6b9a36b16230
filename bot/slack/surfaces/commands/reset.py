"""`/reset`: Slack allows no commands in threads, so the person chooses the conversation."""

from bot.slack.surfaces.blocks import conversation_row, section
from bot.slack.surfaces.commands.command import Answer, Ask, Command

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
    histories = await ask.store.conversations.histories([each.thread for each in recent])
    rows = map(conversation_row, recent, histories)
    return {"text": text, "blocks": [section(text), *rows]}


COMMAND = Command("/reset", "Forget a conversation of yours and start afresh", answer)
