"""`bot hold`: begins and ends a legal hold."""

from datetime import UTC, datetime

from bot.cli import acts
from bot.settings import Settings
from bot.store import Store, open_own_store


async def begin(settings: Settings) -> str:
    """Begin a hold; returns what to tell the operator."""
    async with open_own_store(settings) as store:
        if not await store.hold.begin():
            return await _describe(store)
        acts.record(settings, "legal_hold", what="begun")
        return "The legal hold is on: nothing that people said is deleted until `bot hold end`."


async def end(settings: Settings) -> str:
    """End the hold, and carry out the deletions that were kept."""
    async with open_own_store(settings) as store:
        if not await store.hold.end():
            return "There is no legal hold."
        acts.record(settings, "legal_hold", what="ended")
        done = await store.hold.carry_out()
        left = len(await store.hold.kept())
        later = f" {left} more follow with the next sweep: their threads are busy." if left else ""
        return f"The legal hold has ended. {done} deletions that were kept are under way.{later}"


async def status(settings: Settings) -> str:
    """Whether a hold is on, and how many deletions wait for its end."""
    async with open_own_store(settings) as store:
        return await _describe(store)


async def _describe(store: Store) -> str:
    since, kept = await store.hold.since(), len(await store.hold.kept())
    if since is None:
        return "There is no legal hold."
    day = datetime.fromtimestamp(since, UTC).strftime("%Y-%m-%d %H:%M")
    return f"The legal hold is on since {day} UTC; {kept} deletions wait for its end."
