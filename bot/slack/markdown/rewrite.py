"""Rewrites Markdown that Slack does not support: tags, formulas, footnotes.

An address that is followed by East Asian punctuation ends there only in angle brackets.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from bot.slack.markdown.blocks import PREFIX, LineKind, Outline, continuation
from bot.slack.markdown.breaks import LONGEST_RUN
from bot.slack.markdown.escape import break_mentions, escape
from bot.slack.markdown.inline import Piece
from bot.slack.markdown.inline import TokenKind as Inline
from bot.slack.markdown.syntax import PRODUCT, WIDE_PUNCTUATION, formula_source
from bot.slack.markdown.tags import BREAK, name_of, raised, raised_or_lowered, replacements

_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]*+(?:\r\n?|\n)(?:[ \t]*>)*[ \t]*")
_SCRIPT = re.compile(r"\$([\^_])(?:\{([^{}]*)\}|(\w))\$")
_SPACE = re.compile(r"[ \t]*")
_LONGEST_CONTINUATION = 60
"""Characters that each line break may add, in deeply nested quotes and lists."""


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
        prefix = PREFIX.match(self._text, self._line.start, self._stop)
        self._continuation = continuation(prefix[0]) if prefix else ""
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
        """The plain text between two tokens, with escaped signs of multiplication."""
        text = self._skip.get(start, self._text[start:end])
        return (
            PRODUCT.sub(lambda found: found[0].replace("*", r"\*"), text) if "*" in text else text
        )

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
        found = self._tags.get(token.start)
        if found and BREAK in found:
            before, _, after = found.partition(BREAK)
            return before + self._line_break(token, after) + after
        return "" if found == "`" and self._stray < token.start else found

    def _line_break(self, token: Piece, then: str = "") -> str:
        """A line break in place of a tag, if the line can be broken; `then` is what follows it."""
        if self._line.kind not in (LineKind.PROSE, LineKind.HEADING) or self._is_title:
            return " "
        blanks = _SPACE.match(self._text, token.end)
        after = then or (self._text[blanks.end() : blanks.end() + 1] if blanks else "")
        if after in ("\r", "\n", ""):
            return ""
        if after in "`~|=-+*#>0123456789":  # it would begin another block
            return " "
        if len(self._continuation) > _LONGEST_CONTINUATION:
            return " "
        return "\n" + self._continuation

    def _formula(self, token: Piece, raw: str) -> str | None:
        """A formula as code: Markdown would drop its backslashes. Not beside other backticks."""
        if script := _SCRIPT.fullmatch(raw):
            name, content = "sup" if script[1] == "^" else "sub", script[2] or script[3]
            if (spelled := raised_or_lowered(name, content)) is not None:
                return spelled
        beside = self._text[token.start - 1 : token.start], self._text[token.end : token.end + 1]
        if "`" in beside:
            return None
        source = _LINE_BREAK.sub(" ", formula_source(raw)).strip()
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
        label = raw[2:-1].rstrip("^") or raw[2:-1]  # some models write [^1^]
        if label.isdigit() and label.isascii():
            return raised(label)
        before = self._text[token.start - 1 : token.start]
        return f"{' ' if before in ('!', ']') else ''}({break_mentions(escape(label))})"

    def _address(self, token: Piece, raw: str) -> str | None:
        before, after = (
            self._text[token.start - 1 : token.start],
            self._text[token.end : token.end + 1],
        )
        touches = (before and before in WIDE_PUNCTUATION) or (after and after in WIDE_PUNCTUATION)
        return f"<{raw}>" if touches else None
