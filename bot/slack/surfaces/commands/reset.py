"""`/reset`: Slack allows no commands in threads, so the person chooses the conversation."""

from bot.slack.blocks import section
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.slack.surfaces.conversation_row import conversation_row
from bot.texts import commands as texts

OFFERED = 5


async def answer(ask: Ask) -> Answer:
    """The person's most recent conversations of this channel, each with a Reset button."""
    found = await ask.store.conversations.recent(
        ask.team_id, ask.user_id, channel_id=ask.channel_id, limit=OFFERED
    )
    recent = await ask.rights.visible(ask.user_id, found)
    if not recent:
        return {"text": texts.RESET_NONE}
    histories = await ask.store.conversations.histories([each.thread for each in recent])
    rows = map(conversation_row, recent, histories)
    return {"text": texts.RESET_WHICH, "blocks": [section(texts.RESET_WHICH), *rows]}


COMMAND = Command("/reset", texts.RESET, answer)
