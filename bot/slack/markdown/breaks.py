"""The endings and beginnings that a cut in a Markdown text needs on both sides."""

import re
from bisect import bisect_left
from dataclasses import dataclass

from bot.slack.markdown.blocks import (
    PREFIX,
    QUOTE_MARKS,
    Fence,
    Line,
    LineKind,
    Outline,
    continuation,
    indentation,
)
from bot.slack.markdown.inline import Piece, atoms, pieces
from bot.slack.markdown.inline import TokenKind as Inline

_HASHES = re.compile(r"#{1,6}[ \t]")

LONGEST_RUN = 8
"""The delimiter of a code span that is closed and reopened at a cut."""


@dataclass(frozen=True, slots=True)
class Break:
    """What a cut adds: the ending of the message before it, and the beginning of the one after it.

    `dedent` is the indentation, in columns, that the message after it loses, because its list began
    before the cut; `quoted` that behind quote marks.
    """

    closing: str = ""
    opening: str = ""
    dedent: int = 0
    quoted: int = 0


class Breaks:
    """The breaks of one text. A break that would add more than `room` characters adds nothing."""

    def __init__(self, outline: Outline, room: int) -> None:
        self._outline = outline
        self._room = room
        self._atoms: dict[int, list[Piece]] = {}
        self._prefixes: dict[int, str] = {}
        self._columns: dict[int, int] = {}
        self._quoted_columns: dict[int, int] = {}

    def at(self, offset: int) -> Break:
        """The break for a cut at this offset."""
        if offset == 0:
            return Break()
        found = self._end() if offset == len(self._outline.text) else self._within(offset)
        return found if len(found.opening) + len(found.closing) <= self._room else Break()

    def _within(self, offset: int) -> Break:
        number = self._outline.number(offset)
        line = self._outline.lines[number]
        inside = offset > line.start
        if line.fence and (inside or line.kind is not LineKind.OPENER):
            return self._in_fence(line.fence, line, inside)
        if line.kind is LineKind.ROW and not inside:
            return self._in_table(line)
        return self._in_line(number, offset) if inside else self._between_lines(number)

    def atom(self, number: int, offset: int) -> Piece | None:
        """The code span, autolink or link that a cut at this offset would break."""
        first, end = self._outline.unit(number)
        if first not in self._atoms:
            start, stop = self._outline.lines[first].start, self._outline.lines[end - 1].end
            self._atoms[first] = list(atoms(pieces(self._outline.text, start, stop)))
        found = self._atoms[first]
        before = bisect_left(found, offset, key=lambda atom: atom.start) - 1
        return found[before] if before >= 0 and offset < found[before].end else None

    def _end(self) -> Break:
        fence = self._outline.open_fence()
        newline = "" if self._outline.text.endswith(("\n", "\r")) else "\n"
        return Break(newline + fence.prefix + fence.marker) if fence else Break()

    def _in_fence(self, fence: Fence, line: Line, inside: bool) -> Break:
        edge = fence.prefix + fence.marker
        info = fence.info if 2 * len(edge) + len(fence.info) < self._room else ""
        return Break(
            closing=("\n" if inside else "") + edge,
            opening=f"{edge}{info}\n" + (fence.prefix if inside else ""),
            dedent=indentation(edge) if line.lists else 0,
            quoted=_quoted(line, fence.prefix),
        )

    def _in_table(self, line: Line) -> Break:
        header = ""
        for number in (line.first, line.first + 1):
            prefix = self.prefix(number)
            header += continuation(prefix) + self._outline.text_of(number)[len(prefix) :]
        columns = indentation(header) if line.lists else 0
        return Break(opening=header, dedent=columns, quoted=_quoted(line, header))

    def _in_line(self, number: int, offset: int) -> Break:
        line = self._outline.lines[number]
        atom = self.atom(number, offset)
        ticks = ""
        if atom and atom.kind is Inline.CODE:
            code = self._outline.text[atom.start : atom.end]
            ticks = "`" * (len(code) - len(code.lstrip("`")))
        ticks = ticks if len(ticks) <= LONGEST_RUN else ""
        column = self._content_column(line)
        hashes = _HASHES.match(self._outline.text, line.start + len(self.prefix(number)))
        marks = hashes[0] if hashes and line.kind is LineKind.HEADING else ""
        quoted = self._quoted_column(line)
        opening = " " * column + "> " * line.quotes + " " * quoted + marks + ticks
        return Break(ticks, opening, dedent=column, quoted=quoted)

    def _between_lines(self, number: int) -> Break:
        line = self._outline.lines[number]
        if line.kind is LineKind.INDENTED and not _begins_item(line):
            return Break(dedent=self._indentation_of_rest(number) - 4 if line.lists else 0)
        own = indentation(self._outline.text_of(number)) if line.lists else 0
        if line.level is not None:
            return Break(dedent=own, quoted=_quoted(line, self._outline.text_of(number)))
        missing = line.quotes - self.prefix(number).count(">")
        quoted = min(_quoted(line, self._outline.text_of(number)), self._quoted_column(line))
        dedent = min(own, self._content_column(line))
        return Break(opening="> " * missing, dedent=dedent, quoted=quoted)

    def _indentation_of_rest(self, number: int) -> int:
        """The least indentation of indented code from this line on: at least 4 more than that of
        its list item."""
        lines, found = self._outline.lines, [self._outline.text_of(number)]
        for rest in range(number + 1, len(lines)):
            if lines[rest].first != lines[number].first:
                break
            found.append(self._outline.text_of(rest))
        return max(4, min((indentation(text) for text in found if text.strip()), default=4))

    def _content_column(self, line: Line) -> int:
        """The column at which the text of a list item begins, for its later lines."""
        if not line.lists:
            return 0
        if line.first not in self._columns:
            prefix = continuation(self.prefix(line.first))
            self._columns[line.first] = len(prefix.expandtabs(4))
        return self._columns[line.first]

    def _quoted_column(self, line: Line) -> int:
        """The content column behind the quote marks."""
        if not (line.lists and line.quotes):
            return 0
        if line.first not in self._quoted_columns:
            prefix = continuation(self.prefix(line.first))
            self._quoted_columns[line.first] = _quoted(line, prefix)
        return self._quoted_columns[line.first]

    def prefix(self, number: int) -> str:
        """The prefix of a line."""
        if number not in self._prefixes:
            found = PREFIX.match(self._outline.text, self._outline.lines[number].start)
            self._prefixes[number] = found[0] if found else ""
        return self._prefixes[number]


def _quoted(line: Line, text: str) -> int:
    """The indentation of a list in a quote: the columns behind the quote marks of `text`."""
    marks = QUOTE_MARKS.match(text) if line.lists and line.quotes else None
    return indentation(text[marks.end() :]) if marks else 0


def _begins_item(line: Line) -> bool:
    """Whether a list item begins with this line: what it contains is deeper by two levels."""
    return line.level is not None and line.level < 2 * line.lists + line.quotes
