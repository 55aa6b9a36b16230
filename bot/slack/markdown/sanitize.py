"""Sanitizes text of the model for Slack: no notifications, and only what a `markdown` block
supports.

Inside a `markdown` block Slack still interprets its own `<…>` control sequences: `<!here>`
notifies,
`<@U…>` mentions, `<https://…|label>` links. It does not interpret `&lt;!here&gt;`: entities are
decoded for display only (measured by PostHog on a real workspace, PostHog/posthog#95054). Therefore
outside code every `<` and `>` becomes an entity, except in autolinks and as a quote mark; `&` is
unchanged, because an escaped one would break the query strings of links.

Code is unchanged, on the assumption that Slack shows it literally. Where Slack may treat as prose
what is code in CommonMark (indented code, `~~~` fences, a code span over several lines: its
documentation names none of them), only control sequences are broken, by an invisible character.
"""

import re
from functools import lru_cache
from urllib.parse import quote

from bot.slack.markdown.blocks import PREFIX, PROSE, Fence, Outline, outline
from bot.slack.markdown.breaks import LONGEST_RUN
from bot.slack.markdown.emphasis import separate_emphasis
from bot.slack.markdown.escape import ZERO_WIDTH_SPACE, break_mentions, escape
from bot.slack.markdown.inline import Piece, is_destination, looks_like_target, pieces
from bot.slack.markdown.inline import TokenKind as Inline
from bot.slack.markdown.markers import shown, strip_controls
from bot.slack.markdown.rewrite import Rewrite

_CONTROL = re.compile(r"<(?=![a-z]+[\^|>]|@[A-Z0-9]+[|>]|#[A-Z0-9]+[|>])")
_AUTOLINK = re.compile(r"<([^|>]+)\|([^>]*)>")
_SCHEMES = "https?|ftp|mailto|tel|sms|sip|slack"
OPENING = re.compile(
    rf"""\([^\S\r\n]*+ (?: < | \r?\n
    | (?!(?:{_SCHEMES}):) [^()<>/?#\s]{{0,200}} [:&\\] )""",
    re.IGNORECASE | re.VERBOSE,
)
"""The beginning of text that other parsers may take for the target of a link, but ours does not:
with its < escaped, over two lines, or with a scheme that is not allowed and HTML or parentheses
behind it."""
DEFINING = re.compile(
    rf""":[\s>]{{0,100}}+ (?: <(?!(?:{_SCHEMES}):)
    | (?!(?:{_SCHEMES}):) [^<>/?#\s]{{0,200}} [:&\\] )""",
    re.IGNORECASE | re.VERBOSE,
)
"""What other parsers may take for the definition of a link, with a scheme that is not allowed."""
_ALLOWED = re.compile(rf"(?:{_SCHEMES}):[^\s]", re.IGNORECASE)
"""The allowed schemes of links. Other schemes and relative addresses are shown as text."""
_QUOTED = {ord(character): quote(character) for character in "\\`[]$<>*"}
_ESCAPED = {r"\<": "&lt;", r"\>": "&gt;", r"\@": rf"\@{ZERO_WIDTH_SPACE}"}
_EMPHASIS = re.compile(r"[*~]")
_FENCE = re.compile(rf"^({PREFIX.pattern})(?=`{{3,}}+[^`\r\n]*$|~{{3,}})", re.MULTILINE)
_SHORT = 4000
_LONGEST_SURE_FENCE = 200
"""A longer opening line may be cut by the splitter, and the text after it would no longer be
code."""


def sanitize(markdown: str) -> str:
    """Markdown without notifications, with images as links and without links into the sandbox.

    Idempotent. The text may get longer: split it afterwards.
    """
    return _remembered(markdown) if len(markdown) <= _SHORT else _sanitized(markdown)


@lru_cache(maxsize=64)
def _remembered(markdown: str) -> str:
    """A short answer is sanitized three times: as a whole, as a part, and for its notification."""
    return _sanitized(markdown)


def _sanitized(markdown: str) -> str:
    found = outline(strip_controls(markdown))
    return "".join(
        _prose(found, first, end)
        if found.lines[first].kind in PROSE and not found.lines[first].blank
        else _code(found, first, end)
        for first, end in found.units()
    )


def defuse(code: str) -> str:
    """Code in which Slack's control sequences are broken by an invisible character."""
    return _CONTROL.sub(f"<{ZERO_WIDTH_SPACE}", code) if "<" in code else code


def _code(found: Outline, first: int, end: int) -> str:
    text = found.text[found.lines[first].start : found.lines[end - 1].end]
    fence = found.lines[first].fence
    return text if fence and _surely_code(fence) else defuse(text)


def _surely_code(fence: Fence) -> bool:
    size = len(fence.prefix) + len(fence.marker) + len(fence.info)
    return fence.marker[0] == "`" and "<" not in fence.info and size <= _LONGEST_SURE_FENCE


def _surely_span(span: str) -> bool:
    run = len(span) - len(span.lstrip("`"))
    return run <= LONGEST_RUN and "\n" not in span and "\r" not in span


def _prose(found: Outline, first: int, end: int) -> str:
    text, start = found.text, found.lines[first].start
    stop = found.lines[end - 1].end
    prefix = PREFIX.match(text, start, stop)
    position = prefix.end() if prefix else start
    tokens = pieces(text, position, stop)
    if not tokens and not _EMPHASIS.search(text, position, stop):
        return text[start:stop]
    rewrite = Rewrite(found, first, end, tokens)
    out = [(text[start:position], False)]
    sure = True
    for piece in tokens:
        out.append((rewrite.between(position, piece.start), True))
        if piece.kind in (Inline.CODE, Inline.TICKS):
            raw = text[piece.start : piece.end]
            # Backticks that a parser may pair differently make all later ones uncertain.
            sure = sure and piece.kind is Inline.CODE and _surely_span(raw)
            out.append((raw if sure else defuse(raw), False))
        else:
            replacement = rewrite.of(piece)
            spelled = _spelled(text, piece, stop) if replacement is None else replacement
            # A formula is shown as code, perhaps among backticks that pair differently.
            made = defuse(spelled) if piece.kind is Inline.FORMULA else spelled
            out.append((made, piece.kind is Inline.HTML))
        position = piece.end
    out.append((rewrite.between(position, stop), True))
    return _without_fences(separate_emphasis(out))


def _without_fences(prose: str) -> str:
    """Prose in which no line begins a code block because a tag or a link before it is gone: what
    is prose would be code from there on, and code would be prose."""
    if "```" not in prose and "~~~" not in prose:
        return prose
    return _FENCE.sub(rf"\1{ZERO_WIDTH_SPACE}", prose)


def _spelled(text: str, piece: Piece, stop: int) -> str:
    raw = text[piece.start : piece.end]
    match piece.kind:
        case Inline.ANGLE | Inline.FORMULA:
            return escape(raw)
        case Inline.HTML:
            return "&lt;" + _inside_tag(text, piece.start + 1, piece.end, stop)
        case Inline.CLOSE if _may_end_link(text, piece, stop):
            return raw + ZERO_WIDTH_SPACE
        case Inline.ESCAPE if text.startswith(ZERO_WIDTH_SPACE, piece.end):
            return escape(raw[1]) if raw[1] in "<>" else raw  # a broken \@ stays as it is
        case Inline.ESCAPE:
            return _ESCAPED.get(raw, raw)
        case Inline.AUTOLINK:
            return _autolink(raw)
        case Inline.MENTION:
            return raw + ZERO_WIDTH_SPACE
        case Inline.MARK:
            return escape(shown(raw))
        case Inline.OPEN | Inline.TARGET if piece.partner:
            return _link(text, piece, raw)
    return raw


def _may_end_link(text: str, piece: Piece, stop: int) -> bool:
    """Whether other parsers may take a ] for the end of a link, or of the label of a definition.

    A definition ends with its paragraph, at `stop`.
    """
    if OPENING.match(text, piece.end) or DEFINING.match(text, piece.end, stop):
        return True
    # It would end a link once the links inside are text.
    return piece.partner is not None and looks_like_target(text, piece.start)


def _inside_tag(text: str, start: int, end: int, stop: int) -> str:
    """The text after the < of a tag that is shown literally."""
    out = []
    for piece in pieces(text, start, end):
        out += [text[start : piece.start], _spelled(text, piece, stop)]
        start = piece.end
    return "".join([*out, text[start:end]]).replace("](", f"]{ZERO_WIDTH_SPACE}(")


def _autolink(raw: str) -> str:
    """Standard Markdown has no labels in autolinks, but models use Slack's own syntax."""
    labelled = _AUTOLINK.fullmatch(raw)
    if not labelled:
        return raw
    label = re.sub(r"([\[\]])", r"\\\1", labelled[2].strip())
    return f"[{label}]({destination(labelled[1])})" if label else f"<{labelled[1]}>"


def _link(text: str, piece: Piece, raw: str) -> str:
    """One end of a link: `[` or `](url)`. Links without a usable target are reduced to their
    text."""
    if _has_no_target(piece.url) or (piece.image and piece.inside):
        return ""
    if not _ALLOWED.match(piece.url):
        return "" if piece.kind is Inline.OPEN else _unlinked(text, piece)
    if piece.kind is Inline.OPEN:
        return "["
    label = "image" if piece.image and _bare(text, piece) else ""
    if not raw[2:].lstrip().startswith("<"):
        return label + escape(raw)
    title = f" {escape(piece.title)}" if piece.title else ""
    return f"{label}]({destination(piece.url)}{title})"


def _has_no_target(url: str) -> bool:
    return url.lower().startswith(("sandbox:", "data:", "#")) or not url


def _unlinked(text: str, piece: Piece) -> str:
    """The target, shown after the text, of a link that Slack cannot or should not follow."""
    label = text[piece.partner.end : piece.start].strip() if piece.partner else ""
    url = break_mentions(piece.url.translate(_QUOTED))
    if not label:
        return url
    return "" if label.strip("`") == piece.url else f" ({url})"


def _bare(text: str, piece: Piece) -> bool:
    return piece.partner is not None and not text[piece.partner.end : piece.start].strip()


def destination(url: str) -> str:
    """A URL in the form for the parentheses of a link."""
    return url if is_destination(url) else quote(url, safe="!#$%&'*+,-./:;=?@[]_~")
