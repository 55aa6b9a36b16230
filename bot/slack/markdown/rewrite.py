"""Rewrites Markdown that Slack does not support: tags, formulas, footnotes.

Bold text that ends in East Asian punctuation needs an invisible character between the two, and an
address ends at such punctuation only in angle brackets.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from bot.slack.markdown.blocks import PREFIX, Kind, Outline, continuation
from bot.slack.markdown.breaks import LONGEST_RUN
from bot.slack.markdown.inline import Kind as Inline
from bot.slack.markdown.inline import Piece
from bot.slack.markdown.syntax import WIDE_PUNCTUATION
from bot.slack.markdown.tags import name_of, raised, raised_or_lowered, replacements

ZERO_WIDTH_SPACE = "\u200b"
BOLD = re.compile(r"(?<!\*)\*\*(?!\*)")
_PUNCTUATION = re.compile(r"[^\w\s\u200b*]")
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff00-\uffef]"
)
_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]*+(?:\r\n?|\n)(?:[ \t]*>)*[ \t]*")
_SPACE = re.compile(r"[ \t]*")


class Rewrite:
    """The tokens of one range of lines, and the replacements of unsupported ones."""

    def __init__(self, found: Outline, first: int, end: int, tokens: Sequence[Piece]) -> None:
        self._text = found.text
        self._line = found.lines[first]
        self._stop = found.lines[end - 1].end
        self._tags: dict[int, str] = {}
        self._skip: dict[int, str] = {}
        self._is_title = False
        self._runs: set[int] | None = None
        strays = (token.start for token in tokens if token.kind is Inline.TICKS)
        self._stray = next(strays, self._stop)  # backticks that could pair with ours
        if any(token.kind is Inline.HTML for token in tokens):
            begin = tokens[0].start
            start = max(self._line.start, self._text.rfind("\n", 0, begin) + 1)
            prefix = PREFIX.match(self._text, start, self._stop)
            self._tags = replacements(
                self._text, tokens, prefix.end() if prefix else start, self._stop
            )
            self._is_title = self._text.startswith("#", prefix.end() if prefix else start)
            self._skip = dict(self._scripts(tokens))

    def of(self, token: Piece) -> str | None:
        """The replacement of a token; None if it is left to the caller."""
        raw = self._text[token.start : token.end]
        match token.kind:
            case Inline.FORMULA:
                return self._formula(token, raw)
            case Inline.HTML:
                return self._tag(token, raw)
            case Inline.FOOTNOTE:
                return self._footnote(token, raw)
            case Inline.DEFINITION:
                return raw[:-1]
            case Inline.URL if not token.inside:
                return self._address(token, raw)
        return None

    def between(self, start: int, end: int) -> str:
        """The plain text between two tokens."""
        return self._skip.get(start, self._text[start:end])

    def _scripts(self, tokens: Sequence[Piece]) -> Iterator[tuple[int, str]]:
        for opener, closer in pairwise(tokens):
            if opener.kind is closer.kind is Inline.HTML and opener.start in self._tags:
                name = name_of(self._text[opener.start : opener.end])
                content = self._text[opener.end : closer.start]
                if (script := raised_or_lowered(name, content)) is not None:
                    yield opener.end, script

    def _tag(self, token: Piece, raw: str) -> str | None:
        name = name_of(raw)
        if name in ("br", "hr"):
            return self._line_break(token)
        stands = self._tags.get(token.start)
        return "" if stands == "`" and self._stray < token.start else stands

    def _line_break(self, token: Piece) -> str:
        if self._line.kind not in (Kind.PROSE, Kind.HEADING) or self._is_title:
            return " "
        blanks = _SPACE.match(self._text, token.end)
        after = self._text[blanks.end() : blanks.end() + 1] if blanks else ""
        if after in ("\r", "\n", ""):
            return ""
        if after in "`~|=-+*#>0123456789":  # it would begin another block
            return " "
        prefix = PREFIX.match(self._text, self._line.start)
        return "\n" + continuation(prefix[0] if prefix else "")

    def _formula(self, token: Piece, raw: str) -> str | None:
        """A formula as code: Markdown would drop its backslashes."""
        source = raw[2:-2] if raw.startswith(("\\", "$$")) else raw[1:-1]
        source = _LINE_BREAK.sub(" ", source).strip()
        if self._stray > token.start:
            wrapped = f"`` {source} ``" if "`" in source else f"`{source}`"
            return None if "``" in source else wrapped
        if self._runs is None:
            unit = self._text[self._line.start : self._stop]
            self._runs = set(map(len, re.findall("`+", unit)))
        free = [length for length in range(1, LONGEST_RUN + 1) if length not in self._runs]
        ticks = "`" * free[0] if free else ""
        return f"{ticks} {source} {ticks}" if ticks else None

    def _footnote(self, token: Piece, raw: str) -> str:
        label = raw[2:-1]
        if label.isdigit() and label.isascii():
            return raised(label)
        before = self._text[token.start - 1 : token.start]
        return f"{' ' if before in ('!', ']') else ''}({label})"

    def _address(self, token: Piece, raw: str) -> str | None:
        before, after = (
            self._text[token.start - 1 : token.start],
            self._text[token.end : token.end + 1],
        )
        touches = (before and before in WIDE_PUNCTUATION) or (after and after in WIDE_PUNCTUATION)
        return f"<{raw}>" if touches else None


def join_bold(parts: Iterable[tuple[str, bool]]) -> str:
    """Join parts of a text, some of them plain, and separate `**` from punctuation.

    CommonMark shows the `**` of `**重要：**明日` literally, unless something is between the two.
    """
    pieces, marks, reached = [*parts], list[int](), 0
    for part, is_plain in pieces:
        if is_plain and "**" in part:
            marks += [reached + mark.start() for mark in BOLD.finditer(part)]
        reached += len(part)
    text = "".join(part for part, _ in pieces)
    return _insert(text, _gaps(text, marks)) if len(marks) > 1 else text


def _gaps(text: str, marks: Iterable[int]) -> Iterator[int]:
    """The offsets at which a mark is adjacent to punctuation in or beside East Asian text."""
    opening: int | None = None
    for mark in marks:
        if opening is None or "\n" in (inner := text[opening + 2 : mark]):
            opening = mark
            continue
        around = text[opening - 1 : opening] + inner + text[mark + 2 : mark + 3]
        if inner.strip() and inner == inner.strip() and _EAST_ASIAN.search(around):
            if _PUNCTUATION.match(inner[0]):
                yield opening + 2
            if _PUNCTUATION.match(inner[-1]):
                yield mark
        opening = None


def _insert(text: str, gaps: Iterable[int]) -> str:
    out, reached = [], 0
    for gap in gaps:
        out += [text[reached:gap], ZERO_WIDTH_SPACE]
        reached = gap
    return "".join([*out, text[reached:]])
