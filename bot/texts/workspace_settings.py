"""The settings of a workspace: the button in App Home and the form."""

from collections.abc import Sequence

HEADING = "Workspace settings"
ABOUT = "Instructions, model, admins, limits, retention and AI key, for all channels."
EDIT = "Edit settings"

TITLE = "Workspace settings"
INSTRUCTIONS = "Instructions"
INSTRUCTIONS_HINT = "For all channels, in addition to those of the bot's operator."
MODEL = "Model"
MODEL_HINT = "Empty: the operator's model. A channel may have another one."
ADMINS = "Admins of the bot"
ADMINS_HINT = "Besides the admins of the workspace."
SERVERS = "Tools"
SERVERS_HINT = "The servers whose tools the assistant may call in this workspace."
RETENTION = "Days until conversations are deleted"
LIMITS = {
    "person_requests": "Requests per person and minute",
    "person_tokens": "Tokens per person and day",
    "person_cost": "US dollars per person and month",
    "channel_requests": "Requests per channel and minute",
    "channel_tokens": "Tokens per channel and day",
    "channel_cost": "US dollars per channel and month",
}
KEY = "Your own AI server key"
KEY_HINT = "It is tested, encrypted, and never shown again. Empty: no change."
KEY_USE = "Key in use"
KEY_USES = {"keep": "No change", "remove": "The operator's: delete our own key"}
OWN_KEY = "This workspace uses its own key."
OPERATORS_KEY = "This workspace uses the operator's key."

ADMINS_ONLY = "Only admins of the workspace may change this."
CHANGED_MEANWHILE = "Someone else has changed these settings: close this form and open it again."
KEY_AND_REMOVAL = "Either enter a key or delete the current one."
KEY_SLOW = "The AI server did not answer in time. Nothing was saved: please try again."
NO_ENCRYPTION = "The operator of this bot has not set an encryption key."


def number_hint(most: str) -> str:
    return f"Empty: {most}, which the operator has set." if most else "Empty: no limit."


def not_a_number(least: str, most: str) -> str:
    return f"Enter a number from {least} to {most}." if most else f"Enter a number from {least}."


def key_refused(problem: str) -> str:
    return f"The key does not work, and nothing was saved: {problem[:100]}"


def summary(own: Sequence[str]) -> str:
    """The names of a workspace's own settings."""
    return f"Own: {', '.join(own)}." if own else "All values are the operator's."
