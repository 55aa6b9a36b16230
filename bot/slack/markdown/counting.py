"""How many blocks Slack makes of a text that grows."""

from bot.slack.markdown.blocks import Line, Outline, outline


class BlockCount:
    """Counts the blocks of a growing text; what was counted before is not read again."""

    def __init__(self) -> None:
        self._start = -1
        self._reached = 0
        self._opener = ""
        """The lines that reopen the table or code block in which the rest begins."""
        self._count = 0
        self._within: Line | None = None
        """The line that the rest begins with, if it does not begin at the top level."""

    def of(self, text: str, start: int) -> int:
        """The blocks of `text[start:]`, which begins as it did the last time for this start."""
        if start != self._start:
            self._start = self._reached = start
            self._count, self._within, self._opener = 0, None, ""
        found = outline(self._opener + text[self._reached :])
        if self._within and found.lines:
            found.lines[0].level = self._within.level
            found.lines[0].quote_begins = self._within.quote_begins
        counted = found.number(len(self._opener)) if self._opener else 0
        total = self._count + sum(line.blocks for line in found.lines[counted:])
        self._advance(found, counted)
        return total

    def _advance(self, found: Outline, counted: int) -> None:
        offset, opener = found.restart(_settled(found))
        if offset <= len(self._opener):
            return
        number = found.number(offset)
        line = found.lines[number]
        self._count += sum(line.blocks for line in found.lines[counted:number])
        self._within = line if line.level and not opener else None
        self._reached += offset - len(self._opener)
        self._opener = opener


def _settled(found: Outline) -> int:
    """The end of the complete lines: a "1" may still become the next item of a list."""
    if found.text.endswith(("\n", "\r")):
        return len(found.text)
    return found.lines[-1].start - 1 if found.lines else 0
