"""The fenced code of a Markdown text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bot.slack.markdown.blocks import (
    Fence,
    LineKind,
    Outline,
    cut_indentation,
    indentation,
    outline,
)

_LANGUAGE = re.compile(r"[\w+#.-]*")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """The content of one fence; `language` is the first word after its opening marker."""

    language: str
    code: str


def code_blocks(markdown: str, *, complete: bool = False) -> Iterator[CodeBlock]:
    """All fenced code, in order. An unclosed fence extends to the end of its block.

    With `complete` an unclosed one at the end of the text is left out.
    """
    found = outline(markdown)
    left_out = found.open_fence() if complete else None
    for line in found.lines:
        if line.kind is LineKind.OPENER and line.fence and line.fence is not left_out:
            yield _read(found, line.fence)


def _read(found: Outline, fence: Fence) -> CodeBlock:
    end = fence.last if fence.closed else fence.last + 1
    lines = [_content(found.text_of(number), fence) for number in range(fence.first + 1, end)]
    language = _LANGUAGE.match(fence.info)
    return CodeBlock(language[0] if language else "", "".join(lines))


def _content(line: str, fence: Fence) -> str:
    """A line of code without the quote marks and the indentation of the enclosing blocks."""
    prefix = fence.prefix
    for _ in range(prefix.count(">")):
        before, mark, after = line.partition(">")
        line = after if mark and not before.strip() else line
    inner = prefix.rpartition(">")[2]
    return cut_indentation(line, indentation(inner))
