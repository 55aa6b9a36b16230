"""The number of blocks that Slack makes of Markdown.

Slack does not document its rules. This counts each heading, paragraph, list, table, quote, rule and
fenced code as one; other bots report refusals at 50 of them.
"""

import re
from dataclasses import dataclass

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(\s|$)")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(\1[ \t]*){2,}$")
_ITEM = re.compile(r"\s*([-*+]|\d{1,9}[.)])\s")


@dataclass
class MessageBounds:
    """Undocumented limits of a message; tests may change them."""

    expands: bool = False
    """Whether the blocks that Slack makes of Markdown count towards a message's 50."""
    longest_markdown: int = 12_000
    """Characters of Markdown."""


def count_blocks(markdown: str) -> int:
    """The number of blocks that a `markdown` block becomes; at least 1."""
    count, before, fence = 0, "", ""
    for line in markdown.splitlines():
        opening = _FENCE.match(line)
        if fence:
            if opening and opening[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
            continue
        if opening:
            fence, kind = opening[1], ""
            count += 1
        else:
            kind = _kind(line, before)
            count += bool(kind) and (kind != before or kind in ("heading", "rule"))
        before = kind
    return max(count, 1)


def _kind(line: str, before: str) -> str:
    if not line.strip():
        return "list" if before == "list" else ""
    if _HEADING.match(line):
        return "heading"
    if _RULE.match(line):
        return "rule"
    if line.lstrip().startswith(">"):
        return "quote"
    if _ITEM.match(line) or (before == "list" and line.startswith((" ", "\t"))):
        return "list"
    return "table" if line.lstrip().startswith("|") else "paragraph"
