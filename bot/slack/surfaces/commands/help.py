"""`/bot-help`: what the bot can do."""

from bot.slack.surfaces.commands.command import Answer, Ask, Command

HEADING = "What I can do"
TEXT = """\
• *Ask*: mention me in a channel, or write to me directly; I answer in the thread. Called in the \
middle of a thread, I read what was said before.
• *Go on*: every thread is one conversation. Just write, and mention me again once others join in.
• *Files*: attach images, PDF, documents, text or code, and I read them.
• *Stop*: write `stop`, or press Stop. Edit your question, and I offer to answer it again; delete \
a message, and I forget it.
• *Start afresh*: write `reset` in the thread, choose _Reset conversation_ in the menu of one of \
its messages, or use `/reset`.
• *Keep house*: `/conversations` finds, resets and exports your conversations, `/usage` shows what \
you spent, `/forget-me` deletes all that I keep of you."""


async def answer(_: Ask) -> Answer:
    """Say it."""
    return {"text": f"*{HEADING}*\n{TEXT}"}


COMMAND = Command("/bot-help", "What the assistant can do", answer)
