"""One run: started once the throttle allows it, and followed to its end."""

import time
from contextlib import aclosing
from dataclasses import dataclass, replace

from bot.engines import Engine, RunRequest
from bot.errors import NOTHING_SENT, OutOfOrder, RateLimited, RunFailed
from bot.models import TERMINAL, Answer, Run, Update, Usage
from bot.store.journal import Paused, Turn
from bot.store.steps import WAITS, Step
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.turn.charges import estimate
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services
from bot.turn.stopping import cancelled_by, leave_run
from bot.turn.story import Story

Result = tuple[Run | None, Update]
"""A run and its last update; no run if the turn was interrupted before."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Makes the runs of a turn."""

    turn: Turn
    services: Services
    engine: Engine
    story: Story
    interrupt: Interrupt

    async def run(self, run_request: RunRequest, step: Step[Run]) -> Result:
        """Start the run of a step and follow it.

        Raises RunFailed, and OutOfOrder if the turn is to begin again.
        """
        if run_request.asked_by:
            self.interrupt.keep_order()
        run = await self._start(run_request, step)
        if run is None:
            return None, Update("cancelled")
        try:
            update = await self._follow(run, run_request)
        except RateLimited as error:  # a run that lives as long as its request is refused only here
            await self.services.throttle.pause(error)
            raise
        except RunFailed as error:
            if self.interrupt.begins_again:
                raise OutOfOrder(error.usage, error.model) from error
            raise
        if self.interrupt.begins_again and update.status == "cancelled":
            used = update.usage or estimate(self.turn, Answer(update.text, run_id=run.id))
            raise OutOfOrder(used, update.model)
        return run, update

    async def _start(self, run_request: RunRequest, step: Step[Run]) -> Run | None:
        """Start a run as soon as the throttle allows it; None if it is no longer wanted."""
        throttle, is_begun = self.services.throttle, self.turn.is_begun(step)
        waits = throttle.is_limited and not is_begun
        run: Run | None = None
        while run is None:
            if waits:
                await self._wait()
            if self.interrupt.raised.is_set() and self.turn.recall(step) is None:
                return None
            pauses = () if waits or is_begun else throttle.pauses
            try:
                run = await self._start_unless(pauses, run_request, step)
            except Paused:
                waits = True
        self.interrupt.begun = True
        return replace(run, doubtful=was_down(self.turn, run))

    async def _wait(self) -> None:
        """Wait for the throttle, or until the turn is interrupted."""
        await self.turn.flush()
        with self.interrupt.idle():
            await self.services.throttle.wait(self.turn, self.interrupt.cancelled)

    async def _start_unless(
        self, pauses: tuple[str, ...], run_request: RunRequest, step: Step[Run]
    ) -> Run:
        async def start(again: bool) -> Run:
            if not again:
                self.interrupt.check_order()
            return await self.engine.start(replace(run_request, again=again))

        return await self.turn.once(
            step, start, undone_by=(*NOTHING_SENT, OutOfOrder), unless=pauses
        )

    async def _follow(self, run: Run, run_request: RunRequest) -> Update:
        """Show the answer while it grows; returns the last update.

        A run that does not end soon after an interrupt is left to a background task, and the
        thread continues in a new conversation: the server may keep the old one locked.
        """
        engine, interrupt, services = self.services.engine, self.interrupt, self.services
        update = Update(run.status)
        with trace.span("follow", run_id=run.id):
            try:
                async with (
                    cancelled_by(interrupt, engine, run, services.stop_grace) as limit,
                    aclosing(engine.follow(run, run_request.conversation)) as updates,
                ):
                    interrupt.waiting = True
                    async for new in updates:
                        if new is not update and self._may_show(new):
                            if new.text and not update.text:
                                _measure_first_text(run_request)
                            update = new
                            await self._show(update)
            finally:
                interrupt.waiting = False
        if not limit.expired():
            return update
        thread = self.turn.claim.thread.key
        log.warning("run_left_behind", run=run.id, thread=thread, turn=self.turn.id)
        await leave_run(self.turn, services, run, run_request)
        return replace(update, status="cancelled", usage=Usage())  # charged when it ends

    def _may_show(self, new: Update) -> bool:
        """Whether an update counts: nothing more appears after a stop."""
        stopped = self.interrupt.cancelled.is_set() or self.interrupt.raised.is_being_checked
        return not stopped or new.status in TERMINAL or bool(new.calls)

    async def _show(self, update: Update) -> None:
        self.interrupt.waiting = False
        await self.story.show(update)
        self.interrupt.waiting = True


def was_down(turn: Turn, run: Run) -> bool:
    """Whether the turn has waited for the AI server since the run began."""
    waits = turn.recall(WAITS)
    return waits is not None and waits.dependency.startswith("ai:") and waits.since > run.started_at


def _measure_first_text(run_request: RunRequest) -> None:
    metrics.first_text_seconds.observe(time.time() - float(run_request.messages[-1].ts))
