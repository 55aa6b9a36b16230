"""Repeats a run that failed because of the server.

A turn may make two further runs, if little of the answer was shown and the failed run cannot have
had side effects. Every failure is recorded before the next run, so a crash adds none.
"""

import asyncio
import time
from dataclasses import dataclass, replace

from bot.engines import RunRequest
from bot.errors import ConversationGone, RateLimited, RunFailed
from bot.models import Run
from bot.store.journal import Turn
from bot.store.step_values import FailedRun
from bot.store.steps import FAILED_RUNS, Generation
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.texts.status import TRYING_AGAIN
from bot.turn.run import Result, Runner
from bot.turn.services import Services
from bot.turn.stopping import leave_run

TRANSIENT = frozenset(
    {
        *("server_error", "rate_limit_exceeded", "expired", "run_not_found", "run_lost"),
        "stream_cut",
    }
)
"""Reasons of failures after which another run may succeed."""
LOST = frozenset({"run_lost", "run_not_found"})
"""Reasons of failures after which the server may keep the conversation locked."""
MOST_FAILED = 2
"""Maximum number of repeated runs per turn."""
LITTLE = 200
"""Maximum characters that may have been shown of an answer that is restarted."""


@dataclass(frozen=True, slots=True)
class Reruns:
    """The runs of one generation of a turn, failed ones included."""

    runner: Runner
    generation: Generation

    async def run(self, run_request: RunRequest, number: int) -> Result:
        """Make the run of a round; it is repeated in the first round only, before any call."""
        while True:
            failed = self._failed
            own = [each for each in failed if each.attempt == self.generation.number]
            if own and own[-1].run and own[-1].reason in LOST:
                await leave_run(self._turn, self._services, own[-1].run, run_request)
                raise ConversationGone(own[-1].run.conversation_id)
            generation = self.generation
            step = generation.run_of(number) if number else generation.repeated_run(len(own))
            if own:
                failed_ids = frozenset(each.run.id for each in own if each.run)
                run_request = replace(run_request, failed=failed_ids)
            if own and not number and not self._turn.is_begun(step):
                await self._pause(own[-1])
            try:
                return await self.runner.run(run_request, step)
            except RunFailed as error:
                run = self._turn.recall(step)
                if number or not self._may_repeat(error, len(failed)):
                    if run and error.reason in LOST:
                        await leave_run(self._turn, self._services, run, run_request)
                    raise
                await self._note(error, run)

    def _may_repeat(self, error: RunFailed, failed: int) -> bool:
        story, interrupt = self.runner.story, self.runner.interrupt
        shown = max(story.shown, len(error.text))
        acted = story.acted or error.acted
        is_transient = error.reason in TRANSIENT and not interrupt.raised.is_set()
        return is_transient and failed < MOST_FAILED and shown <= LITTLE and not acted

    async def _note(self, error: RunFailed, run: Run | None) -> None:
        failed = self._failed
        this = FailedRun(error.reason, time.time(), self.generation.number, run, error.usage)
        await self._turn.note(FAILED_RUNS, (*failed, this))
        log.warning(
            "run_repeated",
            reason=error.reason,
            run=run.id if run else None,
            turn=self._turn.id,
            thread=self._turn.claim.thread.key,
            failed=len(failed) + 1,
        )
        metrics.retries.labels(metrics.kind(error.reason), "none").inc()
        if error.reason == "rate_limit_exceeded":
            await self._services.throttle.pause(RateLimited(error.reason))
        await self.runner.story.discard_text(TRYING_AGAIN)

    async def _pause(self, last: FailedRun) -> None:
        """Wait until the next run is due, or until the turn is interrupted."""
        due = last.at + self._services.rerun_pause * 2.0 ** (len(self._failed) - 1)
        with self.runner.interrupt.idle():
            try:
                async with asyncio.timeout(max(0.0, due - time.time())):
                    await self.runner.interrupt.raised.wait()
            except TimeoutError:
                return

    @property
    def _failed(self) -> tuple[FailedRun, ...]:
        return self._turn.recall(FAILED_RUNS) or ()

    @property
    def _turn(self) -> Turn:
        return self.runner.turn

    @property
    def _services(self) -> Services:
        return self.runner.services
