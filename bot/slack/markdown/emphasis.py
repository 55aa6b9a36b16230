"""Emphasis beside East Asian text.

CommonMark shows the marks of `**重要：**明日` and `*（必読）*です` literally: a mark between
punctuation and a letter opens or closes nothing. An invisible character between the two helps.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.slack.markdown.escape import ZERO_WIDTH_SPACE

MARKS = re.compile(r"(?<![*\\])\*{1,3}(?!\*)|(?<![~\\])~~(?!~)")
_PUNCTUATION = re.compile(r"[^\w\s\u200b*~]")
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]"
)


@dataclass(frozen=True, slots=True)
class Emphasis:
    """The offsets of an opening and a closing mark. An open one extends to the end of the text."""

    start: int
    inner_start: int
    inner_end: int
    end: int

    @property
    def is_open(self) -> bool:
        """Whether there is no closing mark."""
        return self.inner_end == self.end


def emphases(text: str, marks: Iterable[tuple[int, int]]) -> Iterator[Emphasis]:
    """The emphases of a paragraph with these marks, and the marks that none closes in their line.

    Closed ones come in the order of their closing marks. `*` may be a product (`2*3`), so it opens
    nothing after a Latin letter or a digit.
    """
    opened: dict[str, tuple[int, int]] = {}
    reached = 0
    for start, end in marks:
        if "\n" in text[reached:start]:
            opened.clear()
        reached, mark = end, text[start:end]
        closes = not text[start - 1 : start].isspace()
        inner = _outermost(opened) if mark == "***" and mark not in opened else {mark}
        if closes and (openings := [opened.pop(each) for each in inner if each in opened]):
            opening = min(openings)
            yield Emphasis(*opening, start, end)
        elif _opens(text, start, end):
            opened[mark] = start, end
    if "\n" not in text[reached:]:
        for start, end in opened.values():
            yield Emphasis(start, end, len(text), len(text))


def _outermost(opened: Iterable[str]) -> set[str]:
    """The marks that `***` closes together."""
    return {"*", "**"} if {"*", "**"} <= set(opened) else set()


def _opens(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    product = end - start == 1 and before.isalnum() and before.isascii()
    return bool(after.strip()) and not product


def separate_emphasis(parts: Iterable[tuple[str, bool]]) -> str:
    """Join parts of a paragraph, some of them plain, and separate marks from punctuation."""
    pieces, marks, reached = [*parts], list[tuple[int, int]](), 0
    for part, is_plain in pieces:
        if is_plain:
            marks += [
                (reached + each.start(), reached + each.end()) for each in MARKS.finditer(part)
            ]
        reached += len(part)
    text = "".join(part for part, _ in pieces)
    return _insert(text, sorted(_gaps(text, marks))) if len(marks) > 1 else text


def _gaps(text: str, marks: Iterable[tuple[int, int]]) -> Iterator[int]:
    """The offsets at which a mark is adjacent to punctuation in or beside East Asian text."""
    for found in emphases(text, marks):
        inner = text[found.inner_start : found.inner_end]
        if found.is_open:
            continue
        around = text[found.start - 1 : found.start] + inner + text[found.end : found.end + 1]
        if inner and inner.strip() == inner and _EAST_ASIAN.search(around):
            if _PUNCTUATION.match(inner[0]):
                yield found.inner_start
            if _PUNCTUATION.match(inner[-1]):
                yield found.inner_end


def _insert(text: str, gaps: Iterable[int]) -> str:
    out, reached = [], 0
    for gap in gaps:
        out += [text[reached:gap], ZERO_WIDTH_SPACE]
        reached = gap
    return "".join([*out, text[reached:]])
