"""The settings of a channel: the form, and the summary in App Home."""

from collections.abc import Sequence

from bot.texts.home import date

TITLE = "Channel settings"
SAVE = "Save"
CANCEL = "Cancel"

INSTRUCTIONS = "Instructions"
INSTRUCTIONS_HINT = "Instructions for this channel, in addition to the general ones."
MODEL = "Model"
MODEL_HINT = "Without one: the model that answers everywhere."
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

ADMINS_ONLY = "Only admins may change this."
NOBODY_NAMED = "Name at least one person here, or choose above who else may use it."
CHANGED_MEANWHILE = "These settings were changed meanwhile: close this and open it again."

FOLLOW_UPS_SHORT = {
    "always": "answers every message",
    "one_person": "answers while one person talks",
    "mentions": "answers mentions only",
}
GUESTS_SHORT = "guests and other workspaces, too"
INSTRUCTIONS_SHORT = "own instructions"
DEFAULT = "as everywhere"

NAMED = 5
"""People who are named in the summary: a paragraph has room for 3,000 characters."""


def about(channel_id: str) -> str:
    """Above the form."""
    return f"*<#{channel_id}>*: what you save holds from the next message on."


def version(number: int, user_id: str, at: float) -> str:
    """Who made a version of the settings, and when."""
    return f"version {number} by <@{user_id}>, {date(at, 'then')}"


def people_short(user_ids: Sequence[str]) -> str:
    """Who alone may use the bot."""
    named = [f"<@{user_id}>" for user_id in user_ids[:NAMED]]
    if len(user_ids) > NAMED:
        named.append(f"{len(user_ids) - NAMED} more")
    return f"only {', '.join(named)}"
