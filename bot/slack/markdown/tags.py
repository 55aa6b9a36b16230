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
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_MARKERS = {
    **dict.fromkeys(("b", "strong", "summary", "dt", *_HEADINGS), "**"),
    **dict.fromkeys(("i", "em", "var", "dfn"), "*"),
    **dict.fromkeys(("s", "del", "strike"), "~~"),
    **dict.fromkeys(("code", "kbd", "samp", "tt"), "`"),
}
_ITEMS = frozenset({"li", "dd"})
_CELLS = frozenset({"td", "th"})
_CONTAINERS = frozenset({"ul", "ol", "dl", "menu", "table", "thead", "tbody", "tfoot"})
"""Elements whose children begin lines."""
_BLOCKS = _CONTAINERS | frozenset(
    {"p", "div", "section", "article", "center", "details", "summary", "figure", "figcaption"}
    | {"header", "footer", "main", "nav", "aside", "dt", *_HEADINGS}
    | {"tr", "caption", "blockquote", "pre", *_ITEMS}
)
"""Elements that begin a line of their own."""
_DROPPED = (_BLOCKS - _ITEMS) | frozenset(
    {"u", "span", "font", "small", "big", "mark", "abbr", "ins", "sup", "sub", "q", "nobr"}
    | {"label", "time", "bdi", "bdo", "ruby", "rb", "rt", "rp", "cite", "address", "wbr"}
)
BREAK = "\n"
"""In a replacement: a line break, or a space where the line cannot be broken."""
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
    lines = _Lines(text, found, start, end)
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
        if not name or heads or (name in _BLOCKS and lines.is_alone(index)):
            result[piece.start] = ""
        elif name == "img":
            result[piece.start] = _image(tag)
        elif not tag.startswith("</"):
            open_tags.setdefault(name, []).append(index)
        elif openers := open_tags.get(name):
            opener = openers.pop()
            result |= _pair(text, name, found[opener], piece, nested=index - opener > 1)
            if name in _CELLS:
                result |= {found[opener].start: "", piece.start: lines.gap(index)}
            elif name in _BLOCKS and found[opener].start in result:
                _set_apart(name, result, lines, opener, index)
    return result


class _Lines:
    """Which tags have text beside them in their line, found in one pass in each direction."""

    def __init__(self, text: str, found: Sequence[Piece], start: int, end: int) -> None:
        self._text = text
        self._found = found
        self._before = self._seen(range(len(found)), 1, start)
        self._after = self._seen(range(len(found) - 1, -1, -1), -1, end)

    def _seen(self, order: range, step: int, edge: int) -> list[bool]:
        """Whether each token has text before it in its line; for `step` -1, after it."""
        seen, text = [False] * len(self._found), False
        for index in order:
            piece = self._found[index]
            near, far = (piece.start, piece.end) if step > 0 else (piece.end, piece.start)
            text = text or bool(self._text[min(edge, near) : max(edge, near)].strip())
            seen[index] = text
            edge = far
            text = piece.kind is not Kind.LINE and (text or piece.kind is not Kind.HTML)
        return seen

    def follows_text(self, index: int) -> bool:
        """Whether there is more than spaces and tags before a tag in its line."""
        return self._before[index]

    def is_alone(self, index: int) -> bool:
        """Whether there are only spaces and tags beside a tag in its line."""
        return not (self._before[index] or self._after[index])

    def offset(self, index: int) -> int:
        """Where a tag begins."""
        return self._found[index].start

    def gap(self, index: int) -> str:
        """What separates the table cell that ends here from the next one."""
        if index + 1 == len(self._found):
            return ""
        near, following = self._found[index], self._found[index + 1]
        tag = self._text[following.start : following.end]
        adjacent = not self._text[near.end : following.start].strip()
        return " · " if adjacent and name_of(tag) in _CELLS else ""

    def precedes_text(self, index: int) -> bool:
        """Whether text follows a tag directly, in its line."""
        end = self._found[index].end
        following = self._found[index + 1] if index + 1 < len(self._found) else None
        if following and not self._text[end : following.start].strip():
            return following.kind not in (Kind.HTML, Kind.LINE)
        return self._after[index]


def _set_apart(name: str, result: dict[int, str], lines: _Lines, opener: int, closer: int) -> None:
    """Put an element on a line of its own."""
    first, last = lines.offset(opener), lines.offset(closer)
    if name not in _CONTAINERS and lines.follows_text(opener):
        result[first] = BREAK + result[first]
    if lines.precedes_text(closer):
        result[last] += BREAK


def _pair(text: str, name: str, opener: Piece, closer: Piece, *, nested: bool) -> dict[int, str]:
    """The replacements of an opening and a closing tag."""
    before, after = _around(text, name, opener, closer, nested=nested)
    if before is None:
        return {}
    return {opener.start: before, closer.start: after}


def _around(
    text: str, name: str, opener: Piece, closer: Piece, *, nested: bool
) -> tuple[str | None, str]:
    if name in _ITEMS:
        return "• ", ""
    marker = _MARKERS.get(name)
    if marker and _has_loose_edges(text, opener.end, closer.start):
        return ("", "") if name in _BLOCKS else (None, "")  # "the tags <b> and </b>"
    if marker == "`" and (nested or set(text[opener.end : closer.start]) & set("`<>&\\")):
        return "", ""
    if marker:
        return marker, marker
    if name == "a":
        target = _attribute(_HREF, text[opener.start : opener.end])
        return ("[", f"]({target})") if _WEB.match(target) else ("", "")
    return ("", "") if name in _DROPPED else (None, "")


def _has_loose_edges(text: str, start: int, end: int) -> bool:
    """Whether a range is empty, or begins or ends with a space."""
    return start == end or text[start].isspace() or text[end - 1].isspace()


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
