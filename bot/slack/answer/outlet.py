"""The common part of both ways of showing a growing answer."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bot.models import Card, Update
from bot.slack.answer.cards import card_blocks, ended
from bot.slack.answer.chat import Chat
from bot.slack.answer.drafts import Drafts
from bot.slack.answer.rate_limits import Allowance, RateLimits
from bot.slack.answer.status import PermanentRefusals, Status
from bot.slack.markdown.growing import Visible
from bot.store.journal import Turn
from bot.store.steps import CARDS
from bot.timing import AnswerTiming


class AnswerFull(Exception):
    """All messages that an answer may have are shown; what follows may not be shown at all."""


@dataclass(slots=True)
class Outlet:
    """The state of one answer on its way to Slack. `cards` are the newest ones of the assistant.

    At most `messages` are begun before the answer is complete.
    """

    turn: Turn
    chat: Chat
    limits: RateLimits
    refused: PermanentRefusals
    status: Status
    drafts: Drafts
    timing: AnswerTiming
    messages: int
    visible: Visible = field(default_factory=Visible)
    cards: Sequence[Card] = field(default=())
    reasoning: Sequence[Card] = field(default=())
    """The card with the reasoning of the complete answer, if people are to see it."""

    def check_room(self) -> None:
        """Raise AnswerFull if no further message may be begun."""
        if len(self.drafts.shown) >= self.messages:
            raise AnswerFull

    def reasoning_card(self, part: int) -> list[dict[str, Any]]:
        """The card above an answer that was not streamed, which shows no other cards."""
        return card_blocks(self.reasoning) if part == 0 else []

    def blocks_above(self, part: int, *, at_work: bool = False) -> list[dict[str, Any]]:
        """The task cards of a streamed message that is edited. The first message has them all."""
        recalled = self.turn.recall(CARDS) or ()
        cards = tuple(self.cards) or recalled
        return card_blocks(cards if at_work else ended(cards)) if part == 0 else []


class GrowingMessage(Protocol):
    """The message of an answer that is being written."""

    allowance: Allowance
    """The rate limit that a 429 from Slack pauses."""

    @property
    def pause(self) -> float:
        """Seconds between two updates."""
        ...

    async def show(self, update: Update) -> bool:
        """Show the answer so far; False if something is left to show immediately."""
        ...
