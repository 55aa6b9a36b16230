"""The start of a run: as soon as the throttle allows it, without the files that are rejected."""

from collections.abc import Sequence
from dataclasses import replace

from bot.engines import RunRequest
from bot.errors import NOTHING_SENT, OutOfOrder
from bot.models import Message, Run
from bot.store.journal import Paused, Turn
from bot.store.steps import WAITS, Step
from bot.turn.file_fallback import FileFallback
from bot.turn.run_context import RunContext


async def append(context: RunContext, run_request: RunRequest) -> None:
    """Store the messages on the server, for an engine that wants them before the run."""
    for message in run_request.messages:
        await _append(context, run_request, message)


async def _append(context: RunContext, run_request: RunRequest, message: Message) -> None:
    turn, engine = context.turn, FileFallback(context.services.engine, context.turn)

    async def append(again: bool) -> str:
        offered, again = run_request.files.get(message.ts, ()), again or turn.claim.retried
        return await engine.append(
            run_request.conversation, message, turn_id=turn.id, again=again, files=offered
        )

    step = context.generation.append(message.ts)
    await turn.once(step, append, undone_by=NOTHING_SENT, deferred=True)


async def start(context: RunContext, run_request: RunRequest, step: Step[Run]) -> Run | None:
    """Start the run of a step as soon as the throttle allows it; None if it is no longer wanted.

    Raises RunFailed, and OutOfOrder if the turn is to begin again.
    """
    turn, interrupt, throttle = context.turn, context.interrupt, context.services.throttle
    if run_request.asked_by:
        interrupt.keep_order()
    is_begun, down_since = turn.is_begun(step), _down_since(turn)
    waits = throttle.is_limited and not is_begun
    run: Run | None = None
    while run is None:
        if waits:
            await _wait(context)
        if interrupt.raised.is_set() and turn.recall(step) is None:
            return None
        pauses = () if waits or is_begun else throttle.pauses
        try:
            run = await _start_unless(pauses, context, run_request, step)
        except Paused:
            waits = True
    interrupt.begun = True
    return replace(run, doubtful=down_since > run.started_at)


def _down_since(turn: Turn) -> float:
    """When the turn began to wait for the AI server, if it did."""
    waits = turn.recall(WAITS)
    return waits.since if waits and waits.dependency.startswith("ai:") else 0.0


async def _wait(context: RunContext) -> None:
    """Wait for the throttle, or until the turn is interrupted."""
    await context.turn.flush()
    with context.interrupt.idle():
        await context.services.throttle.wait(context.turn, context.interrupt.cancelled)


async def _start_unless(
    pauses: Sequence[str], context: RunContext, run_request: RunRequest, step: Step[Run]
) -> Run:
    async def start(again: bool) -> Run:
        if context.interrupt.late and not again:
            raise OutOfOrder
        engine = FileFallback(context.services.engine, context.turn)
        return await engine.start(replace(run_request, again=again))

    undone_by = (*NOTHING_SENT, OutOfOrder)
    return await context.turn.once(step, start, undone_by=undone_by, unless=pauses)
