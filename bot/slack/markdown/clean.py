"""Removes text that is not meant for people from a model's answer; for posts, records and
exports."""

from bot.slack.markdown.blocks import PROSE, outline
from bot.slack.markdown.inline import Kind as Inline
from bot.slack.markdown.inline import pieces
from bot.slack.markdown.markers import (
    before_unfinished,
    blanks_before,
    has_citations,
    shown,
    strip_controls,
    strip_controls_so_far,
)
from bot.slack.markdown.reasoning import split_reasoning


def clean(text: str) -> str:
    """A complete answer without reasoning, citation markers and control characters.

    The rest of the Markdown is unchanged, code too, except control characters.
    """
    return _strip_citations(split_reasoning(strip_controls(text)).answer)


def clean_so_far(text: str) -> str:
    """Like `clean`, for the beginning of an answer: omits text that may become a marker."""
    text = before_unfinished(strip_controls_so_far(text))
    return _strip_citations(split_reasoning(text, whole=False).answer)


def reasoning(text: str) -> str:
    """The reasoning that an answer contains, as Markdown; "" if there is none."""
    return split_reasoning(strip_controls(text)).reasoning


def _strip_citations(text: str) -> str:
    if not has_citations(text):
        return text
    found = outline(text)
    spaces = dict(blanks_before(text))
    out, reached = [], 0
    for first, end in found.units():
        if found.lines[first].kind not in PROSE:
            continue
        start, stop = found.lines[first].start, found.lines[end - 1].end
        for piece in pieces(text, start, stop):
            if piece.kind is Inline.MARK:
                words = shown(text[piece.start : piece.end])
                begin = piece.start if words else _begin(text, piece.start, spaces)
                out += [text[reached : max(reached, begin)], words]
                reached = piece.end
    return "".join([*out, text[reached:]])


def _begin(text: str, start: int, spaces: dict[int, int]) -> int:
    """The start of a marker, including the spaces before it that would be left over."""
    first = start
    while first and text[first - 1] in " \t":
        first -= 1
    return first if spaces.get(first) == start else start
