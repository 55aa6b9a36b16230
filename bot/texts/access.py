"""Texts for people who may not use the bot."""

GUEST = "it does not answer guests"
OUTSIDER = "it does not answer people of other workspaces"
PERSON = "you are not among those who may use it"
CHANNEL = "it may not be used in this channel"
TEAM = "it may not be used from your workspace"

DEACTIVATED = "your account is deactivated"

NOT_YOURS = "the conversation is not yours alone"
"""Another person started the conversation or wrote in it."""

UNKNOWN = "Slack did not say who you are"
"""Slack could not be asked in time."""

NOT_VISIBLE = "⚠️ You cannot see this conversation in Slack any more, so I leave it as it is."
ADMIN = "the person who runs this bot"
"""Used for an admin whose name is unknown."""


def refused(reason: str, whom: str) -> str:
    """Why the bot does not answer, and who can change that."""
    return f"⚠️ This bot cannot answer you: {reason}. To change that, ask {whom}."


def unknown() -> str:
    """Why nothing was done."""
    return "⚠️ Slack did not tell me who you are in time. Please try again."


def not_yours() -> str:
    """Why a shared conversation is not reset."""
    return (
        "⚠️ Several people take part in this conversation. Only the person who started it, the "
        "creator of the channel or an admin can reset it. To remove your own messages, delete "
        "them, or use `/forget-me`."
    )
