"""The assistant's steps on the way to the answer, as cards in a stream and as a status line."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.models import Step
from bot.slack.blocks import task_card
from bot.slack.markdown.clean import clean_so_far, reasoning
from bot.slack.markdown.markers import strip_controls
from bot.slack.markdown.plain import plain

ROOM = 500
"""Characters of all titles in one message, and of the details of tools: they count towards a
stream's total."""
LONGEST_TITLE = 80
REASONING = "reasoning"
"""The id of the step that holds the model's reasoning."""
LONGEST_DETAILS = 400
"""Characters of reasoning: with the titles and the text they fill a stream."""
MOST_BLOCKS = 40
"""Slack accepts 50 blocks per message; the text and the buttons need some."""


class Cards:
    """The `task_update` chunks of one streamed message."""

    def __init__(self) -> None:
        self._known: dict[str, Step] = {}
        self._titles: dict[str, str] = {}
        self._room = ROOM

    def is_news(self, steps: Sequence[Step]) -> bool:
        """Whether any step is new or changed since the last `chunks`."""
        return any(self._known.get(step.id) != step for step in steps)

    def chunks(self, steps: Sequence[Step]) -> list[dict[str, Any]]:
        """The cards that are new or changed since the last call."""
        news = [step for step in steps if self._known.get(step.id) != step]
        self._known |= {step.id: step for step in news}
        return [_card(self._fitting(step)) for step in news if self._has_room(step)]

    def close(self) -> list[dict[str, Any]]:
        """Complete every card that is still in progress."""
        return self.chunks(ended(working(list(self._known.values()))))

    def _has_room(self, step: Step) -> bool:
        title = _title(step)
        if self._titles.get(step.id) != title:
            if len(title) > self._room:
                return False
            self._room -= len(title)
            self._titles[step.id] = title
        return True

    def _fitting(self, step: Step) -> Step:
        """The step, without details that there is no room for. Reasoning has a room of its own."""
        if step.id == REASONING or not step.details:
            return step
        if len(step.details) > self._room:
            return replace(step, details="")
        self._room -= len(step.details)
        return step


def working(steps: Sequence[Step]) -> list[Step]:
    """The steps that are still in progress; they continue in the next message."""
    return [step for step in steps if step.status in ("pending", "in_progress")]


def ended(steps: Sequence[Step]) -> list[Step]:
    """The same steps, all marked as complete."""
    return [replace(step, status="complete") if working([step]) else step for step in steps]


def card_blocks(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The same cards as blocks: an edit must send all of them again."""
    cards = Cards().chunks(steps)[:MOST_BLOCKS]
    return [
        task_card(card["id"], card["title"], card["status"], card.get("details", ""))
        for card in cards
    ]


def with_reasoning(steps: Sequence[Step], text: str) -> tuple[Step, ...]:
    """The steps, led by one with the reasoning that the text so far contains."""
    thought = reasoning(text)
    if not thought:
        return tuple(steps)
    if not clean_so_far(text).strip():
        return (Step(REASONING, "Thinking"), *steps)
    return (Step(REASONING, "Thought", "complete", plain(thought, LONGEST_DETAILS)), *steps)


def _title(step: Step) -> str:
    title = _harmless(" ".join(strip_controls(step.title).split()))
    return title if len(title) <= LONGEST_TITLE else f"{title[: LONGEST_TITLE - 1]}…"


def _card(step: Step) -> dict[str, Any]:
    card = {"type": "task_update", "id": step.id, "title": _title(step), "status": step.status}
    return card | ({"details": _harmless(step.details)} if step.details else {})


def _harmless(text: str) -> str:
    return text.replace("<", "‹").replace(">", "›")


def status_of(steps: Sequence[Step]) -> str:
    """The newest step in progress as a status line (Slack shows it after our name), or ""."""
    at_work = working(steps)
    if not at_work:
        return ""
    title = _title(at_work[-1])
    return f"is {title[:1].lower()}{title[1:]}…"
