"""The prefix of a growing answer that later text cannot change."""

import re
from bisect import bisect_left
from collections.abc import Iterator

from bot.slack.markdown.blocks import Line, LineKind, Outline, outline
from bot.slack.markdown.emphasis import MARKS, Emphasis, emphases
from bot.slack.markdown.inline import Piece, atoms, pieces
from bot.slack.markdown.inline import TokenKind as Inline
from bot.slack.markdown.sanitize import DEFINING, OPENING
from bot.slack.markdown.syntax import OPEN_PRODUCT, PRODUCT

_LONGEST_ADDRESS = 2000
_LONGEST_FORMULA = 600
_REACH = 100  # characters of an unfinished word, tag or mark that are held back

_BLANK_LINE = re.compile(r"(?:\r\n?+|\n)[ \t]*[\r\n]")
_MARKERS_ONLY = re.compile(r"[ \t>#*+=~`|:_.)\d-]*")
_TAIL = re.compile(
    rf"(?: {OPEN_PRODUCT} |"
    r" \\b?e?g?i?n? | ! | https?:/{0,2} | @[\w/.-]* | &\#?\w* | [*_~]+"
    r" | 【[^】\r\n]* | <\S* | \$*[^\W_][\w'’.,-]* | \$+[^\x00-\x7f] )\Z",
    re.VERBOSE | re.ASCII,
)
_LABELLED = re.compile(
    r"<(?:[a-z]+:[^\s<>|]+\|[^<>\r\n|]*|/?[a-z][a-z0-9]*\s[^<>\r\n]*|!-[^<>]*)\Z", re.IGNORECASE
)
_ADDRESS = re.compile(r"https?://\S*\Z", re.IGNORECASE)
_DOLLARS = re.compile(
    r"(?:(?<![A-Za-z0-9_$\\])(?:\$\$[^$]*\$?|\$(?![\s$])(?:[^$\s]{0,40}|(?!\d)[^$\r\n`]{0,200}))"
    r"|\$(?:[\^_][^$\s]{0,42})?)\Z"
)
_DISPLAY = re.compile(r"(?<![A-Za-z0-9_$\\])\$\$(?!\$)")
_UNTIL_NEXT = (Inline.URL, Inline.FORMULA, Inline.FOOTNOTE)
"""The meaning of a token depends on the next character."""
_TARGET_SO_FAR = re.compile(r"(?:\((?:[^()\[\r\n]|\([^()\[\r\n]*+\)?)*+)?\Z")
_DEFINITION_SO_FAR = re.compile(r":[\s>]{0,100}+[^<>/?#\s]{0,200}\Z")
"""What follows a label and may become the definition of a link."""
_BY_LINE = (LineKind.ROW, LineKind.OPENER, LineKind.CODE, LineKind.CLOSER)


def stable_prefix(markdown: str) -> int:
    """The length of the prefix of a growing text that later text cannot change.

    The last word is held back, and so is text that may become a link, a code span, bold or a fence;
    of code and tables the last line. The character at the returned offset is not white space, since
    Slack may drop white space where a piece of a stream begins. What `sanitize` makes of the prefix
    only grows.
    """
    return stable_length(outline(markdown))


def stable_length(found: Outline) -> int:
    """`stable_prefix` of a text whose outline is known."""
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
    if line.kind in (LineKind.PROSE, LineKind.HEADING):
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
    if line.kind is LineKind.HEADER:
        return found.lines[line.first].start
    if line.kind is LineKind.PROSE and text.lstrip(" \t>").startswith("|"):
        return found.lines[max(line.first, number - 1)].start  # perhaps the header of a table
    if line.kind in _BY_LINE or _MARKERS_ONLY.fullmatch(text.rstrip()):
        return line.start
    return len(found.text)


def _inline_hold(found: Outline, line: Line, offset: int, open: bool) -> int:
    """The offset, or the start of a link, code span or similar that it would cut."""
    text, begin = found.text, found.lines[line.first].start
    tokens = pieces(text, begin, line.end)
    last = [token for token in tokens if token.start >= line.start]
    holds = [offset, *(token.start for token in last if _holds_line(text, token))]
    if open:
        holds += [token.start for token in tokens if token.kind is Inline.TICKS]
        holds += [token.start for token in tokens if text.startswith("\\[", token.start)]
        holds += [token.start for token in tokens if _may_define(text, token)]
        if (environment := text.rfind("\\begin{", begin)) >= 0:
            holds.append(environment)
        holds += _open_formula(text, begin, tokens)
    if line.end == len(text) and not text.endswith("\n"):
        holds += _open_brackets(text, last)
        label = text.rfind("<", line.start)
        if label >= 0 and _LABELLED.match(text, label):
            holds.append(label)
        if dollars := _DOLLARS.search(text, max(line.start, len(text) - _LONGEST_FORMULA)):
            holds.append(dollars.start())
    return _before_cut(text, begin, tokens, min(holds))


def _before_cut(text: str, begin: int, tokens: list[Piece], offset: int) -> int:
    """The offset, or the start of the outermost markup that it would cut."""
    whole = [*atoms(tokens), *(token for token in tokens if token.kind is not Inline.LINE)]
    ranges = [(token.start, _last_cut(token)) for token in whole]
    ranges += [(each.start, each.end) for each in _emphases(text, begin, tokens)]
    ranges += _rests_of_lines(tokens, len(text))
    ranges += _pointed(text, tokens)
    ranges += (found.span() for found in PRODUCT.finditer(text, begin))
    for start, end in sorted(ranges, reverse=True):
        if start < offset <= end:
            offset = start
    return _before_dollars(text, begin, offset)


def _before_dollars(text: str, begin: int, offset: int) -> int:
    """The offset, or the start of a formula that would end there only because of the cut."""
    while text[offset - 1 : offset] == "$" and (start := text.rfind("$", begin, offset - 1)) >= 0:
        offset = start
    return offset


def _open_formula(text: str, begin: int, tokens: list[Piece]) -> Iterator[int]:
    """The start of a formula between $$ that is not closed yet, in a line before this one."""
    for mark in _DISPLAY.finditer(text, begin):
        if not _is_inside(mark.start(), tokens):
            yield mark.start()
            return


def _rests_of_lines(tokens: list[Piece], end: int) -> Iterator[tuple[int, int]]:
    """The ranges from each token that decides about its line to the end of that line."""
    for token in reversed(tokens):
        if token.kind is Inline.LINE:
            end = token.start
        elif token.kind is Inline.HTML:
            yield token.start, end


def _pointed(text: str, tokens: list[Piece]) -> Iterator[tuple[int, int]]:
    """The ranges from the end of each label to the next character, which decides whether it ends
    there."""
    for token in tokens:
        if token.kind is not Inline.CLOSE:
            continue
        for found in (OPENING.match(text, token.end), DEFINING.match(text, token.end)):
            if found:
                yield token.start, found.end() - 1


def _may_define(text: str, token: Piece) -> bool:
    """Whether the text behind a label decides later whether it is the definition of a link."""
    return token.kind is Inline.CLOSE and bool(_DEFINITION_SO_FAR.match(text, token.end))


def _last_cut(token: Piece) -> int:
    """The last offset that would cut a token, or leave out a character that decides its meaning."""
    return token.end if token.kind in _UNTIL_NEXT else token.end - 1


def _holds_line(text: str, token: Piece) -> bool:
    """Whether the rest of the line decides what the token becomes."""
    return token.kind is Inline.HTML or text.startswith("\\(", token.start)


def _emphases(text: str, begin: int, tokens: list[Piece]) -> Iterator[Emphasis]:
    """The emphases of a paragraph. The character after one decides its meaning, too."""
    taken = [token for token in tokens if token.kind not in (Inline.HTML, Inline.LINE)]
    found = (mark.span() for mark in MARKS.finditer(text, begin))
    return emphases(text, [mark for mark in found if not _is_inside(mark[0], taken)])


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
