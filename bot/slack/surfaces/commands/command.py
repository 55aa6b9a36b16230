"""What a slash command is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from bot.slack.people import People
from bot.slack.rights import Rights
from bot.store import Store


@dataclass(frozen=True, slots=True)
class Ask:
    """One use of a command: who asked, where, with what words behind the command."""

    team_id: str
    channel_id: str
    user_id: str
    text: str
    store: Store
    people: People
    rights: Rights
    url: str = ""
    """The workspace's address, `https://example.slack.com/`."""


Answer = dict[str, Any]
"""Arguments of Bolt's `ack`: `text`, and `blocks` if need be. Only the asker sees it."""


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command; `answer` has 3 seconds, Slack's limit for an acknowledgement."""

    name: str
    description: str
    answer: Callable[[Ask], Awaitable[Answer]]
    usage_hint: str = ""
    for_everyone: bool = False
    """Also for people who may not use the bot."""
