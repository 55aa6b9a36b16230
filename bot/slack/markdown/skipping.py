"""Where the code of a Markdown text ends, for readers that search the text outside of it."""

import re
from bisect import bisect_left
from collections import defaultdict

FENCE_START = r"^[ \t>\-+*\d`~]"
"""The first character of a line that a fence may begin."""
CODE = (
    rf"(?P<FENCE>(?={FENCE_START})"
    r"[ \t]*+(?:(?:>|[-+*]|\d{1,9}[.)])[ \t]*+)*+"
    r"(?P<mark>`{3,}+(?=[^`\r\n]*$)|~{3,}+))"
    r"|(?P<TICKS>`++)"
)
"""The beginning of a fence or of a code span; with re.MULTILINE."""
_END_OF_PARAGRAPH = re.compile(r"\n[ \t]*\r?\n|\n[ \t>]*(?:```|~~~)")


_WINDOW, _OVERLAP = 100_000, 500


def occurs(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a pattern of at most 500 characters occurs in a text.

    A search of a very long text is divided: a regular expression stops all other threads.
    """
    starts = range(0, max(1, len(text)), _WINDOW)
    return any(pattern.search(text, start, start + _WINDOW + _OVERLAP) for start in starts)


class CodeEnds:
    """The ends of the code in one text. Linear if asked in the order of the text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._runs: dict[int, list[int]] | None = None

    def after(self, token: re.Match[str]) -> int:
        """The offset after the code that a match of CODE begins."""
        return self._fence_end(token) if token["FENCE"] is not None else self._span_end(token)

    def _fence_end(self, token: re.Match[str]) -> int:
        mark = token["mark"]
        closer = re.compile(rf"^[ \t>]*+{mark[0]}{{{len(mark)},}}+[ \t]*+\r?$", re.MULTILINE)
        found = closer.search(self._text, token.end())
        return found.end() if found else len(self._text)

    def _span_end(self, token: re.Match[str]) -> int:
        """The offset after the code span that these backticks open, or after them if they open
        none."""
        if self._runs is None:
            self._runs = defaultdict(list)
            for run in re.finditer("`+", self._text):
                self._runs[len(run[0])].append(run.start())
        length = token.end() - token.start()
        starts = self._runs[length]
        closing = bisect_left(starts, token.end())
        if closing == len(starts):
            return token.end()
        end = starts[closing] + length
        return token.end() if _END_OF_PARAGRAPH.search(self._text, token.end(), end) else end
