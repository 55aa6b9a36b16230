"""Typed text: resolves mentions, and builds the `rich_text` block that Slack adds."""

import re
from typing import Any

from local_slack.workspace.model import Json

_TOKEN = re.compile(
    r"<@(?P<user>[UW][A-Z0-9]+)(?:\|[^>]*)?>"
    r"|<#(?P<channel>[CG][A-Z0-9]+)(?:\|[^>]*)?>"
    r"|<!(?P<range>here|channel|everyone)(?:\|[^>]*)?>"
    r"|<(?P<link>https?://[^>|\s]+)(?:\|(?P<label>[^>]*))?>"
)
_BARE_LINK = re.compile(r"(?<![<|\w])https?://[^\s<>|]+")
_CONTROL = re.compile(
    r"&lt;(@[UW][A-Z0-9]+|#[CG][A-Z0-9]+|!(?:here|channel|everyone)|https?://[^\s|&]+)&gt;"
)
_FENCE = re.compile(r"```\n?(.+?)\n?```", re.DOTALL)
_CODE = re.compile(r"(?<![\w`])`([^`\n]+)`(?![\w`])")
_PING = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^>]*)?>|<!(here|channel|everyone|subteam\^\w+)[^>]*>")


def typed(text: str, names: dict[str, str]) -> str:
    """Text as Slack stores it: "@name" and "<@name>" become "<@U…>", `& < >` are escaped."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _CONTROL.sub(r"<\1>", text)
    for name, user_id in sorted(names.items(), key=lambda pair: -len(pair[0])):
        escaped = re.escape(name)
        mention = rf"&lt;@{escaped}&gt;|(?<![\w<@])@{escaped}(?![\w-])"
        text = re.sub(mention, f"<@{user_id}>", text)
    return _BARE_LINK.sub(lambda link: f"<{link.group()}>", text)


def find_links(text: str) -> list[str]:
    return [match["link"] for match in _TOKEN.finditer(text) if match["link"]]


def find_mentions(text: str) -> list[str]:
    """The user ids that the text mentions, in order."""
    return [match["user"] for match in _TOKEN.finditer(text) if match["user"]]


def find_pings(content: Any) -> list[str]:
    """Everyone that a text or blocks would notify: user ids, "here", "channel", "everyone".

    Control sequences count in every text, including `markdown` blocks: the stricter reading.
    """
    if isinstance(content, str):
        return [match[1] or match[2] for match in _PING.finditer(content)]
    if isinstance(content, list):
        return [ping for item in content for ping in find_pings(item)]
    if not isinstance(content, dict):
        return []
    if content.get("type") == "user":
        return [content["user_id"]]
    if content.get("type") == "broadcast":
        return [content["range"]]
    return find_pings(list(content.values()))


def rich_text_block(text: str, block_id: str) -> Json:
    """The block of a typed text, with its code in three or in single backticks."""
    parts: list[Json] = []
    for number, part in enumerate(_FENCE.split(text)):
        if number % 2:
            parts.append({"type": "rich_text_preformatted", "elements": _elements(part)})
        elif part.strip("\n") or part == text:
            kept = part if part == text else part.strip("\n")
            parts.append({"type": "rich_text_section", "elements": _with_code(kept)})
    return {"type": "rich_text", "block_id": block_id, "elements": parts}


def _with_code(text: str) -> list[Json]:
    elements: list[Json] = []
    for number, part in enumerate(_CODE.split(text)):
        if number % 2:
            code = {"type": "text", "text": unescape(part), "style": {"code": True}}
            elements.append(code)
        else:
            elements += _elements(part)
    return elements


def _elements(text: str) -> list[Json]:
    elements: list[Json] = []
    position = 0
    for match in _TOKEN.finditer(text):
        if match.start() > position:
            elements.append({"type": "text", "text": unescape(text[position : match.start()])})
        elements.append(_element(match))
        position = match.end()
    if position < len(text):
        elements.append({"type": "text", "text": unescape(text[position:])})
    return elements


def _element(match: re.Match[str]) -> Json:
    if match["user"]:
        return {"type": "user", "user_id": match["user"]}
    if match["channel"]:
        return {"type": "channel", "channel_id": match["channel"]}
    if match["range"]:
        return {"type": "broadcast", "range": match["range"]}
    link: Json = {"type": "link", "url": match["link"]}
    return link | {"text": match["label"]} if match["label"] else link


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
