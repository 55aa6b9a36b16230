"""`/bot-help`: what the bot can do."""

from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.texts import commands as texts


async def answer(ask: Ask) -> Answer:
    """The help text."""
    return {"text": f"*{texts.HELP_HEADING}*\n{texts.with_prefix(texts.HELP_TEXT, ask.prefix)}"}


COMMAND = Command("/bot-help", texts.HELP, answer, for_everyone=True)
