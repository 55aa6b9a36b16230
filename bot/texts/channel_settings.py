"""The settings of a channel: the form, and the summary in App Home."""

from collections.abc import Sequence

from bot.texts.home import date

TITLE = "Channel settings"
SAVE = "Save"
CANCEL = "Cancel"

INSTRUCTIONS = "Instructions"
INSTRUCTIONS_HINT = "Instructions for this channel, in addition to the general ones."
MODEL = "Model"
MODEL_HINT = "Empty: the deployment's model."
MODEL_DEFAULT = "The deployment's model"
FOLLOW_UPS = "Messages without a mention"
FOLLOW_UPS_CHOICES = {
    "": "As in other channels",
    "always": "Answer every message in its threads",
    "one_person": "Answer without a mention while one person talks",
    "mentions": "Answer only when mentioned",
}
USERS = "Who may use the bot"
USERS_CHOICES = {
    "members": "Everyone in the workspace",
    "guests": "Guests and other workspaces, too",
    "people": "Only the people named below",
}
PEOPLE = "Named people"
PEOPLE_HINT = "These people may use the bot even as guests or from another workspace."
APPROVERS = "Approvers"
APPROVERS_HINT = "They may approve tool calls here, as may the person who asked."
SERVERS = "Tools"
SERVERS_HINT = "The servers whose tools the assistant may call in this channel."

ADMINS_ONLY = "Only admins may change this."
NOBODY_NAMED = "Name at least one person here, or choose another option above."
CHANGED_MEANWHILE = "Someone else has changed these settings: close this form and open it again."

FOLLOW_UPS_SHORT = {
    "always": "answers every message",
    "one_person": "answers while one person talks",
    "mentions": "answers mentions only",
}
GUESTS_SHORT = "guests and other workspaces, too"
INSTRUCTIONS_SHORT = "own instructions"
DEFAULT = "default settings"

NAMED = 5
"""The number of people named in the summary: a paragraph is limited to 3,000 characters."""


def about(channel_id: str) -> str:
    """The text above the form."""
    return f"*<#{channel_id}>*: changes apply from the next message on."


def version(number: int, user_id: str, at: float) -> str:
    """The author and time of a version."""
    return f"version {number} by <@{user_id}>, {date(at, 'then')}"


def approvers_short(user_ids: Sequence[str]) -> str:
    """A summary of the channel's approvers of tool calls, or ""."""
    return f"approvers: {_people(user_ids)}" if user_ids else ""


def servers_short(names: Sequence[str]) -> str:
    """Which servers are turned off; "" for none."""
    return f"without the tools of {', '.join(names)}" if names else ""


def people_short(user_ids: Sequence[str]) -> str:
    """A summary of the only people who may use the bot."""
    return f"only {_people(user_ids)}"


def _people(user_ids: Sequence[str]) -> str:
    named = [f"<@{user_id}>" for user_id in user_ids[:NAMED]]
    if len(user_ids) > NAMED:
        named.append(f"{len(user_ids) - NAMED} more")
    return ", ".join(named)
