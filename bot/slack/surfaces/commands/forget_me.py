"""`/forget-me`: delete all that the bot keeps of a person; asked twice."""

from bot.slack.surfaces.blocks import section
from bot.slack.surfaces.commands.command import Answer, Ask, Command
from bot.slack.surfaces.job_buttons import errand_button

TEXT = (
    "I delete every conversation that you wrote in, here and on the AI server, and your feedback "
    "on answers, and take your name off the usage counts. What you wrote in Slack stays in Slack. "
    "This cannot be undone."
)


async def answer(_: Ask) -> Answer:
    """What would go, and the button that does it."""
    button = errand_button("forget_me", "Forget me", confirm=TEXT, danger=True)
    export = errand_button("export", "Export first")
    return {
        "text": TEXT,
        "blocks": [section(TEXT), {"type": "actions", "elements": [button, export]}],
    }


COMMAND = Command("/forget-me", "Delete everything the assistant keeps of you", answer)
