"""The status that Slack shows after the bot's name."""

THINKING = "is thinking…"
WAITING = "is busy: your message waits its turn…"
RESUMING = "is picking this up again…"
TRYING_AGAIN = "is trying again…"
RETRYING = "is waiting to try again…"
NO_WORKER = "is offline: your message is kept and will be answered…"


def queued(count: int) -> str:
    """Messages wait behind the answer in progress."""
    return f"is answering… queued ({count})"
