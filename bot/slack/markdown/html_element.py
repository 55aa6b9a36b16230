"""One HTML element of several lines: as Markdown, or joined in one line. Pure."""

import re
from dataclasses import dataclass

from bot.slack.markdown.blocks import PREFIX, continuation
from bot.slack.markdown.html_blocks import bullets, fenced, table

TITLES = frozenset(
    {"summary", "dt", "dd", "caption", "figcaption", "h1", "h2", "h3", "h4", "h5", "h6", "li"}
    | {"td", "th"}
)
CODES = frozenset({"pre", "code"})
CONVERTED = frozenset({"table", "pre", "ul", "ol"})
LINES = re.compile(r"\s*[\r\n]\s*")
_QUOTE_MARKS = re.compile(r"\n[ \t]*+(?:>[ \t]?)++")
_UNREADABLE = re.compile(r"<(?:pre|table)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag and its place: the offsets, and the numbers of its line and paragraph."""

    start: int
    end: int
    name: str
    line: int
    paragraph: int
    begins: bool
    """Whether there are only tags before it in its line."""


def rewritten_element(text: str, opener: Tag, closer: Tag) -> str:
    """An element as Markdown, or in one line."""
    source = text[opener.start : closer.end]
    content = text[opener.end : closer.start]
    if opener.name not in CONVERTED and not (opener.name == "code" and opener.begins):
        return _joined(opener, source, content)
    line = text.rfind("\n", 0, opener.start) + 1
    prefix = PREFIX.match(text, line, opener.start)
    indent = continuation(prefix[0]) if prefix else ""
    if ">" in indent:
        source, content = (_QUOTE_MARKS.sub("\n", each) for each in (source, content))
    made = _converted(opener, source, content)
    if not made:
        return source
    alone = prefix is not None and prefix.end() == opener.start
    return ("" if alone else f"\n{indent}") + f"\n{indent}".join(made.split("\n")) + "\n"


def _converted(opener: Tag, source: str, content: str) -> str:
    if opener.name in CODES:
        return fenced(source[: opener.end - opener.start], content)
    if opener.name == "table":
        return table(source)
    return "" if _UNREADABLE.search(source) else bullets(source)


def _joined(opener: Tag, source: str, content: str) -> str:
    """An element of a paragraph in one line, without spaces at its edges."""
    line = LINES.sub(" ", content)
    if opener.name in TITLES:
        line = line.strip()
    if not line.strip():
        return source
    first = " " if line.startswith(" ") else ""
    last = " " if line.endswith(" ") else ""
    opening = LINES.sub(" ", source[: opener.end - opener.start])
    return f"{first}{opening}{line.strip()}</{opener.name}>{last}"
