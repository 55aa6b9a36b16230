"""The texts of a turn's rounds, shown as one answer while it grows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from bot.models import Card, Citation, MadeFile, Run, Update
from bot.slack.answer.reply import Reply
from bot.store.step_values import Asked
from bot.tools.tool import Tool

CALLING = "Calling "
"""The title of a card for a call, in front of the name of the function."""
GAP = "\n\n"
"""The separator of the texts of two rounds."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last run of a turn (None if the turn was interrupted before it), and all files with their
    runs."""

    run: Run | None
    update: Update
    files: tuple[tuple[Run, MadeFile], ...] = ()


@dataclass(slots=True)
class Story:
    """The rounds so far, and what the current run has shown."""

    reply: Reply
    tools: Mapping[str, Tool]
    """The functions on offer, by name."""
    shown: int = 0
    """Characters of the current run's text."""
    acted: bool = False
    """Whether a run has shown that it used a tool."""
    text: str = ""
    citations: tuple[Citation, ...] = ()
    files: tuple[tuple[Run, MadeFile], ...] = ()
    cards: tuple[Card, ...] = ()

    async def show(self, update: Update) -> None:
        """Show progress of the current run."""
        self.shown = max(self.shown, len(update.text))
        self.acted = self.acted or bool(update.cards)
        await self.reply.show(self.whole(update))

    async def show_card(self, card: Card) -> None:
        """Show the card of a call. It replaces the card with the same id."""
        self.cards = tuple(({each.id: each for each in self.cards} | {card.id: card}).values())
        await self.reply.show(self.whole(Update("in_progress")))

    async def discard_text(self, status: str) -> None:
        """Drop the text of the current run: another run takes its place."""
        self.shown = 0
        await self.reply.discard_text(status)

    def add(self, asked: Asked) -> None:
        """Add a round that ended with calls."""
        update = self.whole(Update("in_progress", asked.text, asked.cards, asked.citations))
        self.text, self.citations = update.text, update.citations
        self.files += tuple((asked.run, file) for file in asked.files)
        self.cards = update.cards

    def end(self, run: Run | None, update: Update) -> Ended:
        """The end, with the last update of the last run."""
        files = tuple((run, file) for file in update.files) if run else ()
        return Ended(run, self.whole(update), (*self.files, *files))

    def whole(self, update: Update) -> Update:
        """An update of the current run, including the earlier rounds."""
        lead = f"{self.text}{GAP}" if self.text and update.text else self.text
        moved = (
            replace(each, start=each.start + len(lead), end=each.end + len(lead))
            for each in update.citations
        )
        cards = {card.id: card for card in self.cards}
        for card in update.cards:
            known = cards.get(card.id)
            if known is None or known.status == "in_progress":
                cards[card.id] = replace(card, title=self._title(card))
        return replace(
            update,
            text=lead + update.text,
            citations=(*self.citations, *moved),
            cards=tuple(cards.values()),
        )

    def _title(self, card: Card) -> str:
        """The title of a card; a call's is that of its tool for people."""
        name = card.title.removeprefix(CALLING)
        tool = self.tools.get(name) if name != card.title else None
        return tool.label if tool else card.title
