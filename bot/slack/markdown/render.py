"""From the model's Markdown to messages for Slack. Pure: no network, no clock.

    for part in parts(render(answer, citations)):
        post(blocks=blocks(part.text), text=fallback(part.text))

Everything is sent as Slack's own `markdown` block, which renders standard Markdown: headings,
nested lists, tables, task lists, fenced code, quotes, links.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, TypeVarTuple

from bot.slack.markdown.clean import clean
from bot.slack.markdown.elements import flatten
from bot.slack.markdown.escape import escape_mrkdwn
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.plain import plain
from bot.slack.markdown.sanitize import defuse, sanitize
from bot.slack.markdown.sources import Citation, with_sources
from bot.slack.markdown.split import LIMIT, Part, join, parts

__all__ = [
    "LIMIT",
    "Citation",
    "Part",
    "blocks",
    "clean",
    "escape_mrkdwn",
    "fallback",
    "in_thread",
    "join",
    "parts",
    "render",
    "render_in_thread",
    "sanitize",
    "with_sources",
]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

SLACK_LIMIT = 12_000
"""Maximum characters of all `markdown` blocks of a payload, by Slack's reference."""
SHORT = 4000
"""Longer answers are rendered in a thread; shorter ones take only a few milliseconds."""
NO_TEXT = "(an answer without text)"


def render(answer: str, citations: Sequence[Citation] = ()) -> str:
    """The model's answer with its sources, as Markdown that is safe to post in Slack."""
    return sanitize(flatten(clean(with_sources(answer, citations))))


async def render_in_thread(answer: str, citations: Sequence[Citation] = ()) -> str:
    """Like `render`, without blocking the event loop for a long answer."""
    return await in_thread(render, answer, citations)


async def in_thread(function: Callable[[str, *Ts], T], text: str, *more: *Ts) -> T:
    """Call a function of this package; in a thread if the text is long."""
    if len(text) < SHORT:
        return function(text, *more)
    return await asyncio.to_thread(function, text, *more)


def blocks(text: str) -> list[dict[str, Any]]:
    """The text of one part as Block Kit.

    Always sanitized here, whatever was cut or joined before. Text of `render` is unchanged, except
    code that lost its other end in a cut; if that gets too long, only control sequences are broken.
    """
    safe = sanitize(text)
    return [{"type": "markdown", "text": safe if size(safe) <= SLACK_LIMIT else defuse(text)}]


def fallback(markdown: str, limit: int = 250) -> str:
    """The plain text beside the blocks, for notifications and screen readers; never empty.

    At most `limit` visible characters, escaped for Slack's `text` field.
    """
    return escape_mrkdwn(plain(markdown, limit)) or NO_TEXT
