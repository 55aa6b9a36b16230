"""Identifies the server's copy of a message that a person deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from bot.models import Record

T = TypeVar("T")

MESSAGE_NOT_FOUND = "message_not_found"
"""The reason where the server has no message with such words."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The position of a message: `text` occurs `count` times, and this is the `last`-last of
    them."""

    text: str
    last: int
    count: int

    def among(self, alike: Sequence[T], *, again: bool) -> T | None:
        """The message among those with its text; None if it is already gone.

        With `again` an earlier attempt may have deleted it: then there is one less than before.
        """
        if len(alike) < self.last or (again and len(alike) < self.count):
            return None
        return alike[-self.last]


def find_place(history: Sequence[Record], ts: str) -> Occurrence | None:
    """Find a person's message by its `ts` in our record of a conversation."""
    questions = [record for record in history if record.role == "user"]
    numbers = [number for number, record in enumerate(questions) if record.ts == ts]
    if not numbers:
        return None
    text = questions[numbers[0]].text
    alike = [number for number, record in enumerate(questions) if record.text == text]
    return Occurrence(text, len(alike) - alike.index(numbers[0]), len(alike))
