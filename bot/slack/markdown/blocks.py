"""The block structure of a Markdown text, line by line, for rendering and splitting.

markdown-it-py finds the blocks. Raw HTML is not a block here, since Slack shows it literally.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cache

from markdown_it.token import Token

from bot.slack.markdown.block_parser import BlockParser

# Line ends of Markdown; str.splitlines() would also split at form feeds and others.
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_PREFIX = r"(?:[ \t]*+(?:>|[-+*](?=[ \t])|\d{1,9}[.)](?=[ \t])))*+[ \t]*+"
PREFIX = re.compile(_PREFIX)
"""The prefix of a line before its own text: quote marks, list markers, indentation."""
QUOTE_MARKS = re.compile(r"(?:[ \t]*> ?)+")
NEWLINE = re.compile(rf"(?:\r\n?|\n){_PREFIX}")
_LIST_MARKER = re.compile(r"[-+*]|\d{1,9}[.)]")


class LineKind(Enum):
    """The kind of a line."""

    PROSE = auto()
    HEADING = auto()
    HEADER = auto()  # the first two lines of a table
    ROW = auto()
    INDENTED = auto()  # code by indentation
    OPENER = auto()  # ```python
    CODE = auto()
    CLOSER = auto()  # ```


PROSE = (LineKind.PROSE, LineKind.HEADING, LineKind.HEADER, LineKind.ROW)
"""The kinds of lines that hold inline Markdown."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A fenced code block, with the lines that reopen and close it."""

    first: int
    last: int
    prefix: str
    marker: str
    info: str
    closed: bool


@dataclass(slots=True)
class Line:
    """One line. `end` is after its line break; offsets are relative to the whole text."""

    start: int
    end: int
    blank: bool
    first: int  # the number of the line in which its paragraph or table begins
    kind: LineKind = LineKind.PROSE
    level: int | None = None  # nesting of the outermost block that begins here; 0 is the top
    lists: int = 0
    quotes: int = 0
    quote_begins: bool = False
    fence: Fence | None = None

    @property
    def blocks(self) -> int:
        """How many blocks Slack may make of the block that begins in this line."""
        if self.level is None:
            return 0
        return 1 if self.level == 0 else self.nested_blocks

    @property
    def nested_blocks(self) -> int:
        """The same if that block is in a list or a quote.

        Code, a table or a quote within a list ends the list's block, and another one follows.
        """
        resumes = self.quote_begins or self.kind in (
            LineKind.OPENER,
            LineKind.HEADER,
            LineKind.HEADING,
        )
        return 2 if resumes else 0


@dataclass(frozen=True, slots=True)
class Outline:
    """A text and its lines."""

    text: str
    lines: list[Line]
    starts: list[int] = field(repr=False)

    def number(self, offset: int) -> int:
        """The number of the line at this offset; the end of the text belongs to the last one."""
        return max(0, bisect_right(self.starts, offset) - 1)

    def text_of(self, number: int) -> str:
        """The text of a line, with its line break."""
        line = self.lines[number]
        return self.text[line.start : line.end]

    def open_fence(self) -> Fence | None:
        """The fence that is open at the end of the text."""
        fence = self.lines[-1].fence if self.lines else None
        return fence if fence and not fence.closed else None

    def restart(self, offset: int) -> tuple[int, str]:
        """The last offset up to this one from which the text can be parsed on its own.

        It parses the same from there behind the returned lines, which reopen the current code block
        or table; outside of both they are empty.
        """
        for line in reversed(self.lines[: self.number(offset) + 1]):
            if (
                line.kind is LineKind.ROW
                and line.start <= offset
                and not (line.lists or line.quotes)
            ):
                return line.start, self.text_of(line.first) + self.text_of(line.first + 1)
            code = line.fence if line.kind is LineKind.CODE else None
            if code and not (line.lists or line.quotes or code.prefix):
                return line.start, self.text_of(code.first)
            begins = line.level == 0 or (line.level == 1 and line.kind is not LineKind.ROW)
            if begins and line.start <= offset and not self.text[line.start].isspace():
                return line.start, ""
        return 0, ""

    def units(self) -> Iterator[tuple[int, int]]:
        """Ranges of lines (first, and after the last) whose inline Markdown belongs together."""
        first = 0
        for number in range(1, len(self.lines) + 1):
            if number == len(self.lines) or not self._continues(number):
                yield first, number
                first = number

    def unit(self, number: int) -> tuple[int, int]:
        """The range around this line."""
        first = end = number
        while first and self._continues(first):
            first -= 1
        while end + 1 < len(self.lines) and self._continues(end + 1):
            end += 1
        return first, end + 1

    def _continues(self, number: int) -> bool:
        line = self.lines[number]
        return line.kind in (LineKind.PROSE, LineKind.HEADING) and line.first < number


def outline(text: str) -> Outline:
    """Find the blocks of a text. Linear in its length."""
    lines = [
        Line(match.start(), match.end(), not match[0].strip(), number)
        for number, match in enumerate(_LINE.finditer(text))
    ]
    found = Outline(text, lines, [line.start for line in lines])
    # Without a final line break the parser would drop a last line of white space.
    whole = text if text.endswith(("\n", "\r")) else text + "\n"
    for token in _parser().parse(whole):
        if token.map:
            _mark(found, token, lines[token.map[0] : token.map[1]])
    if lines and lines[-1].blank and not text.endswith(("\n", "\r")):
        _go_on(lines)
    return found


def continuation(prefix: str) -> str:
    """The prefix that continues a block in a later line: list markers become spaces."""
    return _LIST_MARKER.sub(lambda marker: " " * len(marker[0]), prefix)


def dedent(text: str, columns: int, quoted: int = 0) -> str:
    """Remove indentation from the lines of a list that was cut, before and behind quote marks.

    Lines of an outer list lose no more than they have.
    """
    if not columns and not quoted:
        return text
    lines = _LINE.findall(text)
    for number, line in enumerate(lines):
        behind = QUOTE_MARKS.match(line)
        start = behind.end() if behind else 0
        if line.strip():
            columns = min(columns, indentation(line))
        if not behind or line[start:].strip():
            quoted = min(quoted, indentation(line[start:])) if behind else 0
        if not columns and not quoted:
            break
        cut = cut_indentation(line[:start] or line, columns)
        lines[number] = cut + cut_indentation(line[start:], quoted) if behind else cut
    return "".join(lines)


def indentation(line: str) -> int:
    """The columns before the first character of a line; a tab goes to the next multiple of four."""
    blanks = line[: len(line) - len(line.lstrip(" \t"))]
    return len(blanks.expandtabs(4))


def cut_indentation(line: str, columns: int) -> str:
    """The line without its first columns of indentation, if it has them."""
    reached = 0
    for position, character in enumerate(line):
        if reached >= columns or character not in " \t":
            return " " * (reached - columns) + line[position:]
        reached += 1 if character == " " else 4 - reached % 4
    return ""


@cache
def _parser() -> BlockParser:
    return BlockParser()


_KINDS = {
    "paragraph_open": LineKind.PROSE,
    "heading_open": LineKind.HEADING,
    "table_open": LineKind.ROW,
    "code_block": LineKind.INDENTED,
}


def _mark(found: Outline, token: Token, lines: list[Line]) -> None:
    begin = lines[0]
    if begin.level is None or token.level < begin.level:
        begin.level = token.level
    if kind := _KINDS.get(token.type):
        _set(lines, kind, begin.first)
    match token.type:
        case "table_open":
            _set(lines[:2], LineKind.HEADER, begin.first)
        case "fence":
            _mark_fence(found, token, lines)
        case "bullet_list_open" | "ordered_list_open":
            for line in lines:
                line.lists += 1
        case "blockquote_open":
            begin.quote_begins = True
            for line in lines:
                line.quotes += 1


def _go_on(lines: list[Line]) -> None:
    """Treat a last line of only indentation as part of the code above it."""
    fence = lines[-2].fence if len(lines) > 1 else None
    if fence and not fence.closed:
        lines[-1].kind, lines[-1].first, lines[-1].fence = LineKind.CODE, fence.first, fence


def _set(lines: Iterable[Line], kind: LineKind, first: int) -> None:
    for line in lines:
        line.kind, line.first = kind, first


def _mark_fence(found: Outline, token: Token, lines: list[Line]) -> None:
    begin = lines[0]
    opener = found.text_of(begin.first)
    closed = len(lines) > token.content.count("\n") + 1
    fence = Fence(
        first=begin.first,
        last=begin.first + len(lines) - 1,
        prefix=continuation(opener[: opener.index(token.markup)]),
        marker=token.markup,
        info=token.info.strip(),
        closed=closed,
    )
    for line in lines:
        line.kind, line.first, line.fence = LineKind.CODE, begin.first, fence
    begin.kind = LineKind.OPENER
    if closed:
        lines[-1].kind = LineKind.CLOSER
