"""Checks the limits of people and channels before a run."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.models import Message, Usage
from bot.settings import Settings
from bot.settings.prices import Price, microdollars
from bot.store import Store, Turn
from bot.store.usage import UsageScope, day_of
from bot.texts import limits as texts

WARN_AT = 0.8
MIN_TOKENS = 1000
"""The minimum reservation of a run, in addition to the length of its questions."""
CHARS_PER_TOKEN = 3


@dataclass(frozen=True, slots=True)
class LimitVerdict:
    """`within`: the people whose messages are answered. `notes`: Markdown for people."""

    within: frozenset[str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Account:
    """A person or a channel, to which limits apply."""

    team_id: str
    scope: UsageScope
    name: str


@dataclass(frozen=True, slots=True)
class _Limit:
    """One limit of an account: `used` of `most`, until `renewal` (epoch seconds)."""

    scope: UsageScope
    what: str
    used: float
    most: float
    shown: str
    renewal: float
    period: str

    @property
    def is_reached(self) -> bool:
        """Whether the limit is used up. A request is counted before it, tokens and cost after
        it."""
        return self.used > self.most if self.what == "requests" else self.used >= self.most

    @property
    def is_near(self) -> bool:
        """Whether to warn. Never for requests, which renew every minute."""
        return self.what != "requests" and self.used >= WARN_AT * self.most


class Limits:
    """The limits of people and channels."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        prices: Mapping[str, Price],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._settings = settings
        self._prices = prices
        self._clock = clock
        scopes: tuple[UsageScope, ...] = ("person", "channel")
        self.reserving = frozenset(filter(self._reserves, scopes))
        """Where a turn reserves what it may use, until it is settled."""

    async def admit(self, turn_id: str, messages: Sequence[Message]) -> LimitVerdict:
        """Check and count a run against the limits of all authors and of the channel.

        Messages of an author over a limit are left out and not counted for the channel. Reserves
        what the run may use, until the turn is settled.
        """
        team_id, notes = messages[0].thread.team_id, []
        characters = sum(len(message.text) for message in messages)
        within = set()
        for user_id in dict.fromkeys(message.user_id for message in messages):
            account = _Account(team_id, "person", user_id)
            allowed, note = await self._check(account, turn_id, characters)
            notes += [note] if note else []
            if allowed:
                within.add(user_id)
        if not within:
            return LimitVerdict(frozenset(), tuple(notes))
        account = _Account(team_id, "channel", messages[0].thread.channel_id)
        allowed, note = await self._check(account, turn_id, characters)
        if allowed:
            return LimitVerdict(frozenset(within), (*notes, *([note] if note else [])))
        if "person" in self.reserving:
            subjects: list[tuple[UsageScope, str]] = [("person", user_id) for user_id in within]
            await self._store.spending.release(turn_id, team_id, subjects)
        return LimitVerdict(frozenset(), (*notes, note))

    async def may_go_on(self, turn: Turn, used: Usage | None, messages: Sequence[Message]) -> bool:
        """Whether a turn that has `used` this much may start another run.

        Usage is counted when the turn settles; until then it is reserved.
        """
        thread, used = turn.claim.thread, used or Usage()
        model = turn.claim.channel.model or self._settings.openai_model
        cost = microdollars(self._prices, model, used) or 0
        accounts = [_Account(thread.team_id, "person", m.user_id) for m in messages]
        accounts.append(_Account(thread.team_id, "channel", thread.channel_id))
        for account in dict.fromkeys(accounts):
            if account.scope not in self.reserving:
                continue
            _, most_tokens, most_cost = self._most(account.scope)
            tokens = used.input_tokens + used.output_tokens
            granted, before, spent = await self._hold(account, turn.id, tokens + MIN_TOKENS, cost)
            over = most_tokens is not None and before + tokens >= most_tokens
            if not granted or over or (most_cost and (spent + cost) / 1e6 >= most_cost):
                return False
        return True

    async def _check(self, account: _Account, turn_id: str, characters: int) -> tuple[bool, str]:
        """Whether a run may start, and the notes for people."""
        limits = await self._count_request(account)
        granted = True
        if account.scope in self.reserving and not any(limit.is_reached for limit in limits):
            granted, more = await self._reserve(account, turn_id, characters)
            limits += more
        for limit in limits:
            if limit.is_reached:
                return False, self._refusal(limit)
        if not granted:
            return False, texts.reserved(texts.owner(account.scope))
        warnings = [
            _warning(limit)
            for limit in limits
            if limit.is_near and await self._is_first(limit, account, turn_id)
        ]
        return True, "\n\n".join(warnings)

    def _reserves(self, scope: UsageScope) -> bool:
        _, tokens, cost = self._most(scope)
        return tokens is not None or cost is not None

    async def _count_request(self, account: _Account) -> list[_Limit]:
        requests, _, _ = self._most(account.scope)
        if requests is None:
            return []
        minute = int(self._clock() // 60)
        count = await self._store.spending.count_request(
            account.team_id, account.scope, account.name, minute
        )
        shown, renewal = texts.requests(requests), (minute + 1) * 60
        return [_Limit(account.scope, "requests", count, requests, shown, renewal, "")]

    async def _reserve(
        self, account: _Account, turn_id: str, characters: int
    ) -> tuple[bool, list[_Limit]]:
        _, tokens, cost = self._most(account.scope)
        now = self._clock()
        day = day_of(now)
        estimate = Usage(characters // CHARS_PER_TOKEN, 0, MIN_TOKENS)
        least_cost = microdollars(self._prices, self._settings.openai_model, estimate) or 0
        least_tokens = estimate.input_tokens + MIN_TOKENS
        granted, used, spent = await self._hold(account, turn_id, least_tokens, least_cost)
        limits, scope = [], account.scope
        if tokens is not None:
            shown = texts.tokens(tokens)
            limits.append(_Limit(scope, "tokens", used, tokens, shown, _tomorrow(now), day))
        if cost is not None:
            shown, renewal = texts.cost(cost), _next_month(now)
            limits.append(_Limit(scope, "cost", spent / 1e6, cost, shown, renewal, day[:7]))
        return granted, limits

    async def _hold(
        self, account: _Account, turn_id: str, least_tokens: int, least_cost: int
    ) -> tuple[bool, int, int]:
        """Reserve for a turn; returns whether it was granted, and what was used before."""
        _, tokens, cost = self._most(account.scope)
        return await self._store.spending.reserve(
            turn_id,
            account.team_id,
            account.scope,
            account.name,
            day_of(self._clock()),
            least=(least_tokens, least_cost),
            limits=(tokens, None if cost is None else round(cost * 1_000_000)),
        )

    def _most(self, scope: UsageScope) -> tuple[int | None, int | None, float | None]:
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

    async def _is_first(self, limit: _Limit, account: _Account, turn_id: str) -> bool:
        team_id, name = account.team_id, account.name
        mark = f"warned:{team_id}:{limit.scope}:{name}:{limit.what}:{limit.period}"
        seconds = max(60, int(limit.renewal - self._clock()) + 60)
        return await self._store.flags.take(mark, turn_id, seconds)

    def _refusal(self, limit: _Limit) -> str:
        left = limit.renewal - self._clock()
        day = datetime.fromtimestamp(limit.renewal, UTC).strftime("on %d %B %Y, %H:%M UTC, ")
        when = f"{day if left > 3600 else ''}in {texts.span(left)}"
        return texts.reached(texts.owner(limit.scope), limit.shown, when)


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
