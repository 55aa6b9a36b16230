"""Slack's wire format of text, and plain text for the model. Pure.

https://docs.slack.dev/messaging/formatting-message-text: `&`, `<` and `>` are escaped, and
references are written in angle brackets: `<@U1>`, `<#C1|general>`, `<!here>`, `<https://host|label>`.
"""

import re
from datetime import UTC, datetime

REFERENCE = re.compile(r"<([^<>\s|][^<>|]*)(?:\|([^<>]*))?>")

_SCHEME = re.compile(r"^(?:https?://|mailto:|tel:)")
_NUMBER = re.compile(r"[\d\s()+./-]+")


def parse_text(wire: str) -> str:
    """Plain text: references spelled out, entities unescaped once."""
    return unescape(REFERENCE.sub(_spell_out, wire)).strip()


def escape(plain: str) -> str:
    """Plain text in wire format. Text that Slack has already escaped is unchanged."""
    text = unescape(plain)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unescape(wire: str) -> str:
    """Decode the three entities that Slack uses; others, such as `&copy`, were typed by a
    person."""
    return wire.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _spell_out(match: re.Match[str]) -> str:
    target, label = match[1], match[2]
    if target[0] == "@":
        return f"@{label or target[1:]}"
    if target[0] == "#":
        return f"#{label or target[1:]}"
    if target[0] == "!":
        return label or _special(target[1:])
    return _link(target, label or "")


def _special(target: str) -> str:
    """`@here`, `@channel`, the id of a user group (`subteam^S1`), or a date (`date^0^{date}`)."""
    name, _, argument = target.partition("^")
    first = argument.split("^")[0]
    if name == "date":
        return _date(first)
    return f"@{first or name if name == 'subteam' else name}"


def _date(seconds: str) -> str:
    try:
        when = datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return seconds
    return f"{when:%Y-%m-%d %H:%M} UTC"


def _link(target: str, label: str) -> str:
    """A link as it was typed: Slack turns `README.md`, addresses and phone numbers into links."""
    address = _SCHEME.sub("", target)
    if not label or label == target:
        return target if target.startswith("http") else address
    if label.rstrip("/").casefold() in (address.rstrip("/").casefold(), target.casefold()):
        return label
    if target.startswith("tel:") and _NUMBER.fullmatch(label):
        return label
    return f"{label} ({address if target.startswith('mailto:') else target})"
