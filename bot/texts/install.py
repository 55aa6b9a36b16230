"""The pages for people who install the bot into their workspace."""

ADD = "Add to Slack"
ABOUT = (
    "Slack asks you to confirm what the bot may do. After that it answers direct messages, and "
    "mentions in its channels."
)
INSTALLED = "Installed"
OPEN = "Open in Slack"
NOT_INSTALLED = "Not installed"
TRY_AGAIN = "Start again"

CANCELLED = "You cancelled the installation, or Slack did not allow it."
STALE = (
    "This link is not valid here: it has expired, was used before, or belongs to another browser."
)
CODE_REFUSED = "Slack does not accept the code of this installation. It may have been used before."
SLACK_DOWN = "Slack does not answer at the moment. Please try again in a minute."
STORE_DOWN = "The bot cannot store the installation at the moment. Please try again in a minute."
NOT_ALLOWED = "The operator of this bot does not allow it in this workspace."
BUSY = "Too many installations at once. Please try again in a minute."
REMOVED = "The bot was removed from the workspace while it was being installed."


def installed_in(name: str) -> str:
    return f"The bot is now in {name}. Invite it to a channel, or write it a direct message."
