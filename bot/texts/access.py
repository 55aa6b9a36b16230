"""What people are told who may not use the bot."""

GUEST = "it does not answer guests"
OUTSIDER = "it does not answer people of other workspaces"
PERSON = "you are not among those who may use it"
CHANNEL = "it may not be used in this channel"
TEAM = "it may not be used from your workspace"

ADMIN = "the person who runs this bot"
"""Whom to ask where no admin is known by name."""


def refused(reason: str, whom: str) -> str:
    """Why the bot does not answer, and whom to ask."""
    return f"⚠️ This bot cannot answer you: {reason}. To change that, ask {whom}."
