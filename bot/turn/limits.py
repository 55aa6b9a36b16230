"""Counts what turns spend, and holds it against the limits before a run."""

import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta

from bot.models import Answer, Message, Usage
from bot.settings import Settings
from bot.store import Store, Turn
from bot.store.steps import SUMMARY_USAGE
from bot.store.usage import Scope, day_of
from bot.texts import limits as texts
from bot.turn.prices import Price, microdollars

WARN_AT = 0.8
LIMITED: tuple[Scope, ...] = ("person", "channel")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`refusal`: why nothing may run now. `warning`: that a limit is near. Both in Markdown."""

    refusal: str = ""
    warning: str = ""


@dataclass(frozen=True, slots=True)
class _Limit:
    """Of one person or one channel: `used` of `most`, until `renewal` (epoch seconds)."""

    scope: Scope
    what: str
    used: float
    most: float
    shown: str
    renewal: float
    period: str

    @property
    def is_reached(self) -> bool:
        """Nothing more may run. Requests are counted before, what they take is known after."""
        return self.used > self.most if self.what == "requests" else self.used >= self.most

    @property
    def is_near(self) -> bool:
        """So near that a warning is due; of requests there is none: a minute is soon over."""
        return self.what != "requests" and self.used >= WARN_AT * self.most


class Limits:
    """The limits of people and channels, and what counts towards them."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        prices: Mapping[str, Price],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings
        self._prices = prices
        self._clock = clock

    async def account(self, turn: Turn, answer: Answer, asker: str) -> None:
        """Charge `asker` for what an answer used, once per turn."""
        usage = _together(answer.usage, turn.recall(SUMMARY_USAGE))
        if usage is None:
            return
        model = answer.model or self._settings.openai_model
        cost = microdollars(self._prices, model, usage) or 0
        await self._store.spending.account(turn.claim, asker, usage, cost)

    async def check(self, message: Message, turn_id: str) -> Verdict:
        """Hold a request against the limits of its author and its channel, and count it.

        What the author's limits refuse is not counted for the channel: others talk there, too.
        """
        warnings = []
        for scope in LIMITED:
            for limit in await self._limits(message, scope):
                if limit.is_reached:
                    return Verdict(refusal=self._refusal(limit))
                if limit.is_near and await self._is_first(limit, message, turn_id):
                    warnings.append(_warning(limit))
        return Verdict(warning="\n\n".join(warnings))

    async def _limits(self, message: Message, scope: Scope) -> list[_Limit]:
        team_id, name, now = message.thread.team_id, _name(message, scope), self._clock()
        requests, tokens, cost = self._most(scope)
        limits = []
        if requests is not None:
            minute = int(now // 60)
            count = await self._store.spending.count_request(team_id, scope, name, minute)
            shown = texts.requests(requests)
            limits.append(_Limit(scope, "requests", count, requests, shown, (minute + 1) * 60, ""))
        if tokens is None and cost is None:
            return limits
        day = day_of(now)
        today, month = await self._store.spending.sums(
            team_id, [(scope, name, day), (scope, name, day[:7])]
        )
        if tokens is not None:
            shown = texts.tokens(tokens)
            limits.append(_Limit(scope, "tokens", today.tokens, tokens, shown, _tomorrow(now), day))
        if cost is not None:
            shown = texts.cost(cost)
            renewal = _next_month(now)
            limits.append(_Limit(scope, "cost", month.dollars, cost, shown, renewal, day[:7]))
        return limits

    def _most(self, scope: Scope) -> tuple[int | None, int | None, float | None]:
        settings = self._settings
        if scope == "person":
            return (
                settings.bot_limit_person_requests,
                settings.bot_limit_person_tokens,
                settings.bot_limit_person_cost,
            )
        return (
            settings.bot_limit_channel_requests,
            settings.bot_limit_channel_tokens,
            settings.bot_limit_channel_cost,
        )

    async def _is_first(self, limit: _Limit, message: Message, turn_id: str) -> bool:
        team_id, name = message.thread.team_id, _name(message, limit.scope)
        mark = f"warned:{team_id}:{limit.scope}:{name}:{limit.what}:{limit.period}"
        seconds = max(60, int(limit.renewal - self._clock()) + 60)
        return await self._store.marks.take(mark, turn_id, seconds)

    def _refusal(self, limit: _Limit) -> str:
        left = limit.renewal - self._clock()
        day = datetime.fromtimestamp(limit.renewal, UTC).strftime("on %d %B %Y, %H:%M UTC, ")
        when = f"{day if left > 3600 else ''}in {texts.span(left)}"
        return texts.reached(texts.owner(limit.scope), limit.shown, when)


def _together(first: Usage | None, second: Usage | None) -> Usage | None:
    if first is None or second is None:
        return first or second
    return Usage(*(a + b for a, b in zip(astuple(first), astuple(second), strict=True)))


def _name(message: Message, scope: Scope) -> str:
    return message.user_id if scope == "person" else message.thread.channel_id


def _warning(limit: _Limit) -> str:
    part = int(100 * limit.used / limit.most)
    return texts.near(part, texts.owner(limit.scope), limit.shown)


def _tomorrow(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1)).timestamp()


def _next_month(now: float) -> float:
    today = datetime.fromtimestamp(now, UTC)
    first = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1).timestamp()
