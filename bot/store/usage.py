"""Usage: tokens and money by workspace, channel, person and day.

Money is stored in microdollars (millionths of a US dollar); days and months are UTC. There are rows
(one hash a day: channel, person, kind -> count) for reports, and sums by day and month of each
channel, person and workspace, which limits and `/usage` read in one step.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Literal

from bot.models import Usage
from bot.store.claims import Claim, pairs
from bot.store.connection import Connection
from bot.store.corrupt import read_count, read_each
from bot.store.keys import Keys

UsageScope = Literal["team", "channel", "person"]

ROWS_SECONDS = 400 * 86400
SUMS_SECONDS = 70 * 86400
RESERVED_SECONDS = 3600
"""Longer than any turn: a reservation that is never released expires."""
FORGOTTEN = "forgotten"
"""Replaces the ids of people who asked to be forgotten."""


@dataclass(frozen=True, slots=True)
class Spent:
    """A sum. `input_tokens` includes the cached ones, `output_tokens` the reasoning."""

    turns: int = 0
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    microdollars: int = 0
    estimated_tokens: int = 0
    """The part of `tokens` that is estimated, because the server reported none."""

    @classmethod
    def of(cls, usage: Usage, microdollars: int, *, turns: int) -> "Spent":
        """The sum of one charge alone."""
        return cls(
            turns,
            usage.input_tokens,
            usage.cached_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            microdollars,
            usage.estimated,
        )

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def dollars(self) -> float:
        """The cost, as far as prices are known."""
        return self.microdollars / 1_000_000


KINDS = tuple(field.name for field in fields(Spent))


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The usage of one person in one channel on one day."""

    day: str
    team_id: str
    channel_id: str
    user_id: str
    spent: Spent


def day_of(seconds: float) -> str:
    """The UTC day of a time in epoch seconds, `2026-11-21`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Charge:
    """The charge of one person for a turn; `is_first` also counts the turn."""

    user_id: str
    usage: Usage
    microdollars: int
    is_first: bool = True

    @property
    def mark(self) -> str:
        """The step of a journal that says that it was charged."""
        return "accounted" if self.is_first else f"accounted:{self.user_id}"

    def keys(self, keys: Keys, claim: Claim) -> list[str]:
        """The keys of the script: see `collect_charges` in the prelude."""
        thread, day = claim.thread, day_of(claim.taken_at)
        team_id, channel_id, month = thread.team_id, thread.channel_id, day[:7]
        scopes: Sequence[tuple[UsageScope, str]] = (
            ("team", ""),
            ("channel", channel_id),
            ("person", self.user_id),
        )
        return [
            keys.usage(team_id, day),
            keys.used(team_id, self.user_id),
            keys.top(team_id, "channel", month),
            keys.top(team_id, "person", month),
            keys.teams,
            *(keys.spent(team_id, *scope, period) for period in (day, month) for scope in scopes),
        ]

    def facts(self, claim: Claim, *, turns: int) -> dict[str, Any]:
        """The amounts that the script adds."""
        spent = Spent.of(self.usage, self.microdollars, turns=turns)
        return {
            "day": day_of(claim.taken_at),
            "channel": claim.thread.channel_id,
            "person": self.user_id,
            "team": claim.thread.team_id,
            "tokens": spent.tokens,
            "kinds": dict(zip(KINDS, astuple(spent), strict=True)),
        }


class Spending:
    """The counters."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    async def account(
        self,
        claim: Claim,
        user_id: str,
        usage: Usage,
        microdollars: int,
        *,
        is_first: bool = True,
        is_late: bool = False,
    ) -> bool:
        """Charge a person for a turn, once; False if that was done before. Raises Superseded.

        When several people share a turn, each is charged a share of its usage; only the call with
        `is_first` counts the turn. `is_late`: the turn has ended, so the claim is not checked, and
        the caller ensures that it is counted once. A turn that ends is charged by `settle`.

        The mark is kept in the turn's journal: it needs no key and lives as long as the turn can be
        repeated.
        """
        charge = Charge(user_id, usage, microdollars, is_first)
        counted = await self._connection.run(
            "account",
            claim.thread,
            {"keys": charge.keys(self._keys, claim)},
            claim="" if is_late else claim.fence,
            mark=charge.mark,
            charge=json.dumps(charge.facts(claim, turns=int(is_first and not is_late))),
            row_seconds=ROWS_SECONDS,
            sum_seconds=SUMS_SECONDS,
        )
        return bool(counted)

    async def sums(
        self, team_id: str, wanted: Sequence[tuple[UsageScope, str, str]]
    ) -> list[Spent]:
        """Sums by (scope, id, period), the period a day or a month; the id of "team" is ""."""
        found = await self._connection.execute_many(
            [("HGETALL", self._keys.spent(team_id, *which)) for which in wanted]
        )
        return [_parse(fields) for fields in found]

    async def reserve(
        self,
        turn_id: str,
        team_id: str,
        scope: UsageScope,
        name: str,
        day: str,
        *,
        least: tuple[int, int],
        limits: tuple[int | None, int | None],
    ) -> tuple[bool, int, int]:
        """Reserve what a turn may use, unless a limit is reached.

        `least` and `limits` are tokens (per day) and microdollars (per month). Returns whether it
        was reserved, and the tokens and microdollars used so far.
        """
        keys = self._keys
        max_tokens, max_cost = ("" if limit is None else limit for limit in limits)
        granted, tokens, cost = await self._connection.run(
            "reserve",
            None,
            {
                "reservations": keys.reserved(team_id, scope, name),
                "day": keys.spent(team_id, scope, name, day),
                "month": keys.spent(team_id, scope, name, day[:7]),
            },
            turn=turn_id,
            seconds=RESERVED_SECONDS,
            min_tokens=least[0],
            min_cost=least[1],
            max_tokens=max_tokens,
            max_cost=max_cost,
        )
        return bool(granted), int(tokens), int(cost)

    async def release(
        self, turn_id: str, team_id: str, subjects: Sequence[tuple[UsageScope, str]]
    ) -> None:
        """Delete a turn's reservations; its actual usage is counted."""
        await self._connection.execute_many(
            [
                ("HDEL", self._keys.reserved(team_id, scope, name), turn_id)
                for scope, name in subjects
            ]
        )

    async def count_request(self, team_id: str, scope: UsageScope, name: str, minute: int) -> int:
        """Count a request; returns the count of this minute (of the epoch)."""
        key = self._keys.requests(team_id, scope, name, minute)
        count, _ = await self._connection.execute_many([("INCR", key), ("EXPIRE", key, 120)])
        return int(count)

    async def top(self, team_id: str, scope: UsageScope, month: str, count: int) -> list[str]:
        """The ids with the most tokens in a month, in descending order."""
        key = self._keys.top(team_id, scope, month)
        found: list[str] = await self._connection.execute("ZREVRANGE", key, 0, count - 1)
        return found

    async def rows(self, days: Iterable[date]) -> list[UsageRow]:
        """All rows of some days, of all workspaces, by day, workspace, channel and person."""
        teams = sorted(await self._connection.execute("SMEMBERS", self._keys.teams))
        found: list[UsageRow] = []
        for day in days:
            for team_id in teams:
                cells = await self._connection.execute(
                    "HGETALL", self._keys.usage(team_id, day.isoformat())
                )
                found += _parse_rows(day.isoformat(), team_id, cells)
        return found

    async def forget(self, team_id: str, user_id: str) -> None:
        """Remove a person's id from the rows. The sums of days and months expire."""
        keys = self._keys
        used = keys.used(team_id, user_id)
        for member in await self._connection.execute("SMEMBERS", used):
            day, _, channel_id = member.partition(":")
            await self._connection.run(
                "anonymize",
                keys={
                    "used": used,
                    "usage": keys.usage(team_id, day),
                    "top_people": keys.top(team_id, "person", day[:7]),
                    "spent_day": keys.spent(team_id, "person", FORGOTTEN, day),
                    "spent_month": keys.spent(team_id, "person", FORGOTTEN, day[:7]),
                },
                member=member,
                channel=channel_id,
                person=user_id,
                substitute=FORGOTTEN,
                sum_seconds=SUMS_SECONDS,
                kinds=KINDS,
            )


def _parse(cells: dict[str, str] | list[str]) -> Spent:
    counts = pairs(cells) if isinstance(cells, list) else cells
    return Spent(**{kind: read_count("usage", counts.get(kind)) for kind in KINDS})


def _parse_cell(cell: tuple[str, str]) -> tuple[str, str, str]:
    channel_id, user_id, kind = cell[0].split(":")
    return channel_id, user_id, kind


def _parse_rows(day: str, team_id: str, cells: dict[str, str]) -> list[UsageRow]:
    counts: dict[tuple[str, str], dict[str, str]] = {}
    for (_, count), (channel_id, user_id, kind) in read_each("usage", cells.items(), _parse_cell):
        counts.setdefault((channel_id, user_id), {})[kind] = count
    return [UsageRow(day, team_id, *who, _parse(cells)) for who, cells in sorted(counts.items())]
