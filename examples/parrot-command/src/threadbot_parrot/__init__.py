"""/parrot: says it again, to its user only."""

from bot.slack.surfaces.commands.command import Answer, Ask, Command


async def answer(ask: Ask) -> Answer:
    """What the person wrote after the command."""
    return {"text": f"You said: {ask.text or 'nothing'}"}


COMMAND = Command("/parrot", "Say it again", answer, usage_hint="words")
