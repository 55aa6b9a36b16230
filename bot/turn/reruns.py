"""Repeats a run that failed because of the server.

A turn may make two further runs, if little of the answer was shown and the failed run cannot have
had side effects. Every failure is recorded before the next run, so a crash adds none.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

from bot.engines import RunRequest
from bot.errors import ConversationGone, RateLimited, RunFailed
from bot.models import Run, Update
from bot.slack.answer.reply import Reply
from bot.store.journal import Turn
from bot.store.steps import FAILED_RUNS, WAITS, Attempt, FailedRun, Step
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.texts.status import TRYING_AGAIN
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services
from bot.turn.stopping import finish_stopped

TRANSIENT = frozenset(
    {
        *("server_error", "rate_limit_exceeded", "expired", "run_not_found", "run_lost"),
        "stream_cut",
    }
)
"""Reasons of failures after which another run may succeed."""
MOST_FAILED = 2
"""Maximum number of repeated runs per turn."""
LITTLE = 200
"""Maximum characters that may have been shown of an answer that is restarted."""

Result = tuple[Run | None, Update]
Once = Callable[[RunRequest, Step[Run]], Awaitable[Result]]
"""Starts the run of a step and follows it; None if the turn was interrupted before."""


@dataclass
class Reruns:
    """The runs of one attempt of a turn, failed ones included."""

    turn: Turn
    services: Services
    attempt: Attempt
    reply: Reply
    interrupt: Interrupt
    once: Once
    _shown: int = field(default=0, init=False)
    _acted: bool = field(default=False, init=False)

    def see(self, update: Update) -> None:
        """Note what a run has shown and done so far."""
        self._shown = max(self._shown, len(update.text))
        self._acted = self._acted or bool(update.steps)

    async def run(self, order: RunRequest, number: int) -> Result:
        """Make the run of a round; it is repeated in the first round only, before any call."""
        while True:
            failed = self._failed
            own = [each for each in failed if each.attempt == self.attempt.number]
            if own and own[-1].run and own[-1].reason == "run_lost":
                await self._leave_behind(own[-1].run, order)
                raise ConversationGone(own[-1].run.conversation_id)
            attempt = self.attempt
            step = attempt.run_of(number) if number else attempt.repeated_run(len(own))
            order = replace(order, failed=frozenset(each.run.id for each in own if each.run))
            if own and not number and not self.turn.is_begun(step):
                await self._pause(own[-1])
            try:
                return await self.once(order, step)
            except RunFailed as error:
                run = self.turn.recall(step)
                if number or not self._may_repeat(error, len(failed)):
                    if run and error.reason == "run_lost":
                        await self._leave_behind(run, order)
                    raise
                await self._note(error, run)

    @property
    def _failed(self) -> tuple[FailedRun, ...]:
        return self.turn.recall(FAILED_RUNS) or ()

    def _may_repeat(self, error: RunFailed, failed: int) -> bool:
        shown = max(self._shown, len(error.text))
        acted = self._acted or error.acted
        is_transient = error.reason in TRANSIENT and not self.interrupt.raised.is_set()
        return is_transient and failed < MOST_FAILED and shown <= LITTLE and not acted

    async def _note(self, error: RunFailed, run: Run | None) -> None:
        failed = self._failed
        this = FailedRun(error.reason, time.time(), self.attempt.number, run, error.usage)
        await self.turn.note(FAILED_RUNS, (*failed, this))
        log.warning(
            "run_repeated",
            reason=error.reason,
            run=run.id if run else None,
            turn=self.turn.id,
            thread=self.turn.claim.thread.key,
            failed=len(failed) + 1,
        )
        metrics.retries.labels(metrics.kind(error.reason), "none").inc()
        if error.reason == "rate_limit_exceeded":
            await self.services.throttle.pause(RateLimited(error.reason))
        self._shown = 0
        await self.reply.begin_again(TRYING_AGAIN)

    async def _leave_behind(self, run: Run, order: RunRequest) -> None:
        """Continue in a new conversation: the server may keep that of a lost run locked."""
        await self.services.store.conversations.abandon(self.turn.claim)
        work = finish_stopped(
            self.turn, self.services, run, order.conversation, tuple(order.messages)
        )
        self.services.background.start(work)

    async def _pause(self, last: FailedRun) -> None:
        """Wait until the next run is due, or until the turn is interrupted."""
        due = last.at + self.services.rerun_pause * 2.0 ** (len(self._failed) - 1)
        with self.interrupt.idle():
            try:
                async with asyncio.timeout(max(0.0, due - time.time())):
                    await self.interrupt.raised.wait()
            except TimeoutError:
                return


def was_down(turn: Turn, run: Run) -> bool:
    """Whether the turn has waited for the AI server since the run began."""
    waits = turn.recall(WAITS)
    return waits is not None and waits.dependency.startswith("ai:") and waits.since > run.started_at
