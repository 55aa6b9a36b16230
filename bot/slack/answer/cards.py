"""The steps of the assistant on the way to the answer: cards in a stream, and a status line."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.models import Card
from bot.slack.blocks import task_card
from bot.slack.markdown.clean import clean_so_far, reasoning
from bot.slack.markdown.markers import strip_controls
from bot.slack.markdown.plain import plain

ROOM = 500
"""Characters of all titles in one message, and of the details of tools: they count towards a
stream's total."""
LONGEST_TITLE = 80
REASONING = "reasoning"
"""The id of the card that holds the model's reasoning."""
LONGEST_DETAILS = 400
"""Characters of reasoning: with the titles and the text they fill a stream."""
MOST_BLOCKS = 40
"""Slack accepts 50 blocks per message; the text and the buttons need some."""


class Cards:
    """The `task_update` chunks of one streamed message."""

    def __init__(self) -> None:
        self._known: dict[str, Card] = {}
        self._titles: dict[str, str] = {}
        self._room = ROOM

    def is_news(self, cards: Sequence[Card]) -> bool:
        """Whether any card is new or changed since the last `chunks`."""
        return any(self._known.get(card.id) != card for card in cards)

    def chunks(self, cards: Sequence[Card]) -> list[dict[str, Any]]:
        """The cards that are new or changed since the last call."""
        news = [card for card in cards if self._known.get(card.id) != card]
        self._known |= {card.id: card for card in news}
        return [_card(self._fitting(card)) for card in news if self._has_room(card)]

    def close(self) -> list[dict[str, Any]]:
        """Complete every card that is still in progress."""
        return self.chunks(ended(working(list(self._known.values()))))

    def _has_room(self, card: Card) -> bool:
        title = _title(card)
        if self._titles.get(card.id) != title:
            if len(title) > self._room:
                return False
            self._room -= len(title)
            self._titles[card.id] = title
        return True

    def _fitting(self, card: Card) -> Card:
        """The card, without details that there is no room for. Reasoning has a room of its own."""
        if card.id == REASONING or not card.details:
            return card
        if len(card.details) > self._room:
            return replace(card, details="")
        self._room -= len(card.details)
        return card


def working(cards: Sequence[Card]) -> list[Card]:
    """The cards that are still in progress; they continue in the next message."""
    return [card for card in cards if card.status in ("pending", "in_progress")]


def ended(cards: Sequence[Card]) -> list[Card]:
    """The same cards, all marked as complete."""
    return [replace(card, status="complete") if working([card]) else card for card in cards]


def card_blocks(cards: Sequence[Card]) -> list[dict[str, Any]]:
    """The same cards as blocks: an edit must send all of them again."""
    chunks = Cards().chunks(cards)[:MOST_BLOCKS]
    return [
        task_card(each["id"], each["title"], each["status"], each.get("details", ""))
        for each in chunks
    ]


def with_reasoning(cards: Sequence[Card], text: str) -> tuple[Card, ...]:
    """The cards, led by one with the reasoning that the text so far contains."""
    thought = reasoning(text)
    if not thought:
        return tuple(cards)
    if not clean_so_far(text).strip():
        return (Card(REASONING, "Thinking"), *cards)
    return (Card(REASONING, "Thought", "complete", plain(thought, LONGEST_DETAILS)), *cards)


def _title(card: Card) -> str:
    title = _harmless(" ".join(strip_controls(card.title).split()))
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def _card(card: Card) -> dict[str, Any]:
    chunk = {"type": "task_update", "id": card.id, "title": _title(card), "status": card.status}
    return chunk | ({"details": _harmless(card.details)} if card.details else {})


def _harmless(text: str) -> str:
    return text.replace("<", "‹").replace(">", "›")


def status_of(cards: Sequence[Card]) -> str:
    """The newest card in progress as a status line (Slack shows it after our name), or ""."""
    at_work = working(cards)
    if not at_work:
        return ""
    title = _title(at_work[-1])
    return f"is {title[:1].lower()}{title[1:]}…"
