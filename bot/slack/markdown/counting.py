"""How many blocks Slack makes of a text that grows."""

from bot.slack.markdown.blocks import Outline, outline


class BlockCount:
    """Counts the blocks of a growing text; what was counted before is not read again."""

    def __init__(self) -> None:
        self._start = -1
        self._reached = 0
        self._count = 0
        self._continues = False  # whether the rest begins within a block that was counted

    def of(self, text: str, start: int) -> int:
        """The blocks of `text[start:]`, which begins as it did the last time for this start."""
        if start != self._start:
            self._start = self._reached = start
            self._count, self._continues = 0, False
        found = outline(text[self._reached :])
        total = self._count + self._blocks(found, len(found.lines))
        self._advance(found)
        return total

    def _blocks(self, found: Outline, end: int) -> int:
        lines = found.lines[:end]
        count = sum(line.blocks for line in lines)
        if self._continues and lines:
            count += lines[0].nested_blocks - lines[0].blocks
        return count

    def _advance(self, found: Outline) -> None:
        offset, opener = found.restart(len(found.text))
        if not offset or opener:
            return
        number = found.number(offset)
        self._count += self._blocks(found, number)
        self._continues = found.lines[number].level != 0
        self._reached += offset
