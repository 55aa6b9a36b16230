"""Usage reports: charts for people, CSV for accounting."""

import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TextIO

from bot.jobs.series import Series
from bot.settings import Settings
from bot.slack.blocks import Block, bar_chart
from bot.slack.people import People
from bot.store import Store
from bot.store.shards import open_shards
from bot.store.usage import FORGOTTEN, KINDS, Spent, UsageRow, UsageScope, day_of

TOP = 5
TOKENS = "Tokens"


@dataclass(frozen=True, slots=True)
class TeamUsage:
    """Tokens of the workspace by day of this month, and the top channels and people.

    Channels are numbered because their names are unknown; `channel_ids` has them in that order.
    """

    days: Series
    channels: Series
    people: Series
    channel_ids: list[str]


async def person_usage(store: Store, team_id: str, user_id: str) -> Series:
    """Tokens by day of this month, of one person."""
    return await _days(store, team_id, "person", user_id)


async def team_usage(store: Store, people: People, team_id: str) -> TeamUsage:
    """The tokens of this month."""
    month = day_of(time.time())[:7]
    days = await _days(store, team_id, "team", "")
    channels = await _top(store, team_id, "channel", month)
    persons = await _top(store, team_id, "person", month)
    numbered = [(f"channel {rank}", tokens) for rank, (_, tokens) in enumerate(channels, 1)]
    named = [(await _name(people, user_id), tokens) for user_id, tokens in persons]
    return TeamUsage(
        days,
        Series("Channels", numbered),
        Series("People", named),
        [channel_id for channel_id, _ in channels],
    )


def native_charts(*series: Series) -> list[Block]:
    """The series as charts that Slack draws itself; at most two in a message."""
    return [bar_chart(each.title, each.rows, y_label=TOKENS) for each in series if each.rows]


async def _top(store: Store, team_id: str, scope: UsageScope, month: str) -> list[tuple[str, int]]:
    """Ids and their tokens, most first."""
    ids = await store.spending.top(team_id, scope, month, TOP)
    sums = await store.spending.sums(team_id, [(scope, name, month) for name in ids])
    return [(name, spent.tokens) for name, spent in zip(ids, sums, strict=True)]


async def _name(people: People, user_id: str) -> str:
    person = await people.find(user_id) if user_id != FORGOTTEN else None
    return person.name if person else user_id


async def _days(store: Store, team_id: str, scope: UsageScope, name: str) -> Series:
    today = datetime.now(UTC).date()
    days = list(_span(today.replace(day=1), today))
    sums = await store.spending.sums(team_id, [(scope, name, day.isoformat()) for day in days])
    title = f"Tokens by day, {today:%B %Y}"
    rows = [(str(day.day), spent.tokens) for day, spent in zip(days, sums, strict=True)]
    return Series(title, rows)


def _span(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


async def fetch_rows(settings: Settings, days: int) -> list[UsageRow]:
    """The rows of the newest `days` days, including today, from the Redis of the settings."""
    today = datetime.now(UTC).date()
    span = list(_span(today - timedelta(days=days - 1), today))
    async with open_shards(settings) as shards:
        rows = [row for store in shards for row in await store.spending.rows(span)]
    return sorted(rows, key=lambda row: (row.day, row.team_id))  # stable within a workspace


def write_csv(rows: Sequence[UsageRow], file: TextIO) -> None:
    """One line per day, workspace, channel and person."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("day", "team_id", "channel_id", "user_id", *KINDS))
    for row in rows:
        writer.writerow((row.day, row.team_id, row.channel_id, row.user_id, *astuple(row.spent)))


def render_total(rows: Sequence[UsageRow]) -> str:
    """The totals, one line per kind."""
    columns = zip(*(astuple(row.spent) for row in rows), strict=True)
    total = Spent(*map(sum, columns)) if rows else Spent()
    return "\n".join(f"{kind:<17}{count:>15,}" for kind, count in asdict(total).items())
