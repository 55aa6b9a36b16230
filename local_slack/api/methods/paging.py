"""Cursors, as all listing methods of the Web API use them."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any, TypeVar

from local_slack.api.arguments import Arguments
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json

Item = TypeVar("Item")
MAX_LIMIT = 1_000


def page(items: Sequence[Item], args: Arguments, default: int = 100) -> tuple[list[Item], Json]:
    """The page that `cursor` and `limit` ask for, and its `response_metadata`."""
    limit = args.integer("limit", default)
    if not 0 < limit <= max(MAX_LIMIT, default):
        raise SlackError("invalid_limit")
    start = _start(args.get("cursor"))
    end = start + limit
    cursor = _cursor(end) if end < len(items) else ""
    return list(items[start:end]), {"response_metadata": {"next_cursor": cursor}}


def _cursor(position: int) -> str:
    return base64.urlsafe_b64encode(f"next:{position}".encode()).decode()


def _start(cursor: str | None) -> int:
    if not cursor:
        return 0
    try:
        word, _, position = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if word != "next":
            raise ValueError(cursor)
        return int(position)
    except (ValueError, binascii.Error):
        raise SlackError("invalid_cursor") from None


def has_more(metadata: Json) -> Any:
    return bool(metadata["response_metadata"]["next_cursor"])
