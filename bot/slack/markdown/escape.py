"""Escapes plain text for Slack's older markup. A small module: `web` needs no other one here."""

import re

BROADCAST = r"(?<![\w/])@(?=(?:channel|here|everyone|group)\b(?!/\w|/\Z))"
"""The @ of a group mention. Slack resolves it only with `link_names` or `parse=full`; it is broken
anyway. Package names (`@here/maps-api`) are not mentions."""
ZERO_WIDTH_SPACE = "\u200b"

_BROADCAST = re.compile(BROADCAST, re.IGNORECASE)


def escape_mrkdwn(text: str) -> str:
    """Plain text for a `mrkdwn` text: without links, mentions or notifications.

    Takes unescaped text. The text in Slack's events is already escaped.
    """
    return break_mentions(escape(text.replace("&", "&amp;")))


def escape(text: str) -> str:
    """Angle brackets as entities; `&` stays."""
    return text.replace("<", "&lt;").replace(">", "&gt;")


def break_mentions(text: str) -> str:
    """The text with an invisible character in group mentions."""
    return _BROADCAST.sub(f"@{ZERO_WIDTH_SPACE}", text)
