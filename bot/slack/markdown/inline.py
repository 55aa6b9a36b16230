"""The inline Markdown of one paragraph: code spans, links, images, angle brackets, mentions.

Links do not cross lines here; code spans may. Everything is linear in the length of the text.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from bot.slack.markdown.syntax import SPECIAL, is_formula

_URL = r"(?:[^\s()<>\\]|\\\S)*+"
_TARGET = re.compile(
    rf"""\]\( [ \t]*+
    (?: <(?P<pointed>[^<>\r\n]*+)>
      | (?P<sandbox>sandbox:[^()<>\r\n]*+)
      | (?P<bare>{_URL} (?: \({_URL}\) {_URL} )*+)
    )
    (?: [ \t]++ (?P<title>"[^"\r\n]*+"|'[^'\r\n]*+'|\([^()\r\n]*+\)) )?
    [ \t]*+ \)""",
    re.VERBOSE,
)


class TokenKind(Enum):
    """The kind of a token. Plain text between tokens is not listed."""

    ESCAPE = auto()  # \*
    CODE = auto()  # a whole code span
    TICKS = auto()  # backticks without a partner
    AUTOLINK = auto()  # <https://…>, or Slack's own <https://…|label>
    ANGLE = auto()
    OPEN = auto()  # [ or ![
    CLOSE = auto()  # ] that ends no link
    TARGET = auto()  # ](…) of a link or an image
    MENTION = auto()  # the @ of @channel and the like
    MARK = auto()  # a citation marker that no annotation explains
    FORMULA = auto()  # \(…\), \[…\], $…$, $$…$$
    HTML = auto()  # a tag or a comment
    FOOTNOTE = auto()  # [^1]
    DEFINITION = auto()  # [1]: at the beginning of a line
    URL = auto()  # a bare address
    LINE = auto()  # a line break and the quote marks behind it


@dataclass(slots=True)
class Piece:
    """One token. A link is an OPEN and a TARGET, which refer to each other, and the text between.

    A CLOSE refers to its OPEN, but not vice versa: that OPEN begins no link.
    """

    kind: TokenKind
    start: int
    end: int
    url: str = ""  # of OPEN and TARGET
    title: str = ""
    image: bool = False
    inside: bool = False  # within a link's or an image's own text
    partner: "Piece | None" = None


class _Brackets:
    """The open brackets of a line. A completed link rules out links around it."""

    def __init__(self) -> None:
        self._open: list[Piece] = []
        self._dead = 0  # this many from the bottom can only become images

    def open(self, piece: Piece) -> None:
        self._open.append(piece)

    def close(self, piece: Piece, text: str, end: int) -> None:
        """Make `piece`, a ], the end of a link or image, if it closes one."""
        if not self._open:
            return
        opener = self._open.pop()
        dead = len(self._open) < self._dead and not opener.image
        self._dead = min(self._dead, len(self._open))
        piece.partner = opener
        target = None if dead else _TARGET.match(text, piece.start, end)
        if not target:
            return
        opener.partner = piece
        opener.url = piece.url = target["pointed"] or target["sandbox"] or target["bare"] or ""
        opener.title = piece.title = target["title"] or ""
        piece.kind, piece.end, piece.image = TokenKind.TARGET, target.end(), opener.image
        if not opener.image:
            self._dead = len(self._open)


def pieces(text: str, start: int, end: int) -> list[Piece]:
    """The tokens of one paragraph, `text[start:end]`, in order."""
    found: list[Piece] = []
    brackets = _Brackets()
    ticks: dict[int, list[int]] | None = None
    position = start
    while match := SPECIAL.search(text, position, end):
        piece = Piece(TokenKind[match.lastgroup or "ANGLE"], match.start(), match.end())
        if piece.kind is TokenKind.FORMULA and not is_formula(match[0]):
            position = match.start() + 1
            continue
        match piece.kind:
            case TokenKind.TICKS:
                ticks = _runs(text, start, end) if ticks is None else ticks
                _close_code(piece, ticks)
            case TokenKind.OPEN:
                piece.image = text[piece.start] == "!"
                brackets.open(piece)
            case TokenKind.CLOSE:
                brackets.close(piece, text, end)
            case TokenKind.LINE:
                brackets = _Brackets()
        found.append(piece)
        position = piece.end
    _nest(found)
    return found


def atoms(found: list[Piece]) -> Iterator[Piece]:
    """The ranges that should not be cut: code spans, autolinks, links from [ to )."""
    reached = 0
    for piece in found:
        if piece.start < reached:
            continue
        if piece.kind in (TokenKind.CODE, TokenKind.AUTOLINK):
            yield piece
        elif piece.kind is TokenKind.OPEN and piece.partner:
            reached = piece.partner.end
            yield Piece(TokenKind.OPEN, piece.start, reached, piece.url)


def looks_like_target(text: str, offset: int) -> bool:
    """Whether a ] would end a link if there were no links around it."""
    return bool(_TARGET.match(text, offset))


def is_destination(url: str) -> bool:
    """Whether a URL can be put between the parentheses of a link unchanged."""
    match = _TARGET.fullmatch(f"]({url})")
    return bool(match and match["bare"] == url)


def _runs(text: str, start: int, end: int) -> dict[int, list[int]]:
    runs: dict[int, list[int]] = defaultdict(list)
    for run in re.compile("`+").finditer(text, start, end):
        runs[run.end() - run.start()].append(run.start())
    return runs


def _close_code(piece: Piece, ticks: dict[int, list[int]]) -> None:
    length = piece.end - piece.start
    starts = ticks.get(length, [])
    closing = bisect_left(starts, piece.end)
    if closing < len(starts):
        piece.kind, piece.end = TokenKind.CODE, starts[closing] + length


def _nest(found: list[Piece]) -> None:
    depth = 0
    for piece in found:
        if piece.kind is TokenKind.TARGET:
            depth -= 1
        piece.inside = depth > 0
        if piece.kind is TokenKind.OPEN and piece.partner:
            depth += 1
