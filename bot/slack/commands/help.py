"""`/bot-help`: what the bot can do."""

from bot.slack.commands.command import Answer, Ask, Command

TEXT = """*What I can do*
• Mention me in a channel, or write to me directly: I answer in the thread.
• In a thread that I am part of, just go on writing: no need to mention me again. \
Every thread is one conversation, and I remember it.
• Start afresh: write `reset` in the thread, choose _Reset conversation_ in the menu of any of its \
messages, or use `/reset` to choose from your recent conversations here."""


async def answer(_: Ask) -> Answer:
    """Say it."""
    return {"text": TEXT}


COMMAND = Command("/bot-help", "What the assistant can do", answer)
