"""An answer in progress: which part of it can be shown, and in which message."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from bot.slack.markdown.blocks import Kind, Line, Outline, outline
from bot.slack.markdown.clean import clean_so_far
from bot.slack.markdown.counting import BlockCount
from bot.slack.markdown.graphemes import size
from bot.slack.markdown.inline import Kind as Inline
from bot.slack.markdown.inline import Piece, atoms, pieces
from bot.slack.markdown.reasoning import has_reasoning
from bot.slack.markdown.rewrite import BOLD
from bot.slack.markdown.sanitize import sanitize
from bot.slack.markdown.split import LIMIT, MAX_BLOCKS, Part, Splitter

_FULL = 0.85
"""The share of the limit after which a message ends with the next block: the rest is for blocks
that would otherwise be cut."""
_LONGEST_ADDRESS = 2000
_LONGEST_FORMULA = 600
_REACH = 100  # characters of an unfinished word, tag or mark that are held back

_BLANK_LINE = re.compile(r"(?:\r\n?+|\n)[ \t]*[\r\n]")
_MARKERS_ONLY = re.compile(r"[ \t>#*+=~`|:_.)\d-]*")
_TAIL = re.compile(
    r"(?: \\ | ! | https?:/{0,2} | @[\w/.-]* | &\#?\w* | [*_~]+"
    r" | 【[^】\r\n]* | <\S* | [^\W_][\w'’.,-]* )\Z",
    re.VERBOSE | re.ASCII,
)
_LABELLED = re.compile(
    r"<(?:[a-z]+:[^\s<>|]+\|[^<>\r\n|]*|/?[a-z][a-z0-9]*\s[^<>\r\n]*|!-[^<>]*)\Z", re.IGNORECASE
)
_ADDRESS = re.compile(r"https?://\S*\Z", re.IGNORECASE)
_DOLLARS = re.compile(
    r"(?<![\w$\\])(?:\$\$[^$]*\$?|\$(?![\s$])(?:[^$\s]{0,40}|(?!\d)[^$\r\n`]{0,200}))\Z"
)
_UNTIL_NEXT = (Inline.URL, Inline.FORMULA, Inline.FOOTNOTE)
"""The meaning of a token depends on the next character."""
_TARGET_SO_FAR = re.compile(r"(?:\((?:[^()\[\r\n]|\([^()\[\r\n]*+\)?)*+)?\Z")
_EMPHASIS = (re.compile(r"\*\*"), BOLD, re.compile("~~"))
_BLOCK_START = re.compile(
    r"^[ \t]*(?:[#>`~|_=]|[-*+\d][^\r\n])|(?:\r\n?|\n)[ \t]*[\r\n]", re.MULTILINE
)
"""Offsets at which a block may begin: at least all real ones."""
_BY_LINE = (Kind.ROW, Kind.OPENER, Kind.CODE, Kind.CLOSER)


def stable_prefix(markdown: str) -> int:
    """The length of the prefix of a growing text that later text cannot change.

    The last word is held back, and so is text that may become a link, a code span, bold or a fence;
    of code and tables the last line. The character at the returned offset is not white space, since
    Slack may drop white space where a piece of a stream begins. What `sanitize` makes of the prefix
    only grows.
    """
    return _stable(outline(markdown))


def _stable(found: Outline) -> int:
    markdown = found.text
    end = len(markdown.rstrip())
    if not end:
        return 0
    line = found.lines[found.number(end - 1)]
    if _may_be_marker(found, line):  # or continue the paragraph above
        offset = _settled(outline(markdown[: line.start]), line.start)
    else:
        offset = _settled(found, _tail(found, line, end))
    while markdown[offset].isspace():
        offset += 1
    return offset


def _may_be_marker(found: Outline, line: Line) -> bool:
    unfinished = line.end == len(found.text) and line.kind not in _BY_LINE
    return unfinished and bool(_MARKERS_ONLY.fullmatch(found.text, line.start))


def _settled(found: Outline, offset: int) -> int:
    """The offset, or the start of something incomplete before it."""
    end = len(found.text.rstrip())
    if not end:
        return offset
    number = found.number(end - 1)
    line = found.lines[number]
    offset = min(offset, _line_hold(found, number))
    if line.kind in (Kind.PROSE, Kind.HEADING):
        offset = _inline_hold(found, line, offset, open=not _BLANK_LINE.search(found.text, end))
    return offset


def _tail(found: Outline, line: Line, end: int) -> int:
    """The start of the last, possibly incomplete word or mark of the line."""
    tail = _TAIL.search(found.text, max(line.start, end - _REACH), end)
    offset = tail.start() if tail else end - 1
    scheme = found.text.rfind("://", max(line.start, end - 2 * _LONGEST_ADDRESS), end)
    address = _ADDRESS.search(found.text, max(line.start, scheme - 5), end) if scheme >= 0 else None
    return min(offset, address.start()) if address else offset


def _line_hold(found: Outline, number: int) -> int:
    """The start of the line if it can only be parsed as a whole."""
    line, text = found.lines[number], found.text_of(number)
    if line.kind is Kind.HEADER:
        return found.lines[line.first].start
    if line.kind is Kind.PROSE and text.lstrip(" \t>").startswith("|"):
        return found.lines[max(line.first, number - 1)].start  # perhaps the header of a table
    if line.kind in _BY_LINE or _MARKERS_ONLY.fullmatch(text.rstrip()):
        return line.start
    return len(found.text)


def _inline_hold(found: Outline, line: Line, offset: int, open: bool) -> int:
    """The offset, or the start of a link, code span or similar that it would cut."""
    text = found.text
    tokens = pieces(text, found.lines[line.first].start, line.end)
    last = [token for token in tokens if token.start >= line.start]
    holds = [offset, *_cut_emphasis(text, line.start, tokens, offset)]
    holds += [token.start for token in last if _holds_line(text, token)]
    if open:
        holds += [token.start for token in tokens if token.kind is Inline.TICKS]
        holds += [token.start for token in tokens if text.startswith("\\[", token.start)]
    if line.end == len(text) and not text.endswith("\n"):
        holds += _open_brackets(text, last)
        label = text.rfind("<", line.start)
        if label >= 0 and _LABELLED.match(text, label):
            holds.append(label)
        if dollars := _DOLLARS.search(text, max(line.start, len(text) - _LONGEST_FORMULA)):
            holds.append(dollars.start())
    offset = min(holds)
    whole = [*atoms(tokens), *(token for token in tokens if token.kind is not Inline.LINE)]
    return min([offset, *(token.start for token in whole if _is_cut(token, offset))])


def _is_cut(token: Piece, offset: int) -> bool:
    end = token.end + 1 if token.kind in _UNTIL_NEXT else token.end
    return token.start < offset < end


def _holds_line(text: str, token: Piece) -> bool:
    """Whether the rest of the line decides what the token becomes."""
    return token.kind is Inline.HTML or text.startswith("\\(", token.start)


def _cut_emphasis(text: str, start: int, tokens: list[Piece], offset: int) -> Iterator[int]:
    """The start of bold or struck text that is open at the offset."""
    code = [token for token in tokens if token.kind is Inline.CODE]
    for emphasis in _EMPHASIS:
        found = (mark.start() for mark in emphasis.finditer(text, start))
        marks = [mark for mark in found if not _is_inside(mark, code)]
        for opening, closing in zip_longest(marks[::2], marks[1::2], fillvalue=len(text)):
            if opening < offset <= closing + 2:  # the next character decides, too
                yield opening


def _is_inside(offset: int, spans: list[Piece]) -> bool:
    before = bisect_left(spans, offset, key=lambda span: span.start) - 1
    return before >= 0 and offset < spans[before].end


def _open_brackets(text: str, tokens: list[Piece]) -> Iterator[int]:
    closed = {id(token.partner): token for token in tokens if token.kind is Inline.CLOSE}
    for token in tokens:
        if token.kind is Inline.OPEN and not token.partner:
            close = closed.get(id(token))
            if not close or _TARGET_SO_FAR.match(text, close.end):
                yield token.start


@dataclass(frozen=True, slots=True)
class Append:
    """Text to append to the current message; `ends` if that makes it full."""

    text: str
    ends: bool = False


class Visible:
    """The showable part of an answer in progress: cleaned, complete and sanitized.

    Each text is the whole answer so far. Only text from the last top-level block on is read again.
    """

    def __init__(self) -> None:
        self._read = ""  # the beginning of the answer that is not read again
        self._shown = ""  # what is shown of it
        self._opener = ""  # the line that reopens the current code block

    def of(self, text: str) -> str:
        """The part of `clean(text)` that later text cannot change, sanitized for Slack."""
        if not text.startswith(self._read) or has_reasoning(text[len(self._read) :]):
            self._read = self._shown = self._opener = ""
        rest = self._opener + text[len(self._read) :]
        found = outline(clean_so_far(rest))
        stable = _stable(found)
        if rest.startswith(found.text[:stable]) and not has_reasoning(rest):
            return self._advance(found, stable)
        return self._shown + self._safe(found.text[:stable])

    def _advance(self, found: Outline, stable: int) -> str:
        """Advance to where the text can be resumed; returns the shown text up to `stable`."""
        reached, opener = found.restart(stable)
        if reached > len(self._opener) and sanitize(opener) == opener:
            self._shown += self._safe(found.text[:reached])
            self._read += found.text[len(self._opener) : reached]
            self._opener = opener
            return self._shown + self._safe(opener + found.text[reached:stable])
        return self._shown + self._safe(found.text[:stable])

    def _safe(self, text: str) -> str:
        return sanitize(text)[len(self._opener) :]


class GrowingAnswer:
    """Lays a growing text out over append-only messages.

    Pass the showable part, `sanitize(text[:stable_prefix(text)])`, to `advance`, and the complete
    text to `finish`. Each returns what to append; after an Append that ends its message, the next
    one begins a new message. `starts` are the offsets of the messages: if they are stored,
    `parts(text, start=...)` can finish the work of a process that died.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.starts = [0]
        self.diverged = False
        """Whether the text no longer begins with the shown text (a note was inserted). Then nothing
        more is appended: replace the messages by the `parts` of the complete text."""
        self._limit = limit
        self._shown = ""  # all the text that was laid out
        self._sent = ""  # to the message that is being written
        self._flows = False  # the message goes on with the text as it is
        self._blocks = BlockCount()

    def advance(self, text: str) -> list[Append]:
        """The appends for the text so far."""
        return [append for append in self._lay_out(text, final=False) if append.text or append.ends]

    def finish(self, text: str) -> list[Append]:
        """The remaining appends. The last one ends its message, even if it adds nothing."""
        return list(self._lay_out(text, final=True))

    def _lay_out(self, text: str, final: bool) -> Iterator[Append]:
        if not text.startswith(self._shown):
            self.diverged = self.diverged or final or len(text) >= len(self._shown)
        if self.diverged or len(text) < len(self._shown):
            return
        if not final and self._flows and self._sent and self._is_far_from_full(text):
            yield self._flow(text)
            return
        splitter = Splitter(outline(text), self._limit)
        while self.starts[-1] < len(text):
            part = splitter.part(self.starts[-1], len(self._shown), 2.0 if final else _FULL)
            ends = final or part.end < len(text)
            self._flows = not ends and not part.dedent
            if (append := self._append(part, ends)) is None:
                self.diverged = True
                return
            self._shown = text[: part.end]
            yield append
            if not ends:
                return
            self.starts.append(part.end)
            self._sent = ""

    def _is_far_from_full(self, text: str) -> bool:
        """Whether a message cannot end yet, by its size and its blocks."""
        added = text[len(self._shown) :]
        if size(self._sent) + size(added) >= _FULL * self._limit:
            return False
        few = len(_BLOCK_START.findall(self._sent + added)) < MAX_BLOCKS
        return few or self._blocks.of(text, self.starts[-1]) < MAX_BLOCKS

    def _flow(self, text: str) -> Append:
        added = text[len(self._shown) :]
        self._shown = text
        self._sent += added
        return Append(added)

    def _append(self, part: Part, ends: bool) -> Append | None:
        message = part.text if ends else part.open_text
        if size(message) > self._limit:
            message = message.rstrip()  # blank lines at the edge are neither counted nor shown
        if not message.startswith(self._sent.rstrip()):
            return None
        # Indentation of a line that ended up in the next message may have been sent.
        sent = self._sent if message.startswith(self._sent) else self._sent.rstrip()
        added = message[len(sent) :]
        self._sent += added
        return Append(added, ends)
