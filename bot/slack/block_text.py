"""Block Kit as text in Slack's wire format (see `bot.slack.text`). Pure.

https://docs.slack.dev/reference/block-kit. Rich text lists, tables and buttons keep their layout;
from any other block, known or not, the texts are taken in order. Any shape is tolerated: malformed
parts have no text.
"""

import re
from collections.abc import Iterator
from typing import Any

from bot.models import well_formed
from bot.slack.payload import Payload
from bot.slack.text import escape

DEEPEST = 12
"""Levels of nesting that are read; Slack's own blocks have fewer than six."""

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_READABLE = frozenset(
    {
        *("text", "title", "subtitle", "description", "body", "label", "hint", "caption"),
        *("alt_text", "author_name", "provider_name", "details", "output", "fallback"),
        *("content", "header", "summary", "message", "name", "markdown"),
        "initial_value",
    }
)
"""Keys whose strings people see."""
_UNSEEN = frozenset({"confirm", "filter", "style", "options", "option_groups", "metadata", "icon"})
_CHOICES = frozenset({"checkboxes", "radio_buttons"})
"""Elements whose options are always visible. Those of menus are not."""
_SILENT = frozenset({"divider", "context_actions"})
_BAR = re.compile(r"(<[^<>]*>)|\|")
_LINKS = ("title_url", "url", "join_url")


def block_lines(blocks: Any, depth: int = 0) -> list[str]:
    """The text of each block that has one."""
    return [text for block in dicts(blocks) if (text := block_text(block, depth))]


def block_text(block: Payload, depth: int = 0) -> str:
    """The text of one block or element."""
    if depth > DEEPEST:
        return ""
    kind = block.get("type")
    kind = kind if isinstance(kind, str) else ""
    if kind in _SILENT:
        return ""
    if kind.startswith("rich_text"):
        return rich_text(block, depth)
    if kind == "image":
        return _image(block)
    if kind == "button":
        return _button(block, depth)
    if kind == "mrkdwn":
        return string(block.get("text")).strip()
    if kind in _CHOICES:
        return "\n".join(_choices(block, depth))
    if is_table(block):
        return "\n".join([*_texts(block, depth), *_table(block["rows"], depth)])
    return "\n".join(_texts(block, depth))


def is_table(block: Payload) -> bool:
    """Whether the layout of a block is part of its meaning."""
    return isinstance(block.get("rows"), list)


def _texts(value: Any, depth: int) -> Iterator[str]:
    """All visible texts of a block, in order."""
    if depth > DEEPEST:
        return
    if _is_point(value):
        yield f"{escape(string(value.get('label')))}: {string(value['value'])}"
        return
    for key, part in value.items():
        if key in _UNSEEN or key == "rows":
            continue
        if isinstance(part, str) and key in _READABLE and part.strip():
            yield escape(string(part).strip())
        elif isinstance(part, str) and key in _LINKS and part.strip():
            yield link(string(part).strip())
        elif isinstance(part, dict) and (text := block_text(part, depth + 1)):
            yield text
        elif isinstance(part, list):
            texts = (string(item).strip() for item in part if key in _READABLE and _has_text(item))
            yield from map(escape, texts)
            yield from block_lines(part, depth + 1)


def _is_point(value: Payload) -> bool:
    """Whether it is one value of a chart."""
    return isinstance(value.get("value"), int | float) and bool(string(value.get("label")))


def _choices(block: Payload, depth: int) -> Iterator[str]:
    chosen = [block.get("initial_option"), *items(block.get("initial_options"))]
    for option in dicts(block.get("options")):
        text = "\n".join(_texts(option, depth + 1)).replace("\n", " – ")
        yield f"{'☑' if option in chosen else '☐'} {text}"


def _has_text(item: Any) -> bool:
    return isinstance(item, str) and bool(item.strip())


def _button(block: Payload, depth: int) -> str:
    label = block.get("text")
    text = block_text(label, depth + 1) if isinstance(label, dict) else escape(string(label))
    url = string(block.get("url"))
    return link(url, f"[{text}]") if url and text else f"[{text}]" if text else ""


def _image(block: Payload) -> str:
    title = block.get("title")
    text = string(title.get("text")) if isinstance(title, dict) else string(title)
    label = " – ".join(dict.fromkeys(filter(None, (text, string(block.get("alt_text"))))))
    url = string(block.get("image_url"))
    return link(url, f"image: {label}" if label else "image") if url else escape(label)


def _table(rows: list[Any], depth: int) -> Iterator[str]:
    for row in rows:
        cells = row if isinstance(row, list) else row.get("cells") if isinstance(row, dict) else ()
        texts = [_in_cell(_cell(cell, depth + 1)) for cell in items(cells)]
        if any(texts):
            yield f"| {' | '.join(texts)} |"


def _in_cell(text: str) -> str:
    """In one line, with the bars that do not belong to a reference escaped."""
    return _BAR.sub(lambda found: found[1] or "\\|", " ".join(text.split()))


def _cell(cell: Any, depth: int) -> str:
    if isinstance(cell, dict):
        return block_text(cell, depth) or escape(string(cell.get("value")))
    return escape(string(cell))


def rich_text(block: Payload, depth: int = 0) -> str:
    """https://docs.slack.dev/reference/block-kit/blocks/rich-text-block."""
    if depth > DEEPEST:
        return ""
    kind, elements = block.get("type"), dicts(block.get("elements"))
    if kind == "rich_text":
        return "\n".join(filter(None, (rich_text(part, depth + 1) for part in elements)))
    if kind == "rich_text_list":
        return "\n".join(_list_lines(block, elements, depth))
    inline = "".join(_inline(part, depth + 1) for part in elements)
    if kind == "rich_text_preformatted":
        return f"```\n{inline}\n```" if inline else ""
    if kind == "rich_text_quote":
        return quoted(inline)
    return inline


def _list_lines(block: Payload, parts: list[Payload], depth: int) -> Iterator[str]:
    indent = "    " * min(number(block.get("indent")), 8)
    first = 1 + number(block.get("offset"))
    ordered = block.get("style") == "ordered"
    for place, part in enumerate(parts, first):
        mark = f"{place}." if ordered else "•"
        yield f"{indent}{mark} {rich_text(part, depth + 1)}"


def _inline(part: Payload, depth: int) -> str:
    kind, text = string(part.get("type")), string(part.get("text"))
    style = part.get("style")
    if kind == "link" and (url := string(part.get("url"))):
        return link(url, text)
    if kind == "emoji":
        tone = number(part.get("skin_tone"))
        return f":{string(part.get('name'))}:" + (f":skin-tone-{tone}:" if tone else "")
    if kind == "date":
        return _date(part)
    if kind == "color":
        return escape(string(part.get("value")))
    if kind in _REFERENCES:
        key, mark = _REFERENCES[kind]
        return f"<{mark}{_label(target)}>" if (target := string(part.get(key))) else ""
    if isinstance(style, dict) and style.get("code") and text:
        return f"`{escape(text)}`"
    return escape(text) if text else block_text({**part, "type": ""}, depth)


def _date(part: Payload) -> str:
    label = _label(string(part.get("fallback")))
    return f"<!date^{number(part.get('timestamp'))}^|{label}>".replace("|>", ">")


_REFERENCES = {
    "user": ("user_id", "@"),
    "channel": ("channel_id", "#"),
    "usergroup": ("usergroup_id", "!subteam^"),
    "broadcast": ("range", "!"),
}


def quoted(text: str) -> str:
    """Each line marked as a quote."""
    return "\n".join(f"> {line}" for line in text.splitlines())


def link(url: str, label: str = "") -> str:
    """A link in wire format, or spelled out if the format cannot express it."""
    target = escape(url)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:\S+$", url) or "|" in url:
        return " ".join(filter(None, (escape(label), target)))
    return f"<{target}|{_label(label)}>" if label else f"<{target}>"


def _label(text: str) -> str:
    return " ".join(escape(text).replace("|", "¦").split())


def dicts(value: Any) -> list[Payload]:
    """The objects of a list."""
    return [item for item in items(value) if isinstance(item, dict)]


def items(value: Any) -> list[Any]:
    """A list; [] for anything else."""
    return value if isinstance(value, list) else []


def string(value: Any) -> str:
    """Text that can be sent, or a number as text; "" for anything else."""
    if isinstance(value, str):
        return _CONTROLS.sub("", well_formed(value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def number(value: Any) -> int:
    """A count; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
