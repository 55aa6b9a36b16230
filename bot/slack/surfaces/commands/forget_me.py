"""`/forget-me`: deletes everything that the bot stores about a person, after a confirmation."""

from bot.slack.blocks import actions, section
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.slack.surfaces.job_buttons import job_button
from bot.texts import commands as texts


async def answer(_: Ask) -> Answer:
    """The list of what will be deleted, and the button."""
    forget = job_button(
        "forget_me", texts.FORGET_ME_BUTTON, confirm=texts.FORGET_ME_TEXT, danger=True
    )
    export = job_button("export", texts.EXPORT_FIRST)
    return {
        "text": texts.FORGET_ME_TEXT,
        "blocks": [section(texts.FORGET_ME_TEXT), actions(forget, export)],
    }


COMMAND = Command("/forget-me", texts.FORGET_ME, answer, for_everyone=True)
