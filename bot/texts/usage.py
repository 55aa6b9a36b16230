"""Texts of `/usage` and App Home about tokens and money."""

DESCRIPTION = "What you have used, today and this month"
HEADING = "*Your usage*"
CHART = "Send me a chart"
TEAM_CHART = "Send me a chart of the workspace"
NOTHING = "nothing yet"
FORGOTTEN = "people who asked to be forgotten"
CHANNELS = "Channels"
PEOPLE = "People"


def top(title: str) -> str:
    """The heading of a ranking."""
    return f"*{title}, this month*"


def own(today: str, month: str) -> str:
    """A person's own sums."""
    return f"Today: {today}\nThis month: {month}"


def answers(count: int) -> str:
    """How many answers."""
    return "1 answer" if count == 1 else f"{count:,} answers"
