"""`bot feedback export`: feedback on answers as CSV and JSON lines."""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime

from bot.cli import acts
from bot.settings import Settings
from bot.store import Feedback
from bot.store.shards import open_shards

COLUMNS = ("at", "vote", "note", "user_id", "thread", "turn_id", "run_id")


async def fetch(settings: Settings) -> list[Feedback]:
    """All feedback, oldest first, from the Redis of the settings."""
    async with open_shards(settings) as shards:
        found = [each for store in shards for each in await store.feedback.list()]
    found.sort(key=lambda each: each.at)
    acts.record(settings, "export", what="feedback", entries=len(found))
    return found


def render_csv(feedback: Sequence[Feedback]) -> str:
    """CSV with a header. Notes are exactly as people wrote them: import them as text, not as
    formulas."""
    out = io.StringIO()
    table = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    table.writeheader()
    table.writerows(map(_row, feedback))
    return out.getvalue()


def render_jsonl(feedback: Sequence[Feedback]) -> str:
    """One JSON object per line."""
    return "".join(json.dumps(_row(each), ensure_ascii=False) + "\n" for each in feedback)


def _row(feedback: Feedback) -> dict[str, str]:
    return {
        "at": datetime.fromtimestamp(feedback.at, UTC).isoformat(timespec="seconds"),
        "vote": feedback.vote,
        "note": feedback.note,
        "user_id": feedback.user_id,
        "thread": feedback.thread.key,
        "turn_id": feedback.turn_id,
        "run_id": feedback.run_id,
    }
