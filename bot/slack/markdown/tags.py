"""Replaces HTML tags in the model's Markdown."""

import html
import re
from collections.abc import Sequence
from urllib.parse import quote

from bot.slack.markdown.inline import Piece, TokenKind

_NAME = re.compile(r"</?([a-z][a-z0-9]*)", re.IGNORECASE)
_ATTRIBUTE = r"""\s{}\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))"""
_SUMMARY = re.compile(r"[ \t]*<summary\b", re.IGNORECASE)
_HREF = re.compile(_ATTRIBUTE.format("href"), re.IGNORECASE)
_SRC = re.compile(_ATTRIBUTE.format("src"), re.IGNORECASE)
_ALT = re.compile(_ATTRIBUTE.format("alt"), re.IGNORECASE)
_WEB = re.compile(r"(?:https?://|mailto:)[^\s]+\Z", re.IGNORECASE)
_QUOTED = {ord(character): quote(character) for character in "<>()"}
_CHECKBOX = re.compile(r"""\stype\s*=\s*["']?checkbox\b""", re.IGNORECASE)
_CHECKED = re.compile(r"\schecked\b", re.IGNORECASE)
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
"""In a replacement: a line break, or a space if the line cannot be broken."""
_MOST_INNER = 20
"""Tags of an element among which nested bold text is looked for."""
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
        if piece.kind is TokenKind.LINE:
            open_tags.clear()
        if piece.kind is not TokenKind.HTML:
            continue
        tag = text[piece.start : piece.end]
        name = name_of(tag)
        heads = name == "details" and bool(_SUMMARY.match(text, piece.end))
        single = "" if heads or (name in _BLOCKS and lines.is_alone(index)) else _single(name, tag)
        if single is not None:
            result[piece.start] = single
        if not tag.startswith("</") and (single is None or heads):
            open_tags.setdefault(name, []).append(index)
        elif single is None and (openers := open_tags.get(name)):
            _close(text, name, result, lines, openers.pop(), index)
    return result


def _single(name: str, tag: str) -> str | None:
    """The replacement of a tag that needs no partner; None for the others."""
    if not name:
        return ""  # a comment
    if name == "img":
        return "" if tag.startswith("</") else _image(tag)
    if name == "input" and _CHECKBOX.search(tag):
        return "☑" if _CHECKED.search(tag) else "☐"
    return None


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
            text = piece.kind is not TokenKind.LINE and (text or piece.kind is not TokenKind.HTML)
        return seen

    def follows_text(self, index: int) -> bool:
        """Whether there is more than spaces and tags before a tag in its line."""
        return self._before[index]

    def is_alone(self, index: int) -> bool:
        """Whether there are only spaces and tags beside a tag in its line."""
        return not (self._before[index] or self._after[index])

    def piece(self, index: int) -> Piece:
        """The tag itself."""
        return self._found[index]

    def gap(self, index: int) -> str:
        """The separator between the table cell that ends here and the next one."""
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
            return following.kind not in (TokenKind.HTML, TokenKind.LINE)
        return self._after[index]


def _close(
    text: str, name: str, result: dict[int, str], lines: "_Lines", opener: int, closer: int
) -> None:
    """Add the replacements of a pair of tags."""
    first, last = lines.piece(opener), lines.piece(closer)
    if first.start in result:  # <details>, before its <summary>
        result[last.start] = BREAK if lines.precedes_text(closer) else ""
        return
    if _MARKERS.get(name) == "**" and _holds_bold(text, result, lines, opener, closer):
        result |= {first.start: "", last.start: ""}
    else:
        result |= _pair(text, name, first, last, nested=closer - opener > 1)
    if name in _CELLS:
        result |= {first.start: "", last.start: lines.gap(closer)}
    elif name in _BLOCKS and first.start in result:
        _set_apart(name, result, lines, opener, closer)


def _holds_bold(
    text: str, result: dict[int, str], lines: "_Lines", opener: int, closer: int
) -> bool:
    """Whether bold text begins within an element: four asterisks in a row are no bold."""
    first, last = lines.piece(opener), lines.piece(closer)
    inner = range(opener + 1, min(closer, opener + _MOST_INNER))
    tagged = any("**" in result.get(lines.piece(index).start, "") for index in inner)
    return tagged or text.find("**", first.end, last.start) >= 0


def _set_apart(name: str, result: dict[int, str], lines: _Lines, opener: int, closer: int) -> None:
    """Put an element on a line of its own."""
    first, last = lines.piece(opener).start, lines.piece(closer).start
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
        target = _address(_HREF, text[opener.start : opener.end])
        return ("[", f"]({target})") if target else ("", "")
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
    alt, source = _attribute(_ALT, tag) or "image", _address(_SRC, tag)
    label = re.sub(r"[\[\]]", "", alt).replace("<", "&lt;").replace(">", "&gt;")
    return f"[{label}]({source})" if source else label


def _address(pattern: re.Pattern[str], tag: str) -> str:
    """The address in an attribute, in the form for a link; "" if it leads nowhere."""
    found = html.unescape(_attribute(pattern, tag))
    return found.translate(_QUOTED) if _WEB.match(found) else ""


def _attribute(pattern: re.Pattern[str], tag: str) -> str:
    found = pattern.search(tag)
    return next(filter(None, found.groups()), "").strip() if found else ""
