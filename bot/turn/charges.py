"""Divides the usage of a turn among its authors."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple

from bot.engines.estimate import text_tokens
from bot.models import Answer, Message, Usage, add_usage
from bot.settings import Settings
from bot.settings.prices import Price, microdollars
from bot.store import Claim, Store, Turn
from bot.store.steps import REORDERED, SUMMARY_USAGE, Step
from bot.store.usage import Charge, UsageScope


class Charges:
    """What people are charged for. `reserving`: where turns reserve what they may use."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        prices: Mapping[str, Price],
        reserving: frozenset[UsageScope],
    ) -> None:
        self._store = store
        self._settings = settings
        self._prices = prices
        self._reserving = reserving

    def of(self, turn: Turn, answer: Answer, messages: Sequence[Message]) -> list[Charge]:
        """What the authors of `messages` are charged for an answer.

        Each author is charged in proportion to their messages; the last one counts the turn. A
        charge that an earlier version made in the middle of the turn is left out.
        """
        used = answer.usage or estimate(turn, answer)
        usage = add_usage(used, turn.recall(SUMMARY_USAGE))
        if reordered := turn.recall(REORDERED):
            usage = add_usage(usage, reordered.usage)
        if usage is None:
            return []
        charges = self._charges(usage, answer.model, messages)
        return [charge for charge in charges if turn.recall(Step(charge.mark, bool)) is None]

    async def charge_late(
        self, claim: Claim, usage: Usage, model: str, messages: Sequence[Message]
    ) -> None:
        """Charge the authors of `messages` for a run that outlived its turn."""
        for each in self._charges(usage, model, messages):
            await self._store.spending.account(
                claim,
                each.user_id,
                each.usage,
                each.microdollars,
                is_first=each.is_first,
                is_late=True,
            )

    def _charges(self, usage: Usage, model: str, messages: Sequence[Message]) -> list[Charge]:
        counts = _counts(messages)
        cost = microdollars(self._prices, model or self._settings.openai_model, usage) or 0
        shares = _shares((*astuple(usage), cost), counts)
        return [
            Charge(user_id, Usage(*tokens), microcost, user_id == messages[-1].user_id)
            for user_id, (*tokens, microcost) in shares.items()
        ]

    def reserved(self, messages: Sequence[Message]) -> list[str]:
        """The keys of the reservations of a turn, which end with it."""
        thread = messages[0].thread
        subjects: list[tuple[UsageScope, str]] = []
        if "person" in self._reserving:
            subjects += [("person", user_id) for user_id in {m.user_id for m in messages}]
        if "channel" in self._reserving:
            subjects.append(("channel", thread.channel_id))
        return [self._store.keys.reserved(thread.team_id, *each) for each in subjects]


def estimate(turn: Turn, answer: Answer) -> Usage | None:
    """An estimate for a run whose server reports no usage; None if there was no run.

    Earlier exchanges of the conversation count as long as this one.
    """
    if not answer.run_id:
        return None
    asked = text_tokens(*(message.text for message in turn.claim.messages))
    written = text_tokens(answer.text)
    conversation = turn.claim.conversation
    before = (asked + written) * (conversation.messages if conversation else 0)
    total = asked + before + written
    return Usage(input_tokens=asked + before, output_tokens=written, estimated=total)


def _counts(messages: Sequence[Message]) -> dict[str, int]:
    """How many messages each author wrote; the author of the last one comes last."""
    counts = Counter(message.user_id for message in messages)
    asker = messages[-1].user_id
    return {**{who: count for who, count in counts.items() if who != asker}, asker: counts[asker]}


def _shares(amounts: Sequence[int], counts: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """Each amount divided in proportion to the counts; the last one gets the remainder."""
    *others, last = counts
    total = sum(counts.values())
    shares = {who: tuple(amount * counts[who] // total for amount in amounts) for who in others}
    taken = [sum(column) for column in zip(*shares.values(), strict=True)] or [0] * len(amounts)
    shares[last] = tuple(amount - part for amount, part in zip(amounts, taken, strict=True))
    return shares
