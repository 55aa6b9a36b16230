"""Divides an answer into messages, part by part.

Slack limits a message by characters and by the blocks that it makes of the Markdown; not all limits
are documented. If Slack refuses a part for its size, that part and later ones get smaller. The
smaller limit is a step of the journal, so that the cuts are the same after a crash.
"""

from bot.slack.markdown.blocks import Outline, outline
from bot.slack.markdown.render import in_thread
from bot.slack.markdown.split import Part, Splitter
from bot.store.journal import Turn
from bot.store.steps import part_limit

SMALLEST = 400
"""The minimum size of a part, in characters."""


class Pages:
    """The parts of one text, at most `limit` characters each. A long text is read in a thread."""

    def __init__(self, turn: Turn, text: str, limit: int) -> None:
        self._turn = turn
        self._text = text
        self._outline: Outline | None = None
        self._limit = limit
        self._splitters: dict[int, Splitter] = {}

    async def part(self, number: int, start: int) -> Part:
        """Part `number`, starting at the offset `start`."""
        return await in_thread(self._part, self._text, self._limit_of(number), start)

    def _part(self, text: str, limit: int, start: int) -> Part:
        self._outline = self._outline or outline(text)
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
