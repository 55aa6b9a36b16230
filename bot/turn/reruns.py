"""Repeats a run that failed because of the server.

A turn may make two further runs, if little of the answer was shown and the failed run cannot have
had side effects. Every failure is recorded before the next run, so a crash adds none.
"""

import asyncio
import time
from dataclasses import replace

from bot.engines import RunRequest
from bot.errors import ConversationGone, RateLimited, RunFailed
from bot.models import Run
from bot.store.step_values import FailedRun
from bot.store.steps import FAILED_RUNS, Step
from bot.telemetry import metrics
from bot.telemetry.log import log
from bot.texts.status import TRYING_AGAIN
from bot.turn.follow import leave_run
from bot.turn.run_context import RunContext

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


async def next_run(
    context: RunContext, run_request: RunRequest, number: int
) -> tuple[RunRequest, Step[Run]]:
    """The request and the step of the next run of a round, once it is due.

    Only the run of the first round is repeated, before any call. Raises ConversationGone.
    """
    turn, generation = context.turn, context.generation
    failed = turn.recall(FAILED_RUNS) or ()
    own = [each for each in failed if each.attempt == generation.number]
    step = generation.run_of(number) if number else generation.repeated_run(len(own))
    if own:
        last = own[-1]
        if last.run and last.reason in LOST:
            await leave_run(context, last.run, run_request)
            raise ConversationGone(last.run.conversation_id)
        failed_ids = frozenset(each.run.id for each in own if each.run)
        run_request = replace(run_request, failed=failed_ids)
        if not number and not turn.is_begun(step):
            await _pause(context, last, len(failed))
    return run_request, step


async def _pause(context: RunContext, last: FailedRun, failed: int) -> None:
    """Wait until the next run is due, or until the turn is interrupted."""
    due = last.at + context.services.rerun_pause * 2.0 ** (failed - 1)
    with context.interrupt.idle():
        try:
            async with asyncio.timeout(max(0.0, due - time.time())):
                await context.interrupt.raised.wait()
        except TimeoutError:
            return


async def is_repeated(
    context: RunContext, run_request: RunRequest, number: int, step: Step[Run], error: RunFailed
) -> bool:
    """Whether another run follows the failed one, whose failure is then recorded."""
    run, failed = context.turn.recall(step), context.turn.recall(FAILED_RUNS) or ()
    if number or not _may_repeat(context, error, len(failed)):
        if run and error.reason in LOST:
            await leave_run(context, run, run_request)
        return False
    await _note(context, error, run, failed)
    return True


def _may_repeat(context: RunContext, error: RunFailed, failed: int) -> bool:
    shown = max(context.story.shown, len(error.text))
    acted = context.story.acted or error.acted
    is_transient = error.reason in TRANSIENT and not context.interrupt.raised.is_set()
    return is_transient and failed < MOST_FAILED and shown <= LITTLE and not acted


async def _note(
    context: RunContext, error: RunFailed, run: Run | None, failed: tuple[FailedRun, ...]
) -> None:
    turn = context.turn
    this = FailedRun(error.reason, time.time(), context.generation.number, run, error.usage)
    await turn.note(FAILED_RUNS, (*failed, this))
    log.warning(
        "run_repeated",
        reason=error.reason,
        run=run.id if run else None,
        turn=turn.id,
        thread=turn.claim.thread.key,
        failed=len(failed) + 1,
    )
    metrics.retries.labels(metrics.kind(error.reason), "none").inc()
    if error.reason == "rate_limit_exceeded":
        await context.services.throttle.pause(RateLimited(error.reason))
    await context.story.discard_text(TRYING_AGAIN)
