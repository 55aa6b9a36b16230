"""How much of a text can be laid out, or searched for code, with bounded work.

The work is estimated from what can be counted without parsing: line ends, and the characters that
begin tokens. What exceeds the bound is not laid out but attached as a file.
"""

import re
from collections.abc import Callable

_LINE_END = re.compile("[\n\r\x0b\x0c\x85\u2028\u2029]")
_MARK = re.compile(r"[<>\[\]`\\$@]")
_COSTLY_MARK = re.compile("[<>†‡【〖⟦\ue200]")
_CONTAINER = re.compile(r"(?<![^\s>])(?:[-+*>]|\d{1,9}[.)])(?=[ \t])")
_STRUCTURE = re.compile(r"(?:^|[\n\r])[ \t]*(?:[-+*>#|`~=_:]|\d)|[-+*>.)](?=[ \t])")
_STEP = 500
"""Characters that are measured at once: the precision of an estimate."""

_LINE_WORK, _CONTAINER_WORK = 5, 2
WORK = 3_000
"""The most work for one message: 600 lines, 430 items of lists, or 3,000 marks."""
_CODE_LINE, _CODE_STRUCTURE = 3, 14
CODE_WORK = 120_000
"""The most work for finding code: 40,000 lines of code, or 7,000 items of lists."""


def layout_work(text: str) -> int:
    """The estimated work of laying out a text."""
    marks = len(_MARK.findall(text)) + len(_COSTLY_MARK.findall(text))
    lines, containers = len(_LINE_END.findall(text)), len(_CONTAINER.findall(text))
    return _LINE_WORK * lines + _CONTAINER_WORK * containers + marks


def parsing_work(text: str) -> int:
    """The estimated work of finding the blocks of a text."""
    return _CODE_LINE * len(_LINE_END.findall(text)) + _CODE_STRUCTURE * len(
        _STRUCTURE.findall(text)
    )


def affordable(text: str, work: Callable[[str], int], most: int) -> int:
    """The length of the beginning of a text that takes at most this much work."""
    reached = 0
    for start in range(0, len(text), _STEP):
        reached += work(text[start : start + _STEP])
        if reached > most:
            return start
    return len(text)
