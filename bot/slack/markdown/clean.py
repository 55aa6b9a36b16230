"""Removes text that is not meant for people from a model's answer; for posts, records and
exports."""

import re
from collections.abc import Iterable, Iterator

from bot.slack.markdown.blocks import PROSE, outline
from bot.slack.markdown.inline import TokenKind as Inline
from bot.slack.markdown.inline import pieces
from bot.slack.markdown.markers import (
    CITATION,
    NO_SPACE_BEFORE,
    before_unfinished,
    blanks_before,
    has_citations,
    shown,
    strip_controls,
    strip_controls_so_far,
)
from bot.slack.markdown.reasoning import split_reasoning
from bot.slack.markdown.skipping import CODE, FENCE_START, CodeEnds

_LONGEST = 150_000
"""A longer answer is not shown as a whole, but attached as a file."""
_AFTER = re.compile(NO_SPACE_BEFORE)
_CODE_OR_MARKER = re.compile(
    rf"(?=[\ue200-\ue206:{{【〖⟦\[(<fco`]|{FENCE_START})(?:{CODE}|(?P<MARKER>{CITATION}))",
    re.IGNORECASE | re.MULTILINE,
)


def clean(text: str) -> str:
    """A complete answer without reasoning, citation markers and control characters.

    The rest of the Markdown is unchanged, code too, except control characters.
    """
    return _strip_citations(split_reasoning(strip_controls(text)).answer)


def clean_so_far(text: str) -> str:
    """Like `clean`, for the beginning of an answer: omits text that may become a marker."""
    text = before_unfinished(strip_controls_so_far(text))
    text = _strip_citations(split_reasoning(text, whole=False).answer)
    opened = text.rstrip(" \t,;")  # parentheses may turn out to hold markers only
    return opened[:-1].rstrip(" \t") if opened.endswith(("(", "（")) else text


def reasoning(text: str) -> str:
    """The reasoning that an answer contains, as Markdown; "" if there is none."""
    return split_reasoning(strip_controls(text)).reasoning


def _strip_citations(text: str) -> str:
    if not has_citations(text):
        return text
    spaces = dict(blanks_before(text))
    out, reached = [], 0
    markers = _markers(text) if len(text) < _LONGEST else _markers_quickly(text)
    for start, end in _with_parentheses(text, markers):
        words = shown(text[start:end])
        begin = start if words else _begin(text, start, spaces)
        out += [text[reached : max(reached, begin)], words]
        reached = end
    return "".join([*out, text[reached:]])


def _markers(text: str) -> Iterator[tuple[int, int]]:
    """The citation markers outside of code."""
    found = outline(text)
    for first, end in found.units():
        if found.lines[first].kind in PROSE:
            start, stop = found.lines[first].start, found.lines[end - 1].end
            for piece in pieces(text, start, stop):
                if piece.kind is Inline.MARK:
                    yield piece.start, piece.end


def _markers_quickly(text: str) -> Iterator[tuple[int, int]]:
    """The same without parsing the text, so that code by indentation is searched, too."""
    ends, position = CodeEnds(text), 0
    while token := _CODE_OR_MARKER.search(text, position):
        position = token.end()
        if token["MARKER"] is None:
            position = ends.after(token)
        else:
            yield token.span()


def _with_parentheses(text: str, markers: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The markers, each group that is alone between parentheses with these."""
    group: list[tuple[int, int]] = []
    for marker in markers:
        if group and text[group[-1][1] : marker[0]].strip(" ,;"):
            yield from _outermost(text, group)
            group = []
        group.append(marker)
    yield from _outermost(text, group)


def _outermost(text: str, group: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if not group:
        return []
    start, end = group[0][0], group[-1][1]
    pair = text[start - 1 : start] + text[end : end + 1]
    hidden = not any(shown(text[first:last]) for first, last in group)
    if pair not in ("()", "（）") or not hidden:
        return group
    begin = start - 1
    if _AFTER.match(text, end + 1):
        begin = _before_spaces(text, begin)
    return [(begin, end + 1)]


def _begin(text: str, start: int, spaces: dict[int, int]) -> int:
    """The start of a marker, including the spaces before it that would be left over."""
    first = _before_spaces(text, start)
    return first if spaces.get(first) == start else start


def _before_spaces(text: str, start: int) -> int:
    while start and text[start - 1] in " \t":
        start -= 1
    return start
