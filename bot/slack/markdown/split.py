"""Splits an answer of any length into messages that are each correct on their own.

A message ends with a block if possible: fences are closed and reopened, tables repeat their header,
quotes keep their mark. The joined source parts are exactly the answer.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from bot.slack.markdown.blocks import Line, LineKind, Outline, dedent, outline
from bot.slack.markdown.breaks import LONGEST_RUN, Breaks
from bot.slack.markdown.graphemes import grapheme_break, size, within

LIMIT = 11_500
"""Characters of one message. Slack accepts 12,000 in all `markdown` blocks of a payload, and as
many in all chunks of one streamed message."""
MIN_LIMIT = 64
MAX_BLOCKS = 45
"""Blocks of one message. Slack makes one of each heading, paragraph, list, table, quote and code
block, and accepts 50 per message, including cards and buttons."""

_LEADING_BLANKS = re.compile(r"(?:[^\S\r\n]*+(?:\r\n?|\n))+")
_BLANKS = re.compile(r"\s*")
_WORD_END = re.compile(r"\s+|[、。，．；：！？…」』）】]+")

# The cost of a break, relative to the share of the message that it leaves empty.
_NEVER = 4.0  # between the two lines of a table's header: it would be a table no more
_POOR = 2.0  # between a heading and its text, a header and its rows: if nothing else is left
_WORD = 0.7  # between two words of a paragraph
_LINE = 0.6  # between two lines of code or of a paragraph, two rows
_BLANK = 0.5  # at a blank line in code
_LEAD_IN = 0.15  # between "as follows:" and what follows
_NESTED = 0.1  # for each level of nesting


@dataclass(frozen=True, slots=True)
class Part:
    """The content of one message: the answer's text from `start` on, and how to post it.

    `opening` and `closing` are added to its share of the source; `dedent` is the indentation, in
    columns, that the rest of a list loses if the list does not begin here; `quoted` the same behind
    quote marks.
    """

    start: int
    source: str
    opening: str = ""
    closing: str = ""
    dedent: int = 0
    quoted: int = 0

    @property
    def is_shifted(self) -> bool:
        """Whether its lines lose indentation."""
        return bool(self.dedent or self.quoted)

    @property
    def end(self) -> int:
        """The offset in the answer where the next part begins."""
        return self.start + len(self.source)

    @property
    def open_text(self) -> str:
        """The text so far of a message in progress."""
        return self._with("")

    @property
    def text(self) -> str:
        """The text to post; blank only if the answer is blank."""
        return self._with(self.closing) if self.closing else self.open_text.rstrip()

    def _with(self, closing: str) -> str:
        blanks = None if self.opening else _LEADING_BLANKS.match(self.source)
        source = self.source[blanks.end() :] if blanks else self.source
        return dedent(self.opening + source + closing, self.dedent, self.quoted)


def parts(
    markdown: str, limit: int = LIMIT, start: int = 0, max_blocks: int = MAX_BLOCKS
) -> tuple[Part, ...]:
    """Split an answer, from the offset `start` on, into parts of at most `limit` characters.

    Slack makes at most `max_blocks` blocks of each. A row, a line of code or a word is broken only
    if it alone exceeds the limit. Raises ValueError for a limit below 64.
    """
    splitter = Splitter(outline(markdown), limit, max_blocks)
    found = []
    while start < len(markdown):
        found.append(splitter.part(start))
        start = found[-1].end
    return tuple(found)


def join(parts: Iterable[Part]) -> str:
    """The complete answer."""
    return "".join(part.source for part in parts)


@dataclass(slots=True)
class _Search:
    """The search for the end of one part: its beginning, and the best end so far."""

    begin: int  # the first character that shows
    base: int  # subtracted from the size of the text before an end, gives the size of the message
    at_least: int
    full: float
    last: int = -1  # the last line so far that shows
    place: int = 0
    score: float = 0.0
    enough: int = 0  # the last good end of a full message
    blocks: int = 0  # that Slack makes of the lines so far


class Splitter:
    """Finds the parts of one text. Raises ValueError for a limit below 64 characters."""

    def __init__(self, outline: Outline, limit: int = LIMIT, max_blocks: int = MAX_BLOCKS) -> None:
        if limit < MIN_LIMIT:
            raise ValueError(f"limit is {limit}, must be at least {MIN_LIMIT}")
        self._text = outline.text
        self._outline = outline
        self._limit = limit
        self._max_blocks = max_blocks
        # The largest opening and closing leave a third of a message for its text.
        self._breaks = Breaks(outline, room=limit // 3)
        self._known = (0, 0)  # an offset, and the size of all the text before it
        self._sizes = [0]  # of all the text before each line
        for line in outline.lines:
            self._sizes.append(self._sizes[-1] + size(self._text[line.start : line.end]))

    def part(self, start: int, at_least: int = 0, full: float = 2.0) -> Part:
        """The part that begins at `start`.

        It extends at least to `at_least`: that much has already been written. Once it is `full` (a
        share of the limit) it ends with the next block, or halfway from there to the limit with the
        next line, even if more would fit.
        """
        at_start = self._breaks.at(start)
        line = self._outline.lines[self._outline.number(at_least)]
        if not self._text[line.start : at_least].strip():
            at_least = line.start  # indentation alone does not bind a line to the message
        end = self._end(start, size(at_start.opening), max(at_least, start + 1), full)
        closing = self._breaks.at(end).closing
        source = self._text[start:end]
        return Part(start, source, at_start.opening, closing, at_start.dedent, at_start.quoted)

    def _end(self, start: int, opening: int, at_least: int, full: float) -> int:
        lines = self._outline.lines
        first = self._outline.number(start)
        while first < len(lines) - 1 and lines[first].blank and not lines[first].fence:
            first += 1  # blank lines at the edge of a message are not posted
        begin = max(start, lines[first].start)
        search = _Search(begin, self._size_before(begin) - opening, at_least, full)
        for number in range(first, len(lines)):
            if self._size_at(search, number) > self._limit:
                return self._overflow(search, number - 1)
            if not lines[number].blank or lines[number].fence:
                self._consider(search, number)
                search.blocks += lines[number].blocks if search.blocks else 1
                if search.blocks > self._max_blocks and search.place:
                    return search.place
                search.last = number
        if self._size_at(search, len(lines)) > self._limit:
            return self._overflow(search, len(lines) - 1)
        return search.enough or len(self._text)

    def _size_before(self, offset: int) -> int:
        number = self._outline.number(offset)
        start = self._outline.lines[number].start
        near, before = self._known  # in a very long line, counting starts where it stopped
        if not start <= near <= offset:
            near, before = start, self._sizes[number]
        self._known = offset, before + size(self._text[near:offset])
        return self._known[1]

    def _size_at(self, search: _Search, number: int) -> int:
        """The size of the message if it ends before this line; trailing blanks are not posted."""
        if search.last < 0:
            return 0
        lines = self._outline.lines
        place = lines[number].start if number < len(lines) else len(self._text)
        return self._sizes[search.last + 1] - search.base + len(self._breaks.at(place).closing)

    def _consider(self, search: _Search, number: int) -> None:
        """Rate a break before this line."""
        place = self._outline.lines[number].start
        if search.last < 0 or place < search.at_least:
            return
        share = (self._sizes[search.last + 1] - search.base) / self._limit
        dislike = self._dislike(number, search.last)
        if not search.place or share - dislike >= search.score:
            search.place, search.score = place, share - dislike
        enough = search.full if dislike <= _NESTED else (1 + search.full) / 2
        if share >= enough and dislike <= _LINE:
            search.enough = place

    def _dislike(self, number: int, last: int) -> float:
        line, above = self._outline.lines[number], self._outline.lines[last]
        if line.kind is LineKind.CODE:
            return _POOR if above.kind is LineKind.OPENER else _BLANK if above.blank else _LINE
        if line.kind is LineKind.CLOSER or _is_heading_of(above, line):
            return _POOR
        if line.kind is LineKind.HEADER and number > line.first:
            return _NEVER
        if line.kind is LineKind.ROW:
            return _POOR if above.kind is LineKind.HEADER else _LINE
        if line.level is None:
            return _LINE
        leads_in = self._outline.text_of(last).rstrip().endswith((":", "："))
        return min(_NESTED * line.level, _BLANK) + (_LEAD_IN if leads_in else 0)

    def _overflow(self, search: _Search, number: int) -> int:
        """The end of a part that cannot hold the whole of this line."""
        line = self._outline.lines[number]
        prose = line.kind in (LineKind.PROSE, LineKind.HEADING)
        if search.place and search.score >= (1 - _WORD if prose else 0):
            return search.place
        if search.place and not prose and self._fits_alone(number):
            return search.place
        start = max(line.start, search.begin)
        furthest = within(self._text, start, line.end, self._room(search, start, line.end))
        word, broken = self._word_end(number, start, furthest, search.at_least)
        if place := word or (search.place if prose else 0) or broken or search.place:
            return place
        visible = start + len(self._text[start : line.end].rstrip())
        if furthest >= visible:  # only spaces are left: outside fences they are not posted
            furthest = furthest if line.fence else line.end
        place = line.end if furthest == line.end else grapheme_break(self._text, start, furthest)
        return max(search.at_least, start + 1, place)

    def _room(self, search: _Search, start: int, end: int) -> int:
        """The room from `start` on if the cut needs the largest possible closing."""
        inside, behind = self._breaks.at(min(start + 1, end - 1)), self._breaks.at(end)
        closing = max(LONGEST_RUN, len(inside.closing), len(behind.closing))
        return self._limit - (self._size_before(start) - search.base) - closing

    def _fits_alone(self, number: int) -> bool:
        line = self._outline.lines[number]
        before, after = self._breaks.at(line.start), self._breaks.at(line.end)
        own = self._sizes[number + 1] - self._sizes[number]
        return size(before.opening) + own + len(after.closing) <= self._limit

    def _word_end(self, number: int, start: int, furthest: int, at_least: int) -> tuple[int, int]:
        """The last offsets between two words: one that breaks no link or code span, and any."""
        line = self._outline.lines[number]
        begin = max(start, line.start + len(self._breaks.prefix(number)))
        broken = 0
        ends = list(_WORD_END.finditer(self._text, begin, min(furthest + 1, line.end)))
        for end in reversed(ends):
            cuts = bool(line.fence or self._breaks.atom(number, end.end()))
            blanks = None if cuts else _BLANKS.match(self._text, end.end(), line.end)
            place = blanks.end() if blanks else end.end()
            shown = end.start() if end[0].isspace() and not cuts else end.end()
            if shown > furthest or end.start() == begin or place < at_least:
                continue
            if line.fence or not cuts:
                return place, place
            broken = broken or place
        return 0, broken


def _is_heading_of(above: Line, line: Line) -> bool:
    """Whether the line above is a heading over this one, and not in a list or quote that ended."""
    inside = line.lists >= above.lists and line.quotes >= above.quotes
    return above.kind is LineKind.HEADING and inside
