"""Descriptions of a message for the model."""

CUT = "[the rest is left out]"


def forwarded(author: str, where: str) -> str:
    """The heading of a forwarded message."""
    return _heading("Forwarded message", author, where)


def linked(author: str, where: str) -> str:
    """The heading of a message behind a link."""
    return _heading("Message behind the link", author, where)


QUOTED = ("[Forwarded message", "[Message behind the link", "://")
"""Marks of messages that contain text of another person or of a web page."""


def _heading(what: str, author: str, where: str) -> str:
    by = f" from {author}" if author else ""
    return f"[{what}{by}{f' ({where})' if where else ''}]"


def voice_clip(name: str, transcript: str) -> str:
    """A voice clip as Slack has transcribed it."""
    return f"[Voice clip {name or 'without a name'}, transcribed by Slack]\n{transcript}"


BARE_MENTION = "[mentions you without a word: this refers to the message above]"
NO_WORDS = "[sent a message without words]"
LATE_TRANSCRIPT = "[the transcript of the recording above, which Slack completed later]"
LATE_FILES = "[the files of the message above, which arrived after it]"
