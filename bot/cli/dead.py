"""`bot dead`: lists, retries and deletes dead letters.

The texts of messages are shown only on request.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bot.cli import acts
from bot.errors import Retry
from bot.settings import Settings
from bot.store import DeadLetter
from bot.store.shards import Shards, open_shards


async def list_letters(settings: Settings) -> tuple[DeadLetter, ...]:
    """All of them, oldest first."""
    async with open_shards(settings) as shards:
        return await _list(shards)


async def _list(shards: Shards) -> tuple[DeadLetter, ...]:
    found = [letter for store in shards for letter in await store.dead.list()]
    return tuple(sorted(found, key=lambda letter: letter.at) if len(shards) > 1 else found)


async def retry_letters(settings: Settings, ids: Sequence[str], *, every: bool) -> list[str]:
    """Put letters back into their threads to be answered; returns unknown ids."""
    async with open_shards(settings) as shards:
        wanted = [letter.id for letter in await _list(shards)] if every else ids
        acts.record(settings, "dead_letters_retried", ids=wanted)
        return [id for id in wanted if not await _retry(shards, id)]


async def drop_letters(settings: Settings, ids: Sequence[str], *, every: bool) -> list[str]:
    """Delete letters; returns unknown ids. Raises Retry under a legal hold."""
    async with open_shards(settings) as shards:
        if await shards.first(lambda store: store.hold.is_on()):
            raise Retry("a legal hold is on, nothing may be deleted: see `bot hold status`")
        wanted = [letter.id for letter in await _list(shards)] if every else ids
        acts.record(settings, "dead_letters_dropped", ids=wanted)
        return [id for id in wanted if not await _drop(shards, id)]


async def _retry(shards: Shards, id: str) -> bool:
    return await shards.first(lambda store: store.dead.retry(id))


async def _drop(shards: Shards, id: str) -> bool:
    return await shards.first(lambda store: store.dead.drop(id))


def render_table(letters: Sequence[DeadLetter], *, texts: bool) -> str:
    """One line per letter and, with `texts`, one per message."""
    if not letters:
        return "No dead letters."
    rows = [("ID", "SINCE (UTC)", "CHANNEL", "THREAD", "MESSAGES", "ATTEMPTS", "REASON")]
    for letter in letters:
        since = datetime.fromtimestamp(letter.at, UTC).strftime("%Y-%m-%d %H:%M")
        thread, count = letter.thread, str(len(letter.messages))
        attempts = f"{letter.attempts}+{letter.crashes}" if letter.crashes else str(letter.attempts)
        where = (thread.channel_id, thread.thread_ts)
        rows.append((letter.id, since, *where, count, attempts, letter.reason))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        lines.append("  ".join(cells).rstrip())
        if texts and number:
            messages = letters[number - 1].messages
            lines += [f"    {message.user_id}: {message.text}" for message in messages]
    return "\n".join(lines)


def render_json(letters: Sequence[DeadLetter], *, texts: bool) -> str:
    """A list of objects, one for each letter."""
    return json.dumps([_as_json(letter, texts=texts) for letter in letters], ensure_ascii=False)


def _as_json(letter: DeadLetter, *, texts: bool) -> dict[str, Any]:
    messages = [
        {"ts": message.ts, "user_id": message.user_id} | ({"text": message.text} if texts else {})
        for message in letter.messages
    ]
    return {
        "id": letter.id,
        "at": letter.at,
        "team_id": letter.thread.team_id,
        "channel_id": letter.thread.channel_id,
        "thread_ts": letter.thread.thread_ts,
        "reason": letter.reason,
        "attempts": letter.attempts,
        "crashes": letter.crashes,
        "messages": messages,
    }
