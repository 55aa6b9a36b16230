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
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _BROADCAST.sub(f"@{ZERO_WIDTH_SPACE}", escaped)
