"""The daily sweep: archives idle conversations and deletes what no thread points to.

One process does it at a time. Whatever was done is done in Redis, so the next one goes on where a
sweep stopped: idle conversations leave their index one by one, orphans when the server has deleted
them.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass

from bot.engines import Engine
from bot.errors import BotError, ConversationGone, Retry, StoreUnavailable
from bot.log import log
from bot.store import Store
from bot.store.archive import Orphan

BATCH = 100
DELETES_AT_ONCE = 4
LEASE, LEASE_SECONDS = "sweep", 120.0
DAY = 86400.0
LOOK_EVERY = 600.0
TRY_AGAIN_AFTER = 3600.0


@dataclass(slots=True)
class Swept:
    """What a sweep did, or with `dry_run` would do."""

    archived: int = 0
    deleted: int = 0
    kept: int = 0
    """Orphans that could not be deleted now, or belong to another engine."""


class Sweeper:
    """Sweeps for one deployment; `pause` seconds lie between two batches of deletions."""

    def __init__(
        self, store: Store, engine: Engine, retention_days: float, *, pause: float = 0.2
    ) -> None:
        self._store = store
        self._engine = engine
        self._days = retention_days
        self._pause = pause
        self._owner = secrets.token_hex(8)

    async def keep_sweeping(self) -> None:
        """Look every ten minutes: orphans are deleted each time, idle conversations once a day."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                await self.sweep_in_turn()
            except BotError as error:
                log.warning("sweep_stopped", error=str(error)[:200])
            except Exception:
                log.exception("sweep_broke")

    async def sweep_in_turn(self) -> Swept | None:
        """Sweep unless another process is at it (None); idle conversations once a day."""
        if not await self._lease():
            return None
        try:
            today = f"swept:{int(time.time() // DAY)}"
            is_due = await self._store.marks.is_free(today)
            swept = await self.sweep(idle=is_due)
            if is_due:
                await self._store.marks.take(today, self._owner, int(2 * DAY))
            return swept
        finally:
            await self._store.leases.give_back(LEASE, self._owner)

    async def sweep_now(self) -> Swept:
        """Sweep everything, whatever was done today. Raises Retry while another process sweeps."""
        if not await self._lease():
            raise Retry("another process sweeps")
        try:
            return await self.sweep()
        finally:
            await self._store.leases.give_back(LEASE, self._owner)

    async def _lease(self) -> bool:
        return await self._store.leases.take(LEASE, self._owner, LEASE_SECONDS)

    @property
    def before(self) -> float:
        """Conversations last used before this time are archived; 0 days keep them for ever."""
        return time.time() - self._days * DAY if self._days else 0.0

    async def preview(self) -> Swept:
        """What would go, changing nothing."""
        idle, orphans = await self._store.archive.count(self.before)
        return Swept(archived=idle, deleted=idle + orphans)

    async def sweep(self, *, idle: bool = True) -> Swept:
        """Archive (with `idle`) and delete; the lease is the caller's."""
        swept = Swept()
        if idle:
            await self._archive(swept)
        await self._delete(swept)
        log.info("swept", archived=swept.archived, deleted=swept.deleted, kept=swept.kept)
        return swept

    async def _archive(self, swept: Swept) -> None:
        before, skip = self.before, 0
        while found := await self._store.archive.idle(before, BATCH, skip):
            fates = await self._store.archive.archive(found, before)
            swept.archived += fates.count("archived")
            skip += fates.count("busy")
            if not await self._lease():
                raise Retry("another process sweeps")

    async def _delete(self, swept: Swept) -> None:
        while orphans := await self._store.archive.orphans(BATCH):
            for start in range(0, len(orphans), DELETES_AT_ONCE):
                batch = orphans[start : start + DELETES_AT_ONCE]
                gone = await asyncio.gather(*map(self._delete_one, batch))
                done = [orphan for orphan, is_gone in zip(batch, gone, strict=True) if is_gone]
                await self._store.archive.bury(done)
                swept.deleted += len(done)
                swept.kept += len(batch) - len(done)
                await asyncio.sleep(self._pause)
            if not await self._lease():
                raise Retry("another process sweeps")

    async def _delete_one(self, orphan: Orphan) -> bool:
        """Whether it is gone from the server; else it is tried again in an hour."""
        if orphan.engine == self._engine.name:
            try:
                await self._engine.delete(orphan.conversation_id)
                return True
            except ConversationGone:
                return True
            except StoreUnavailable:
                raise
            except BotError as error:
                log.warning("orphan_kept", error=str(error)[:100])
        after = TRY_AGAIN_AFTER if orphan.engine == self._engine.name else 7 * DAY
        await self._store.archive.postpone(orphan, after)
        return False
