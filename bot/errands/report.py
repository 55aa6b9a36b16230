"""Reports of what was spent: pictures for people, CSV for accountants."""

import csv
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple
from datetime import UTC, date, datetime, timedelta
from typing import TextIO

from bot.errands.chart import Bars, draw_chart
from bot.settings import Settings
from bot.slack.people import People
from bot.store import Store, open_store
from bot.store.usage import KINDS, Row, Scope, Spent, day_of

TOP = 5


async def person_chart(store: Store, team_id: str, user_id: str) -> bytes:
    """Tokens by day of this month, of one person."""
    return draw_chart([await _days(store, team_id, "person", user_id)])


async def team_chart(store: Store, people: People, team_id: str) -> bytes:
    """Tokens of the workspace by day of this month, and who and where spent the most."""
    month = day_of(time.time())[:7]
    parts = [await _days(store, team_id, "team", "")]
    scopes: Sequence[tuple[Scope, str]] = (("channel", "Channels"), ("person", "People"))
    for scope, title in scopes:
        ids = await store.spending.top(team_id, scope, month, TOP)
        sums = await store.spending.sums(team_id, [(scope, name, month) for name in ids])
        names = [await _name(people, scope, name) for name in ids]
        tokens = [spent.tokens for spent in sums]
        parts.append(Bars(f"{title}: tokens this month", list(zip(names, tokens, strict=True))))
    return draw_chart(parts)


async def _name(people: People, scope: Scope, name: str) -> str:
    person = await people.find(name) if scope == "person" and name.startswith(("U", "W")) else None
    return person.name if person else name


async def _days(store: Store, team_id: str, scope: Scope, name: str) -> Bars:
    today = datetime.now(UTC).date()
    days = [day.isoformat() for day in _span(today.replace(day=1), today)]
    sums = await store.spending.sums(team_id, [(scope, name, day) for day in days])
    return Bars("Tokens by day", [(day, s.tokens) for day, s in zip(days, sums, strict=True)])


def _span(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += timedelta(days=1)


async def fetch_rows(settings: Settings, days: int) -> list[Row]:
    """The rows of the newest `days` days, today included, from the settings' own Redis."""
    today = datetime.now(UTC).date()
    async with open_store(
        settings.redis_url,
        prefix=settings.bot_redis_prefix,
        tls_verify=settings.redis_tls_verify,
        connections=settings.bot_redis_connections,
    ) as store:
        return await store.spending.rows(_span(today - timedelta(days=days - 1), today))


def write_csv(rows: Sequence[Row], file: TextIO) -> None:
    """One line for each day, workspace, channel and person."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("day", "team_id", "channel_id", "user_id", *KINDS))
    for row in rows:
        writer.writerow((row.day, row.team_id, row.channel_id, row.user_id, *astuple(row.spent)))


def render_total(rows: Sequence[Row]) -> str:
    """All rows together, a line for each kind."""
    columns = zip(*(astuple(row.spent) for row in rows), strict=True)
    total = Spent(*map(sum, columns)) if rows else Spent()
    return "\n".join(f"{kind:<17}{count:>15,}" for kind, count in asdict(total).items())
