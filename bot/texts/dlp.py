"""Texts about what may not be sent to the AI service."""

REFUSED = "dlp"
"""The reason of RunFailed for a text that may not be sent; its `detail` says what it contains."""

UNAVAILABLE = (
    "⏳ Messages are checked before they go to the AI service, and that check is unavailable right "
    "now. I keep trying and will answer as soon as it is back."
)
NOT_SENT = "⚠️ I did not send this to the AI service: it contains "
WITHHELD = "[withheld: this text may not be sent to the AI service]"
"""What the model reads instead of a line of an earlier conversation."""
WITHHELD_OUTPUT = "The output of this tool may not be sent to you: it contains protected data."
"""What the model reads instead of an output."""


def refused(what: str) -> str:
    """Why a question was not sent. `what` names what it contains."""
    return (
        f"{NOT_SENT}{what}. Please remove that, and ask again. "
        "If you think this is a mistake, ask the person who runs this bot."
    )
