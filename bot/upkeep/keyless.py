"""Orphans that no current key can delete from the AI server.

A workspace changed or removed its own key, or the deployment changed its engine. The key may come
back, so they are tried again for four weeks, then given up and reported.
"""

from collections import Counter
from collections.abc import Sequence

from bot.settings.retention import DAY
from bot.store import Store, jobs
from bot.store.archive import Orphan
from bot.telemetry.log import log

RETRY_AFTER = 7 * DAY
PATIENCE = 28 * DAY
REMEMBERED = 35 * DAY


class Keyless:
    """How long the key of an engine has been missing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def is_over(self, engine: str) -> bool:
        """Whether the key has been missing for four weeks; the first call notes that it is."""
        name, now = f"keyless:{engine}", await self._store.now()
        since = await self._store.flags.read(name) or ""
        if not since.isdecimal():  # not noted yet, or corrupt
            await self._store.flags.note(name, f"{now:.0f}", int(REMEMBERED))
            return False
        return now - int(since) >= PATIENCE

    async def give_up(self, orphans: Sequence[Orphan]) -> None:
        """Notify people who wait for the deletion of orphans, and forget these.

        In this order: after a crash it is repeated, with the same ids of events.
        """
        for engine, count in Counter(orphan.engine for orphan in orphans).items():
            log.error("orphans_not_deletable", engine=engine, count=count)
        for person in await self._store.archive.waiting_for(orphans):
            event_id = f"given_up:{person.names[0]}"
            await jobs.ask(
                *(self._store.inbox, "deletion_failed", person.team_id, person.user_id, event_id),
                about=str(len(person.names)),
            )
        await self._store.archive.give_up(orphans)
