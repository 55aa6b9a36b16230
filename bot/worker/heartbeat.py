"""The heartbeat of a worker: renews its lease, receives interrupts, and rescues lost threads."""

import asyncio
import time
from collections.abc import Mapping

from bot.engines.polling import error_backoff
from bot.errors import StoreUnavailable
from bot.store import Store, Turn
from bot.store.claims import InterruptReason
from bot.telemetry.log import log
from bot.telemetry.log_limit import LogLimit
from bot.timing import WorkerTiming
from bot.worker.active import ActiveThreads, end_tasks, first_of
from bot.worker.recovery import Recovery


class Heartbeat:
    """Renews the worker's lease in Redis once a second, or less often while it has no turns.

    Other workers take over the threads of a worker without a heartbeat, so one that cannot reach
    Redis in time lets its own threads go.
    """

    def __init__(
        self, worker: str, store: Store, active: ActiveThreads, timing: WorkerTiming
    ) -> None:
        self._worker = worker
        self._store = store
        self._workers = store.workers
        self._active = active
        self._timing = timing
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._recovery = Recovery(store, timing.heartbeat)
        self._circuits: set[str] = set()
        self._is_due = False
        self._abandoned: list[Turn] = []
        self._to_reinstate: list[Turn] = []
        self._missed = LogLimit()

    @property
    def is_alive(self) -> bool:
        """Whether the last heartbeat is recent enough for our claims to be valid."""
        return time.monotonic() - self._last < self._timing.lifetime

    def abandon(self, turn: Turn | None) -> None:
        """Remember a turn that ended here while Redis could not be reached.

        Another worker resumes it, unless the next heartbeat shows that Redis has lost it.
        """
        if turn:
            self._abandoned.append(turn)

    async def start(self, leaving: asyncio.Event) -> None:
        """Send the first heartbeat, retrying until `leaving` is set.

        Nothing may be claimed before it: other workers would take over claims of an unknown worker.
        """
        for delay in error_backoff():
            try:
                await self._beat()
                break
            except StoreUnavailable as error:
                self._report_missed(error)
                await first_of(asyncio.sleep(delay), leaving.wait())
            if leaving.is_set():
                return
        self._check_age()

    async def keep_beating(self) -> None:
        """Send heartbeats and rescue threads until cancelled."""
        timing, ticks, beaten, rescued = self._timing, 0, 0, 0
        try:
            while True:
                await asyncio.sleep(timing.heartbeat)
                ticks += 1
                if self._is_idle and ticks - beaten < timing.idle_beats:
                    continue
                beaten, rescue = ticks, ticks - rescued >= timing.rescue_every
                rescued = ticks if rescue else rescued
                await self._beat_and_rescue(rescue=rescue)
        finally:
            if self._timer is not None:
                self._timer.cancel()

    @property
    def _is_idle(self) -> bool:
        """Whether a heartbeat may be skipped: no turn, circuit or due thread needs it."""
        return not (self._active or self._abandoned or self._circuits or self._is_due)

    async def _beat_and_rescue(self, *, rescue: bool) -> None:
        try:
            await self._beat()
            await self._recovery.resume(self._circuits)
            if rescue:
                await self._rescue()
        except StoreUnavailable as error:
            self._report_missed(error)
        except Exception:
            log.exception("heartbeat_failed")

    def _report_missed(self, error: StoreUnavailable) -> None:
        if missed := self._missed.count():
            log.error("heartbeat_missed", error=str(error), missed=missed)

    async def _beat(self) -> None:
        began, abandoned = time.monotonic(), len(self._abandoned)
        beat = await self._workers.beat(self._worker, self._timing.lifetime)
        self._last = began
        self._missed.reset()
        self._circuits, self._is_due = set(beat.circuits), beat.due_soon
        self._store.circuits.refresh(beat.open_circuits)
        if beat.data_lost or beat.restored:
            # This includes turns that were refused while the heartbeat was in flight.
            turns = self._abandoned + self._active.turns
            lost = list({turn.id: turn for turn in turns}.values())
            self._abandoned.clear()
            log.error(
                "redis_data_lost" if beat.data_lost else "redis_state_restored", turns=len(lost)
            )
            self._to_reinstate += lost
            await self._drop_lost_claims(wait=True)
        else:
            del self._abandoned[:abandoned]
        while self._to_reinstate:
            await self._workers.reinstate(self._to_reinstate[0])
            del self._to_reinstate[0]
        if beat.late:
            log.error("heartbeat_late")
            await self._drop_lost_claims()
        if beat.interrupts:
            self._note_interrupts(beat.interrupts, began)

    def _note_interrupts(self, interrupts: Mapping[str, InterruptReason], asked: float) -> None:
        """Pass interrupts on, as Redis had them at the time `asked`: one is not for a turn that has
        begun again since."""
        for each in self._active.values():
            reason = interrupts.get(each.entry.thread.key)
            if reason and each.since <= asked:
                each.note_interrupt(each.interrupt, reason)

    def _check_age(self) -> None:
        """Cancel all turns when our lease may have expired: Redis is unreachable, or the process
        was frozen.

        A timer of the event loop, not a task: after a pause of the process it runs before any turn
        continues, so that a turn that another worker has taken writes nothing more.
        """
        timing = self._timing
        if self._active and time.monotonic() - self._last > timing.lifetime - timing.heartbeat:
            log.error("turns_abandoned", threads=len(self._active))
            self._abandoned += self._active.turns
            self._active.cancel()
        self._timer = asyncio.get_running_loop().call_later(timing.heartbeat, self._check_age)

    async def _rescue(self) -> None:
        """Requeue threads of dead workers, and threads that only Redis counts as ours: we abandoned
        them while Redis was unreachable, or the reply with them was lost."""
        rescued = await self._workers.rescue(self._worker)
        rescued += await self._workers.rescue_own(
            self._worker, set(self._active), self._timing.stray_after
        )
        if rescued:
            log.warning("threads_rescued", threads=rescued)

    async def _drop_lost_claims(self, *, wait: bool = False) -> None:
        """Cancel the turns whose claim is no longer valid; with `wait`, wait until they have
        ended."""
        held = {claim.entry for claim in await self._workers.held(self._active.claims)}
        lost = [each for each in self._active.values() if each.claim and each.entry.id not in held]
        if wait:
            await end_tasks([each.task for each in lost])
        for each in lost:
            each.task.cancel()
