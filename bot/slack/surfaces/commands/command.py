"""The type of a slash command."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bot.calls import ToolSummary
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.store import Store


@dataclass(frozen=True, slots=True)
class Ask:
    """One use of a command: the person, the place, and the text after the command."""

    team_id: str
    channel_id: str
    user_id: str
    text: str
    store: Store
    people: People
    rights: Rights
    tools: ToolSummary
    url: str = ""
    """The workspace's address, `https://example.slack.com/`."""
    prefix: str = ""
    """The first part of the commands' names."""
    scopes: frozenset[str] | None = None
    """The scopes that the app has here, if known."""


Answer = dict[str, Any]
"""Arguments of Bolt's `ack`: `text`, and `blocks` if needed. Only the asker sees them."""


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command; `answer` has 3 seconds, Slack's limit for an acknowledgement."""

    name: str
    description: str
    answer: Callable[[Ask], Awaitable[Answer]]
    usage_hint: str = ""
    for_everyone: bool = False
    """Whether people who may not use the bot may use the command."""
