"""Texts of the tools that read Slack, for the model, which passes them on to the person."""

NOT_A_LINK = "this is not a link to a message in Slack"
NOT_A_CANVAS = "this is not a link to a canvas in Slack"
MEMBERS_ONLY = "guests and people of other organizations cannot use this"
NOT_VISIBLE = "the person who asks cannot see it, or it does not exist"
ELSEWHERE = (
    "it is private: its content may be shown only in its own channel, or in a direct message with "
    "the person who asks. Suggest asking there"
)
NO_ACCESS = "the bot has no access to that channel: invite it there first"
EMPTY = "[no messages]"
NOTHING_FOUND = "[nothing found]"
TOO_OLD = (
    "Slack gives permission to search only shortly after a message to the bot, and only if the "
    "search is on and the app may use it. Suggest asking the question again"
)
SHARED = "in a channel that is shared with other organizations only that channel can be read"
DISABLED = "the search is turned off in this workspace; an admin can turn it on"
NO_SCOPE = "the app lacks the scope {scope}; an admin can add it and reinstall the app"
LATER = "Slack does not answer now, or limits the rate. Suggest trying again later"
TOO_LONG = "the query is too long"
NO_QUERY = "the query is empty"


def refused(code: str) -> str:
    """Slack refused with an unexpected code."""
    return f"Slack refused this ({code})"
