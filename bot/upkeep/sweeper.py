"""The daily sweep: archives idle conversations, deletes old feedback and orphans.

One process sweeps at a time. Progress is in Redis, so the next sweep continues where the last one
stopped: idle conversations leave their index one by one, orphans when the server has deleted them.
Ages are measured by Redis's clock, which also recorded the last use: a machine with a wrong clock
must not archive conversations in use.
"""

import asyncio
import hashlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Literal

from bot.engines import Engine
from bot.engines.keyed import KEY_UNREADABLE, account_of
from bot.errors import BotError, ConfigError, Retry, StoreUnavailable
from bot.sealing import Unreadable
from bot.settings.retention import DAY, Retention
from bot.slack.installed import access_circuit
from bot.store import Store, jobs
from bot.store.archive import Idle, Orphan
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.timing import SweepTiming
from bot.upkeep.keyless import PATIENCE, RETRY_AFTER, Keyless
from bot.upkeep.remote_deletion import delete_remotely
from bot.upkeep.swept import Swept

BATCH = 100
DELETES_AT_ONCE = 4
LEASE, LEASE_SECONDS = "sweep", 120.0

DeletionOutcome = Literal["gone", "refused", "unanswered", "given_up"]
"""What happened to an orphan. `unanswered`: the server is down, too slow, or rate-limits us.
`given_up`: its key of the AI server has been gone for weeks."""
FindEngine = Callable[[str], Awaitable[Engine | None]]
"""Finds the engine that made a conversation by its name; None without its key."""


class HoldBegan(Exception):
    """A legal hold began during a sweep."""


class Sweeper:
    """Sweeps for one deployment, with `pause` seconds between two batches of deletions.

    `places` are the workspaces and channels with a retention of their own.
    """

    def __init__(
        self,
        store: Store,
        engine: Engine,
        retention_days: float,
        *,
        places: Mapping[str, float] | None = None,
        uninstall_days: float = 0.0,
        find_engine: FindEngine | None = None,
        pause: float = 0.2,
        timing: SweepTiming = SweepTiming(),
    ) -> None:
        self._store = store
        self._engine = engine
        self._retention = Retention(retention_days, places or {})
        self._uninstall_days = uninstall_days
        self._find_engine = find_engine or self._only_engine
        self._keyless = Keyless(store)
        self._missing: set[str] = set()
        """Engines without a key in this sweep: each search reads the keys of all workspaces."""
        self._silent: set[str] = set()
        """Engines that did not answer in this sweep, or whose key cannot be read now."""
        self._pause = pause
        self._timing = timing
        self._owner = secrets.token_hex(8)
        self._leased_at = 0.0

    async def keep_sweeping(self) -> None:
        """Run every ten minutes: orphans are deleted each time, idle conversations archived once a
        day."""
        while True:
            await asyncio.sleep(self._timing.check)
            try:
                await self.sweep_in_turn()
            except BotError as error:
                log.warning("sweep_stopped", error=str(error)[:200])
            except Exception:
                log.exception("sweep_failed")

    async def sweep_in_turn(self) -> Swept | None:
        """Sweep, unless another process is sweeping (returns None); idle conversations once a
        day."""
        if not await self._lease():
            return None
        try:
            today = f"swept:{int(await self._store.now() // DAY)}"
            is_due = await self._store.flags.is_free(today)
            swept = await self.sweep(idle=is_due)
            if is_due:
                await self._store.flags.take(today, self._owner, int(2 * DAY))
            return swept
        finally:
            await self._store.leases.give_back(LEASE, self._owner)

    async def sweep_now(self) -> Swept:
        """Sweep everything, even if that was done today. Raises Retry while another process
        sweeps."""
        if not await self._lease():
            raise Retry("another process sweeps")
        try:
            return await self.sweep()
        finally:
            await self._store.leases.give_back(LEASE, self._owner)

    async def _lease(self) -> bool:
        self._leased_at = time.monotonic()
        return await self._store.leases.take(LEASE, self._owner, LEASE_SECONDS)

    async def _need_permission(self) -> None:
        """Renew the lease before the next deletions. Raises Retry if another process has it, and
        HoldBegan."""
        due = time.monotonic() - self._leased_at >= self._timing.renew_lease
        if due and not await self._lease():
            raise Retry("another process sweeps")
        if await self._store.hold.is_on():
            raise HoldBegan

    async def preview(self) -> Swept:
        """Count what would be swept; changes nothing."""
        now = await self._store.now()
        if await self._store.hold.is_on():
            return Swept(held=True)
        retention = await self._current_retention()
        orphans = await self._store.archive.count(now)
        idle = 0
        async for found in self._idle(retention, now):
            idle += len(_due(found, retention, now))
        old = [
            feedback
            for feedback in await self._store.feedback.list()
            if feedback.at < retention.before(feedback.thread, now)
        ]
        return Swept(archived=idle, deleted=idle + orphans, feedback=len(old))

    async def sweep(self, *, idle: bool = True) -> Swept:
        """Archive (with `idle`) and delete, unless a legal hold is on. The caller has the lease."""
        if await self._store.hold.is_on():
            log.info("sweep_held")
            return Swept(held=True)
        swept = Swept()
        try:
            await self._store.hold.carry_out()
            if idle:
                await self._archive(swept)
            await self._delete_removed()
            await self._delete(swept)
        except HoldBegan:
            log.info("sweep_held")
            swept.held = True
        await self._confirm()
        log.info("swept", **asdict(swept))
        if swept != Swept():
            audit_log.record("sweep", **asdict(swept))
        return swept

    async def _archive(self, swept: Swept) -> None:
        now, skip = await self._store.now(), 0
        retention = await self._current_retention()
        latest = retention.latest(now)
        while found := await self._store.archive.idle(latest, BATCH, skip):
            due = _due(found, retention, now)
            fates = await self._store.archive.archive(due)
            swept.archived += fates.count("archived")
            skip += len(found) - len(due) + fates.count("busy")
            await self._need_permission()
        swept.feedback = await self._store.feedback.expire(
            lambda thread: retention.before(thread, now)
        )

    async def _current_retention(self) -> Retention:
        """The deployment's, with the days that workspaces chose themselves."""
        return self._retention.with_own(await self._store.workspaces.retention_days())

    async def _idle(self, retention: Retention, now: float) -> AsyncIterator[list[Idle]]:
        """The conversations that are idle for as long as the shortest retention, in batches."""
        skip = 0
        while found := await self._store.archive.idle(retention.latest(now), BATCH, skip):
            yield found
            skip += len(found)

    async def _delete_removed(self) -> None:
        """Delete the data of workspaces that removed the bot long enough ago."""
        before = await self._store.now() - self._uninstall_days * DAY
        for id, state in (await self._store.installations.list()).items():
            if 0 < state.removed_at < before:
                await self._need_permission()
                keys = await self._store.team_data.delete(id)
                if state.removed_at > before - PATIENCE and await self._needs_key(id):
                    continue  # its conversations on the AI server follow first
                await self._store.workspaces.save_ai_key(id, "")
                await self._store.installations.forget(id)
                await self._store.circuits.forget(access_circuit(id))
                log.warning("workspace_data_deleted", team=id, keys=keys)

    async def _needs_key(self, id: str) -> bool:
        """Whether conversations wait for deletion that only this workspace's key can delete."""
        try:
            key = await self._store.workspaces.ai_key(id)
        except (Unreadable, ConfigError):
            return False
        return bool(key) and await self._store.archive.has_orphans(f"@{account_of(key or '')}")

    async def _delete(self, swept: Swept) -> None:
        self._missing.clear()
        self._silent.clear()
        while orphans := await self._store.archive.orphans(BATCH, await self._store.now()):
            for start in range(0, len(orphans), DELETES_AT_ONCE):
                if self._is_silent(orphans, start):
                    log.warning("sweep_unanswered", deleted=swept.deleted, kept=swept.kept)
                    return
                await self._need_permission()
                group = orphans[start : start + DELETES_AT_ONCE]
                is_skipped = self._silent.issuperset(orphan.engine for orphan in group)
                fates = await asyncio.gather(*map(self._delete_one, group))
                gone = [o for o, fate in zip(group, fates, strict=True) if fate == "gone"]
                await self._store.archive.drop_orphans(gone)
                lost = [o for o, fate in zip(group, fates, strict=True) if fate == "given_up"]
                await self._keyless.give_up(lost)
                swept.deleted += len(gone)
                swept.given_up += len(lost)
                swept.kept += len(group) - len(gone) - len(lost)
                if set(fates) == {"unanswered"}:
                    self._silent.update(orphan.engine for orphan in group)
                await asyncio.sleep(0 if is_skipped else self._pause)

    def _is_silent(self, orphans: Sequence[Orphan], start: int) -> bool:
        """Whether nothing from `start` on can be deleted now. More may follow a full batch."""
        is_last = len(orphans) < BATCH
        return is_last and self._silent.issuperset(orphan.engine for orphan in orphans[start:])

    async def _confirm(self) -> None:
        """Inform people of deletions that the server had not confirmed at first."""
        for confirmed in await self._store.archive.confirmed():
            # After a crash it is asked for again with the same id, so it is sent once.
            event_id = "confirmed:" + hashlib.sha256(" ".join(confirmed.names).encode()).hexdigest()
            place = (confirmed.team_id, confirmed.user_id)
            await jobs.ask(self._store.inbox, "confirm_deletion", *place, event_id)
            await self._store.archive.forget_confirmed(confirmed)

    async def _only_engine(self, name: str) -> Engine | None:
        return self._engine if name == self._engine.name else None

    async def _delete_one(self, orphan: Orphan) -> DeletionOutcome:
        """Delete it from the server; a failed deletion is retried in an hour."""
        if orphan.engine in self._silent:
            await self._store.archive.postpone(orphan, self._timing.check)
            return "unanswered"
        try:
            is_missing = orphan.engine in self._missing
            engine = None if is_missing else await self._find_engine(orphan.engine)
            if engine is None:
                self._missing.add(orphan.engine)
                return await self._without_key(orphan)
            await delete_remotely(self._store, engine, orphan, self._timing.delete_timeout)
            return "gone"
        except StoreUnavailable:
            raise
        except (BotError, TimeoutError) as error:
            log.warning("orphan_kept", error=str(error)[:100] or "too slow")
            await self._store.archive.postpone(orphan, self._timing.retry_after)
            if str(error) == KEY_UNREADABLE:
                return "refused"  # its server is not asked, and may answer for the others
            return "unanswered" if isinstance(error, Retry | TimeoutError) else "refused"

    async def _without_key(self, orphan: Orphan) -> DeletionOutcome:
        if await self._keyless.is_over(orphan.engine):
            return "given_up"
        await self._store.archive.postpone(orphan, RETRY_AFTER)
        return "refused"


def _due(found: Sequence[Idle], retention: Retention, now: float) -> list[tuple[Idle, float]]:
    """Those that are idle for as long as the retention of their place, with that time."""
    limits = [(idle, retention.before(idle.thread, now)) for idle in found]
    return [(idle, before) for idle, before in limits if idle.used_at < before]
