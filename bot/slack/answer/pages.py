"""Divides an answer into messages, part by part.

Slack bounds a message by characters and by the blocks that it makes of the Markdown, and not all of
its bounds are documented. Where it refuses a part for its size, that part and those behind it get
smaller. The smaller limit is a step of the journal: after a crash the same cuts are found again.
"""

from bot.slack.markdown.blocks import outline
from bot.slack.markdown.split import Part, Splitter
from bot.store.journal import Turn
from bot.store.steps import part_limit

SMALLEST = 400
"""Characters below which a part is not made smaller."""


class Pages:
    """The parts of one text, at most `limit` characters each."""

    def __init__(self, turn: Turn, text: str, limit: int) -> None:
        self._turn = turn
        self._text = text
        self._outline = outline(text)
        self._limit = limit
        self._splitters: dict[int, Splitter] = {}

    def part(self, number: int, start: int) -> Part:
        """Part `number`, which begins at the offset `start`."""
        limit = self._limit_of(number)
        if limit not in self._splitters:
            self._splitters[limit] = Splitter(self._outline, limit)
        return self._splitters[limit].part(start)

    async def shrink(self, number: int, refused: Part) -> bool:
        """Make a refused part smaller; returns False if it cannot be."""
        if len(refused.text) <= SMALLEST:
            return False
        smaller = max(SMALLEST, min(self._limit_of(number), len(refused.text)) // 2)
        await self._turn.note(part_limit(number), smaller)
        return True

    def _limit_of(self, number: int) -> int:
        for earlier in range(number, -1, -1):
            if limit := self._turn.recall(part_limit(earlier)):
                return min(limit, self._limit)
        return self._limit
