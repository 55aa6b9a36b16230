"""Markdown as one line of plain text, for notifications and screen readers."""

from __future__ import annotations

import html
import re

from bot.slack.markdown.blocks import PREFIX, Kind, Outline, outline
from bot.slack.markdown.inline import Kind as Inline
from bot.slack.markdown.inline import Piece, pieces
from bot.slack.markdown.sanitize import ZERO_WIDTH_SPACE

_HEADING = re.compile(r"#{1,6}[ \t]+")
_RULE = re.compile(r"[ \t]*([-*_=])(?:[ \t]*\1)*[ \t]*")
_QUOTED = re.compile(r"(?:[ \t]*> ?)+")
_BULLET = re.compile(r"[-+*](?=[ \t])")
_TASK = re.compile(r"\[([ xX])\](?=[ \t])")
_EMPHASIS = re.compile(r"\*{1,3}(?=\S)|(?<=\S)\*{1,3}|~~|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)")
_HEAD = 4000
"""Characters of Markdown that are looked at: enough for any summary, whatever is formatting."""


def plain(markdown: str, limit: int) -> str:
    """The beginning of the text, at most `limit` characters, cut between words; maybe "".

    Code keeps its content, links their text, images their description.
    """
    found = outline(markdown[: _HEAD + 4 * limit])
    text = " ".join(_unit(found, first, end) for first, end in found.units())
    return shorten(" ".join(text.replace(ZERO_WIDTH_SPACE, "").split()), limit)


def shorten(text: str, limit: int) -> str:
    """Cut at a word, with an ellipsis."""
    if len(text) <= limit:
        return text
    head = text[:limit]
    space = head.rfind(" ")
    return (head[:space] if space > limit // 2 else head[:-1]).rstrip() + "…"


def _unit(found: Outline, first: int, end: int) -> str:
    begin = found.lines[first]
    text = found.text[begin.start : found.lines[end - 1].end]
    if begin.kind in (Kind.OPENER, Kind.CLOSER):
        return ""
    if begin.kind in (Kind.CODE, Kind.INDENTED):
        return _QUOTED.sub("", text, 1) if begin.quotes else text
    prefix = PREFIX.match(text)
    marks = prefix[0] if prefix else ""
    text = text[len(marks) :]
    if begin.kind in (Kind.HEADER, Kind.ROW):
        delimiter = begin.kind is Kind.HEADER and first > begin.first
        cells = [] if delimiter else text.strip().strip("|").split("|")
        return _flat(" · ".join(cell.strip() for cell in cells))
    if _RULE.fullmatch(text.strip()):
        return ""
    body = _TASK.sub(lambda task: "☐" if task[1] == " " else "☑", _HEADING.sub("", text, 1), 1)
    return _BULLET.sub("•", marks.replace(">", "")) + _flat(body)


def _flat(text: str) -> str:
    out, position = [], 0
    for piece in pieces(text, 0, len(text)):
        out += [_EMPHASIS.sub("", text[position : piece.start]), _spelled(text, piece)]
        position = piece.end
    return html.unescape("".join([*out, _EMPHASIS.sub("", text[position:])]))


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
