"""`bot hold`: begins and ends a legal hold."""

from datetime import UTC, datetime

from bot.cli import acts
from bot.settings import Settings
from bot.store.shards import Shards, open_shards


async def begin(settings: Settings) -> str:
    """Begin a hold; returns the message for the operator."""
    async with open_shards(settings) as shards:
        await shards.need_all()
        if not any([await store.hold.begin() for store in shards]):
            return await _describe(shards)
        acts.record(settings, "legal_hold", what="begun")
        return "The legal hold is on: nothing that people said is deleted until `bot hold end`."


async def end(settings: Settings) -> str:
    """End the hold, and carry out the deletions that were kept."""
    async with open_shards(settings) as shards:
        await shards.need_all()
        if not any([await store.hold.end() for store in shards]):
            return "There is no legal hold."
        acts.record(settings, "legal_hold", what="ended")
        done = sum([await store.hold.carry_out() for store in shards])
        left = sum([len(await store.hold.kept()) for store in shards])
        later = f" {left} more follow with the next sweep: their threads are busy." if left else ""
        return f"The legal hold has ended. {done} deletions that were kept are under way.{later}"


async def status(settings: Settings) -> str:
    """Whether a hold is on, and how many deletions wait for its end."""
    async with open_shards(settings) as shards:
        return await _describe(shards)


async def _describe(shards: Shards) -> str:
    all_since = [since for store in shards if (since := await store.hold.since()) is not None]
    kept = sum([len(await store.hold.kept()) for store in shards])
    if not all_since:
        return "There is no legal hold."
    if without := len(shards) - len(all_since):
        return f"The legal hold is off in {without} of {len(shards)} shards: `bot hold begin`."
    day = datetime.fromtimestamp(min(all_since), UTC).strftime("%Y-%m-%d %H:%M")
    return f"The legal hold is on since {day} UTC; {kept} deletions wait for its end."
