"""Keeps records small, and Redis from filling up.

Records of conversations that have been idle for a day are compressed and shortened. If memory is
short, the records of the longest idle conversations are deleted, and the admins are warned once.
Messages are always accepted. Under a legal hold nothing is shortened or deleted.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable

from bot.errors import BotError
from bot.store import Store
from bot.store.record_space import Memory
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.texts import memory as texts
from bot.timing import RecordTiming

BATCH = 20
LEASE, LEASE_SECONDS = "records", 60.0
DAY = 86400.0
SHORT, NEARLY_FULL = 0.8, 0.9
"""Parts of the memory from which records are deleted: those idle for a day, then all idle ones."""
SPARE = 0.05
"""The part of the memory that is freed at one time."""
WARNED_SECONDS = int(7 * DAY)
SQUEEZED = "records_squeezed_to"
"""The mark of the time up to which the records of idle conversations are small."""

Warn = Callable[[str], Awaitable[None]]


class RecordKeeper:
    """One of these runs in each worker; one at a time does the work."""

    def __init__(
        self,
        store: Store,
        budget: int,
        warn: Warn,
        timing: RecordTiming = RecordTiming(),
        home: Store | None = None,
    ) -> None:
        """`home`: the first shard, which notes the warnings if there are several."""
        self._store = store
        self._home = home
        self._budget = budget
        self._warn = warn
        self._timing = timing
        self._owner = secrets.token_hex(8)
        self._evicted_to = 0.0
        self._squeeze_at = 0.0

    async def keep(self) -> None:
        """Check every few seconds, forever."""
        while True:
            await asyncio.sleep(self._timing.check)
            try:
                await self.look()
            except BotError as error:
                log.warning("records_not_kept", error=str(error)[:200])
            except Exception:
                log.exception("record_keeper_failed")

    async def look(self) -> None:
        """Check the memory once, and do what is due."""
        memory = await self._store.space.memory(self._budget)
        if memory is not None:
            metrics.redis_memory.labels(self._store.number).set(memory.ratio)
            if memory.ratio >= SHORT:
                await self._free(memory)
        if time.monotonic() >= self._squeeze_at:
            self._squeeze_at = time.monotonic() + self._timing.squeeze
            await self._squeeze()

    async def _free(self, memory: Memory) -> None:
        if not await self._store.leases.take(LEASE, self._owner, LEASE_SECONDS):
            return
        level = NEARLY_FULL if memory.ratio >= NEARLY_FULL else SHORT
        evicted = await self._evict(level)
        if evicted:
            log.warning("records_evicted", percent=int(100 * memory.ratio), conversations=evicted)
        if await self._may_warn(f"memory:{level}"):
            log.warning("redis_memory_short", percent=int(100 * memory.ratio))
            await self._warn(texts.short(memory.used, memory.limit))

    async def _may_warn(self, flag: str) -> bool:
        """Once a week for each server, however many shards are on it."""
        flags = self._store.flags
        if self._home is not None:
            flags, flag = self._home.flags, f"{flag}:{await self._store.server_id()}"
        return await flags.take(flag, secrets.token_hex(8), WARNED_SECONDS)

    async def _evict(self, level: float) -> int:
        """Delete records, those of the longest idle conversations first."""
        evicted = 0
        rested = 0.0 if level == NEARLY_FULL else DAY
        before = await self._store.now() - rested
        while await self._is_above(level - SPARE) and not await self._store.hold.is_on():
            batch = await self._store.space.idle(self._evicted_to, before, BATCH)
            if batch is None:
                self._evicted_to = 0.0  # look at all of them the next time
                break
            evicted += await self._store.space.evict(batch.threads)
            self._evicted_to = batch.last
            await self._store.leases.take(LEASE, self._owner, LEASE_SECONDS)
        return evicted

    async def _is_above(self, ratio: float) -> bool:
        memory = await self._store.space.memory(self._budget)
        return memory is not None and memory.ratio > ratio

    async def _squeeze(self) -> None:
        """Compress and shorten records of conversations that became idle since the last time."""
        space, flags = self._store.space, self._store.flags
        if not await self._store.leases.take(LEASE, self._owner, LEASE_SECONDS):
            return
        before, smaller = await self._store.now() - self._timing.rested, 0
        for _ in range(self._timing.batches):
            if await self._store.hold.is_on():
                break
            after = float(await flags.read(SQUEEZED) or 0)
            batch = await space.idle(after, before, BATCH)
            if batch is None or not await space.may_squeeze():
                break
            smaller += await space.squeeze(batch.threads)
            await flags.note(SQUEEZED, repr(batch.last), WARNED_SECONDS * 8)
            await self._store.leases.take(LEASE, self._owner, LEASE_SECONDS)
            await asyncio.sleep(self._timing.pause)
        if smaller:
            log.info("records_squeezed", conversations=smaller)
