"""The one error of the local Slack: what Slack would answer with `ok: false`."""

from typing import Any


class SlackError(Exception):
    """`code` is Slack's own error code; `details` are further fields of the answer."""

    def __init__(self, code: str, **details: Any) -> None:
        super().__init__(code)
        self.code = code
        self.details = details


def invalid_arguments(*messages: str) -> SlackError:
    """Slack's answer to a wrong or missing argument, with its list of reasons."""
    reasons = [f"[ERROR] {message}" for message in messages]
    return SlackError("invalid_arguments", response_metadata={"messages": reasons})
