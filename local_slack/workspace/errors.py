"""The error of the local Slack: a response with `ok: false`."""

from typing import Any


class SlackError(Exception):
    """`code` is Slack's error code; `details` are further fields of the response."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def invalid_arguments(*messages: str) -> SlackError:
    """Slack's error for a wrong or missing argument, with its list of reasons."""
    reasons = [f"[ERROR] {message}" for message in messages]
    return SlackError("invalid_arguments", response_metadata={"messages": reasons})
