"""App Home."""

CONVERSATIONS = "Your conversations"
NONE = "None yet. Write to me under _Messages_, or mention me in a channel."
EXPORT = "Export my conversations"
FORGET_ME = "Forget me"
USAGE = "Your usage"
CHART = "Send me a chart"
ASKED = "Started: I will send you the result in a direct message."
YES = "Yes"
NO = "No"

CHANNELS = "Channel settings"
CHANNELS_ABOUT = "Instructions, model, follow-ups, and who may use me there."
CHOOSE_CHANNEL = "Choose a channel"
EDIT = "Edit"

RESET = "Reset"
DIRECT_MESSAGE = "direct message"
NO_TEXT = "(no text)"
NOT_ANSWERED = "(no answer yet)"


def date(epoch: float, otherwise: str) -> str:
    """A date in the reader's own time zone, as Slack's clients write it."""
    return f"<!date^{int(epoch)}^{{date_short_pretty}} {{time}}|{otherwise}>"


def reset_label(title: str) -> str:
    """The label of a Reset button for screen readers."""
    return f"Reset the conversation: {title}"
