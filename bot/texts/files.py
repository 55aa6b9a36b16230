"""What is said of files that were not read or not sent."""

from collections.abc import Iterable

UNREADABLE = "not a kind of file that I know"
UNHEARD = "a recording that I cannot listen to"
TOO_LARGE = "too large for me"
TOO_MANY = "too many files at once"
ELSEWHERE = "kept outside of Slack, where I cannot get at it"
GONE = "no longer there"
NOT_SHARED = "its owner does not share it with me"
NO_SCOPE = (
    "Slack does not give it to me: the admin of this bot must re-install the app with `files:read`"
)
NO_LUCK = "Slack did not give it to me"
REFUSED = "the AI model does not take it"
UNNAMED = "a file"


def partly(name: str) -> str:
    """A text file in an encoding that could only be guessed."""
    return f"parts of {name or UNNAMED} (I am not sure of its encoding)"


def unread(files: Iterable[str]) -> str:
    """What is said of files that were left out: each with why."""
    listed = ", ".join(files)
    return f"⚠️ I could not read {listed}." if listed else ""


def unattached(files: Iterable[str]) -> str:
    """What is said of files that the model has made and that are lost."""
    listed = ", ".join(files)
    return f"⚠️ I could not attach {listed}." if listed else ""
