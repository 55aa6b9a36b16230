"""Replaces HTML tags in the model's Markdown."""

import re
from collections.abc import Sequence

from bot.slack.markdown.inline import Kind, Piece

_NAME = re.compile(r"</?([a-z][a-z0-9]*)", re.IGNORECASE)
_ATTRIBUTE = r"""\s{}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
_SUMMARY = re.compile(r"[ \t]*<summary\b", re.IGNORECASE)
_HREF = re.compile(_ATTRIBUTE.format("href"), re.IGNORECASE)
_SRC = re.compile(_ATTRIBUTE.format("src"), re.IGNORECASE)
_ALT = re.compile(_ATTRIBUTE.format("alt"), re.IGNORECASE)
_WEB = re.compile(r"(?:https?://|mailto:)[^\s<>()]+\Z", re.IGNORECASE)
_MARKERS = {
    **dict.fromkeys(("b", "strong", "summary"), "**"),
    **dict.fromkeys(("i", "em", "var", "dfn"), "*"),
    **dict.fromkeys(("s", "del", "strike"), "~~"),
    **dict.fromkeys(("code", "kbd", "samp", "tt"), "`"),
}
_BLOCKS = frozenset(
    {"p", "div", "section", "article", "center", "details", "summary", "figure", "figcaption"}
    | {"header", "footer", "main"}
)
_DROPPED = _BLOCKS | frozenset(
    {"a", "u", "span", "font", "small", "big", "mark", "abbr", "ins", "sup", "sub", "q", "nobr"}
    | {"label", "time", "bdi", "bdo", "ruby", "rb", "rt", "rp"}
)
_SUPER = str.maketrans("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ")
_SUB = str.maketrans("0123456789+-=()", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎")
_RAISED = re.compile(r"[0-9+\-=()ni]{1,12}")
_LOWERED = re.compile(r"[0-9+\-=()]{1,12}")


def name_of(tag: str) -> str:
    """The lower-case name of a tag; "" for a comment."""
    found = _NAME.match(tag)
    return found[1].lower() if found else ""


def replacements(text: str, found: Sequence[Piece], start: int, end: int) -> dict[int, str]:
    """The replacements of the tags of one paragraph, `text[start:end]`: by the offset of the tag.

    Unpaired and unknown tags are not listed: they are text. `<br>` is not listed either, since it
    depends on the line.
    """
    result: dict[int, str] = {}
    open_tags: dict[str, list[int]] = {}
    for index, piece in enumerate(found):
        if piece.kind is Kind.LINE:
            open_tags.clear()
        if piece.kind is not Kind.HTML:
            continue
        tag = text[piece.start : piece.end]
        name = name_of(tag)
        heads = name == "details" and _SUMMARY.match(text, piece.end)
        if not name or heads or (name in _BLOCKS and _is_alone(text, found, index, start, end)):
            result[piece.start] = ""
        elif name == "img":
            result[piece.start] = _image(tag)
        elif not tag.startswith("</"):
            open_tags.setdefault(name, []).append(index)
        elif openers := open_tags.get(name):
            opener = openers.pop()
            result |= _pair(text, name, found[opener], piece, nested=index - opener > 1)
    return result


def _is_alone(text: str, found: Sequence[Piece], index: int, start: int, end: int) -> bool:
    """Whether there are only spaces and tags beside a tag in its line."""
    return _ends_line(text, found, index, -1, start) and _ends_line(text, found, index, 1, end)


def _ends_line(text: str, found: Sequence[Piece], index: int, step: int, edge: int) -> bool:
    while True:
        piece, index = found[index], index + step
        beyond = found[index] if 0 <= index < len(found) else None
        near, far = (
            (piece.end, beyond.start if beyond else edge)
            if step > 0
            else (beyond.end if beyond else edge, piece.start)
        )
        if text[near:far].strip():
            return False
        if beyond is None or beyond.kind is Kind.LINE:
            return True
        if beyond.kind is not Kind.HTML:
            return False


def _pair(text: str, name: str, opener: Piece, closer: Piece, *, nested: bool) -> dict[int, str]:
    """The replacements of an opening and a closing tag."""
    content = text[opener.end : closer.start]
    before, after = _around(name, text[opener.start : opener.end], content, nested=nested)
    if before is None:
        return {}
    return {opener.start: before, closer.start: after}


def _around(name: str, tag: str, content: str, *, nested: bool) -> tuple[str | None, str]:
    marker = _MARKERS.get(name)
    if marker and (not content.strip() or content != content.strip()):
        return None, ""  # "the tags <b> and </b>"
    if marker == "`" and (nested or set(content) & set("`<>&\\")):
        return "", ""
    if marker:
        return marker, marker
    if name == "a" and (target := _attribute(_HREF, tag)) and _WEB.match(target):
        return "[", f"]({target})"
    return ("", "") if name in _DROPPED else (None, "")


def raised_or_lowered(name: str, content: str) -> str | None:
    """The content of `<sup>` or `<sub>` in Unicode superscript or subscript characters, if
    available."""
    if name == "sup" and _RAISED.fullmatch(content):
        return content.translate(_SUPER)
    if name == "sub" and _LOWERED.fullmatch(content):
        return content.translate(_SUB)
    return None


def raised(number: str) -> str:
    """A number as a superscript."""
    return number.translate(_SUPER)


def _image(tag: str) -> str:
    alt, source = _attribute(_ALT, tag) or "image", _attribute(_SRC, tag)
    label = re.sub(r"[\[\]]", "", alt)
    return f"[{label}]({source})" if _WEB.match(source) else label


def _attribute(pattern: re.Pattern[str], tag: str) -> str:
    found = pattern.search(tag)
    return next(filter(None, found.groups()), "").strip() if found else ""
