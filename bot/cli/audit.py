"""`bot audit`: the audit trail of tool calls, as text, CSV and JSON lines."""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime

from bot.settings import Settings
from bot.slack.literal import visible
from bot.store import AuditLine, Store
from bot.store.audit import audit_fields
from bot.store.shards import open_shards
from bot.telemetry import audit_log

COLUMNS = tuple(field.name for field in fields(AuditLine))
NEWEST = 20
_FORMULA = ("=", "+", "-", "@")


async def fetch(settings: Settings) -> tuple[list[AuditLine], str]:
    """All lines, oldest first, and the fault of the hash chain ("" if it is intact).

    Each shard has a chain of its own.
    """
    lines: list[AuditLine] = []
    problems = []
    async with open_shards(settings) as shards:
        for store in shards:
            found, problem = await read(store)
            lines += found
            if problem:
                problems.append(f"shard {store.number}: {problem}" if len(shards) > 1 else problem)
    if len(shards) > 1:
        lines.sort(key=lambda line: line.at)
    return lines, "; ".join(problems)


async def read(store: Store) -> tuple[list[AuditLine], str]:
    """All lines of a store, and the fault of the hash chain."""
    lines: list[AuditLine] = []
    problem, newest = "", ""
    async for stored in store.audit.read():
        lines.append(stored.line)
        newest = stored.hash
        if not stored.fits and not problem:
            problem = f"broken: line {len(lines)} does not follow from the one before it"
    if not problem and not await store.audit.head_fits(newest):
        problem = "broken: the newest lines are missing"
    return lines, problem


def render_csv(lines: Sequence[AuditLine]) -> str:
    """CSV with a header. Cells that a spreadsheet would run as a formula get a leading quote."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    for line in lines:
        table.writerow({name: _cell(name, value) for name, value in asdict(line).items()})
    return out.getvalue()


def render_json(lines: Sequence[AuditLine]) -> str:
    """The lines as the audit log has them."""
    rendered = (audit_log.render("tool_call", audit_fields(line), line.at) for line in lines)
    return "".join(f"{line}\n" for line in rendered)


def render_newest(lines: Sequence[AuditLine]) -> str:
    """The newest entries, one line each."""
    shown = [
        f"{_time(line.at)}  {line.user_id}  {line.server or '-'}/{visible(line.tool, keep='')}  "
        f"{line.decision} by {line.decided_by}  {line.outcome}  {line.milliseconds} ms"
        for line in lines[-NEWEST:]
    ]
    return "\n".join(shown) or "No tool has been called."


def _cell(name: str, value: object) -> object:
    if name == "at" and isinstance(value, float):
        return _time(value)
    if not isinstance(value, str):
        return value
    shown = visible(value, keep="")
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
