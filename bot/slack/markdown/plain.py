"""Markdown as one line of plain text, for notifications and screen readers."""

import html
import re

from bot.slack.markdown.blocks import PREFIX, LineKind, Outline, outline
from bot.slack.markdown.clean import clean
from bot.slack.markdown.elements import flatten
from bot.slack.markdown.escape import ZERO_WIDTH_SPACE
from bot.slack.markdown.inline import Piece, pieces
from bot.slack.markdown.inline import TokenKind as Inline
from bot.slack.markdown.sanitize import sanitize

_HEADING = re.compile(r"#{1,6}[ \t]+")
_HEADING_END = re.compile(r"(?:[ \t]+#+|[\r\n][ \t]*(?:=+|-+))[ \t]*\Z")
_HARD_BREAK = re.compile(r"\\(?=\r?\n)")
_RULE = re.compile(r"[ \t]*([-*_=])(?:[ \t]*\1)*[ \t]*")
_QUOTED = re.compile(r"(?:[ \t]*> ?)+")
_BULLET = re.compile(r"[-+*](?=[ \t])")
_TASK = re.compile(r"\[([ xX])\](?=[ \t])")
_EMPHASIS = re.compile(r"\*{1,3}|~~|_{1,3}")
_BEFORE = re.compile(r"[\s(\[{\"'*~_“‘«「（—–]|\Z")
_AFTER = re.compile(r"[\s)\]}\"'*~_,;:!?”’»」）、。—–…]|\.(?!\w)|\Z")
_CELL_END = re.compile(r"(?<!\\)\|")
_HEAD = 4000
"""Characters of Markdown that are read: enough for any summary."""
_SHORT_HEAD = 300
"""Characters that are read first: enough for a usual text, without HTML."""


def plain(markdown: str, limit: int) -> str:
    """The beginning of the text, at most `limit` characters, cut between words; may be "".

    Keeps the content of code, the text of links, the description of images.
    """
    head = markdown[: _SHORT_HEAD + 2 * limit]
    text = "" if "<" in head else _text(head)
    if len(text) <= limit and (len(head) < len(markdown) or not text):
        text = _text(markdown[: _HEAD + 4 * limit])
    return shorten(text, limit)


def _text(markdown: str) -> str:
    found = outline(sanitize(flatten(clean(markdown))))
    text = " ".join(_unit(found, first, end) for first, end in found.units())
    return " ".join(text.replace(ZERO_WIDTH_SPACE, "").split())


def shorten(text: str, limit: int) -> str:
    """Cut between words, with an ellipsis."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    space = head.rfind(" ")
    return (head[:space] if space > limit // 2 else head[:-1]).rstrip() + "…"


def _unit(found: Outline, first: int, end: int) -> str:
    begin = found.lines[first]
    text = found.text[begin.start : found.lines[end - 1].end]
    if begin.kind in (LineKind.OPENER, LineKind.CLOSER):
        return ""
    if begin.kind in (LineKind.CODE, LineKind.INDENTED):
        return _QUOTED.sub("", text, 1) if begin.quotes else text
    prefix = PREFIX.match(text)
    marks = prefix[0] if prefix else ""
    text = text[len(marks) :]
    if begin.kind in (LineKind.HEADER, LineKind.ROW):
        delimiter = begin.kind is LineKind.HEADER and first > begin.first
        cells = [] if delimiter else _cells(text.strip())
        return _flat(" · ".join(cell.strip() for cell in cells))
    if _RULE.fullmatch(text.strip()):
        return ""
    if begin.kind is LineKind.HEADING:
        text = _HEADING_END.sub("", text.rstrip())
    text = _HARD_BREAK.sub("", text)
    body = _TASK.sub(lambda task: "☐" if task[1] == " " else "☑", _HEADING.sub("", text, 1), 1)
    return _BULLET.sub("•", marks.replace(">", "")) + _flat(body)


def _cells(row: str) -> list[str]:
    row = row.removeprefix("|")
    row = row[:-1] if row.endswith("|") and not row.endswith("\\|") else row
    return [cell.replace("\\|", "|") for cell in _CELL_END.split(row)]


def _flat(text: str) -> str:
    out: list[str] = []
    position = 0
    emphasis = _Emphasis()
    for piece in pieces(text, 0, len(text)):
        emphasis.read(out, text, position, piece.start)
        out.append(_spelled(text, piece))
        position = piece.end
    emphasis.read(out, text, position, len(text))
    return html.unescape("".join(out))


class _Emphasis:
    """Removes paired emphasis marks. Names such as `_x_.py` keep theirs."""

    def __init__(self) -> None:
        self._open: dict[str, list[int]] = {}

    def read(self, out: list[str], text: str, start: int, end: int) -> None:
        """Append text, mark by mark."""
        for mark in _EMPHASIS.finditer(text, start, end):
            out += [text[start : mark.start()], mark[0]]
            start = mark.end()
            openers = self._open.setdefault(mark[0], [])
            before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
            loose = mark[0][0] != "_"
            if openers and before.strip() and (loose or _AFTER.match(text, mark.end())):
                out[openers.pop()] = out[-1] = ""
            elif after.strip() and (loose or _BEFORE.match(before)):
                openers.append(len(out) - 1)
        out.append(text[start:end])


def _spelled(text: str, piece: Piece) -> str:
    raw = text[piece.start : piece.end]
    match piece.kind:
        case Inline.ESCAPE:
            return raw if raw[1] in "()[]" else html.escape(raw[1])  # \( and \[ begin a formula
        case Inline.CODE:
            return html.escape(raw.strip("`").strip())
        case Inline.AUTOLINK:
            return raw[1:-1].rpartition("|")[2]
        case Inline.LINE:
            return " "
        case Inline.OPEN | Inline.TARGET if piece.partner:
            return ""
        case Inline.MARK:
            return ""
    return raw
