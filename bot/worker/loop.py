"""The claim loop of a worker: claims ready threads and answers them concurrently."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Sequence
from contextvars import copy_context
from dataclasses import replace

from structlog.contextvars import bind_contextvars

from bot.engines.polling import error_backoff
from bot.errors import BotError, StoreUnavailable, Superseded
from bot.settings import Settings
from bot.store import Claim, Entry, Store
from bot.store.records import WORKER_FORMAT
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.timing import WorkerTiming
from bot.turn.services import FindServices, Services
from bot.worker.active import ActiveThread, ActiveThreads, end_tasks, first_of
from bot.worker.attempt import Attempts
from bot.worker.heartbeat import Heartbeat
from bot.worker.load import Load

_Batch = asyncio.Task[dict[str, Claim]]


class Worker:
    """One worker of one process."""

    def __init__(
        self,
        store: Store,
        services: FindServices,
        settings: Settings,
        timing: WorkerTiming = WorkerTiming(),
        load: Load | None = None,
    ) -> None:
        """`load` is shared by the workers of all shards of a process."""
        unique = f"{os.getpid()}:{secrets.token_hex(3)}"
        self.name = f"{socket.gethostname()}:{unique}:{WORKER_FORMAT}"
        self._store = store
        self._inbox = store.inbox
        self._services = services
        self._settings = settings
        self._timing = timing
        self._load = load or Load(settings.bot_concurrency, timing.starting_at_once)
        self._active = ActiveThreads()
        # One for all tasks: each mention of a method makes an object, and so does each callback.
        self._when_done, self._context = self._end, copy_context()
        self._heartbeat = Heartbeat(self.name, store, self._active, timing)
        self._batches: set[_Batch] = set()
        self._freed = asyncio.Event()
        self._closed = asyncio.Event()
        """Set once it takes no more work."""
        self._leaving = asyncio.Event()

    @property
    def is_alive(self) -> bool:
        """Whether Redis got a heartbeat recently."""
        return self._heartbeat.is_alive

    async def run(self) -> None:
        """Work until `leave` is called; then hand unfinished threads over, and return."""
        self._load.add(self._active)
        await self._heartbeat.start(self._closed)
        beating = asyncio.create_task(self._heartbeat.keep_beating())
        try:
            await self._keep_claiming()
            await self._finish_turns()
            await self._finish_steps()
        finally:
            self._load.remove(self._active)
            await end_tasks([beating])
            await end_tasks(self._active.tasks)
            await end_tasks(self._batches)
            await self._hand_over()

    def leave(self) -> None:
        """Stop taking work, and hand over what cannot be finished quickly (SIGTERM)."""
        self._leaving.set()
        self._closed.set()

    def retire(self) -> None:
        """Stop taking work, and answer what was taken: other workers serve the shard from now
        on."""
        self._closed.set()

    async def _keep_claiming(self) -> None:
        backoff = error_backoff()
        while not self._closed.is_set():
            if (room := self.room) <= 0:
                self._freed.clear()
                recheck = asyncio.sleep(self._timing.recheck)
                await first_of(self._freed.wait(), self._closed.wait(), recheck)
                continue
            try:
                entries = await self._read_ready(room)
                await self._load.receiving.wait(self._timing.ack_patience)
                self._begin(entries)
                backoff = error_backoff()
                continue
            except StoreUnavailable as error:
                log.error("redis_unavailable", error=str(error))
            except Exception as error:
                log.exception("claim_failed", error=type(error).__name__)
            await first_of(asyncio.sleep(next(backoff)), self._closed.wait())

    @property
    def room(self) -> int:
        """How many more threads may be claimed now."""
        return self._load.room

    async def _read_ready(self, most: int) -> list[Entry]:
        """Wait for ready threads, or until we leave (`_hand_over` finds those of a lost reply)."""
        reading = asyncio.create_task(
            self._inbox.read_ready(self.name, most, self._timing.claim_block)
        )
        leaving = asyncio.create_task(self._closed.wait())
        await asyncio.wait([reading, leaving], return_when=asyncio.FIRST_COMPLETED)
        await end_tasks([leaving] if reading.done() else [leaving, reading])
        return [] if reading.cancelled() else reading.result()

    def _begin(self, entries: Sequence[Entry]) -> None:
        """Start the entries. Resumed turns, which come by the thousand, are taken in one call."""
        resumed = [entry for entry in entries if entry.begun]
        batch = asyncio.create_task(self._inbox.take_all(resumed, self.name)) if resumed else None
        if batch:
            self._batches.add(batch)
            batch.add_done_callback(self._batches.discard)
        for entry in entries:
            thread = ActiveThread(entry)
            answering = self._answer(thread, batch if entry.begun else None)
            thread.task = asyncio.create_task(answering, name=entry.id)
            self._active[entry.id] = thread
            metrics.turns_active.inc()
            thread.task.add_done_callback(self._when_done, context=self._context)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._active.pop(task.get_name()).end()
        metrics.turns_active.dec()
        self._freed.set()

    async def _answer(self, thread: ActiveThread, batch: _Batch | None) -> None:
        """Take one claim and make one attempt at its turn."""
        entry = thread.entry
        bind_contextvars(thread=entry.thread.key)  # for every line that this task logs
        try:
            thread.claim = await self._take(entry, batch)
            if thread.claim is None:
                return
            metrics.queue_seconds.observe(max(0.0, time.time() - entry.since))
            if services := await self._services_of(thread.claim):
                claim = replace(thread.claim, defaults=services.defaults)
                attempts = Attempts(services, self._settings, self._timing)
                if await attempts.begin(thread, self._store.turns.open(claim)):
                    await attempts.make(thread)
        except Superseded:
            self._heartbeat.abandon(thread.turn)
            log.info("claim_superseded")
        except StoreUnavailable as error:
            # The entry stays ours in Redis and is rescued when Redis is back.
            self._heartbeat.abandon(thread.turn)
            log.error("turn_abandoned", error=str(error))
        except Exception as error:
            # It also stays in Redis: a newer version may be able to read it after a deploy.
            log.exception("thread_unreadable", error=type(error).__name__)

    async def _services_of(self, claim: Claim) -> Services | None:
        """The services of a claim's workspace; None if it is gone, and the turn with it."""
        services = await self._services(claim.thread.team_id)
        if services is None:
            log.warning("turn_dropped", reason="not_installed", messages=len(claim.messages))
            await self._inbox.settle(claim)
        return services

    async def _take(self, entry: Entry, batch: _Batch | None) -> Claim | None:
        if batch:
            try:
                return (await asyncio.shield(batch)).get(entry.id)
            except StoreUnavailable:
                raise
            except Exception:
                log.exception("batch_take_failed")  # then one by one
        elif seconds := self._debounce(entry):
            await asyncio.sleep(seconds)
        return await self._inbox.take(entry, self.name)

    def _debounce(self, entry: Entry) -> float:
        """Seconds to wait for messages that were sent in a burst and arrive a little later."""
        debounce = 0.0 if entry.begun or entry.root else self._settings.bot_gather_seconds
        return min(debounce, max(0.0, entry.since + debounce - time.time()))

    async def _finish_turns(self) -> None:
        """Let all turns end, unless we leave."""
        while self._active and not self._leaving.is_set():
            self._freed.clear()
            await first_of(self._freed.wait(), self._leaving.wait())

    async def _finish_steps(self) -> None:
        """Cancel turns that wait for their run at once; let the others finish their step."""
        deadline = time.monotonic() + self._timing.shutdown_grace
        while self._active and time.monotonic() < deadline:
            self._active.cancel(lambda thread: thread.can_be_cancelled)
            await asyncio.wait(self._active.tasks, timeout=0.05)

    async def _hand_over(self) -> None:
        try:
            count = await self._store.workers.hand_over(self.name)
        except BotError as error:
            log.error("hand_over_failed", error=str(error))
        else:
            log.info("threads_handed_over", threads=count)
