"""Notes about files that were not read or not sent."""

from collections.abc import Iterable

UNREADABLE = "a type of file that I cannot read"
UNHEARD = "a recording that I cannot listen to"
TOO_LARGE = "too large for me"
TOO_MANY = "too many files at once"
ELSEWHERE = "stored outside of Slack, where I cannot read it"
GONE = "no longer there"
NOT_SHARED = "its owner does not share it with me"
NO_SCOPE = (
    "Slack does not let me read it: the admin of this bot must reinstall the app with `files:read`"
)
NO_LUCK = "the download from Slack failed"
REFUSED = "the AI model does not accept it"
UNNAMED = "a file"


def partly(name: str) -> str:
    """A text file whose encoding was guessed."""
    return f"parts of {name or UNNAMED} (I am not sure of its encoding)"


def unread(files: Iterable[str]) -> str:
    """A note about files that were left out, each with the reason."""
    listed = ", ".join(files)
    return f"⚠️ I could not read {listed}." if listed else ""


def unattached(files: Iterable[str]) -> str:
    """A note about files of the model that could not be fetched."""
    listed = ", ".join(files)
    return f"⚠️ I could not attach {listed}." if listed else ""
