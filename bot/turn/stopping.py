"""Interrupts: a turn ends soon after one, whatever the server does with its run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from bot.engines import Engine, RunRequest
from bot.engines.polling import error_backoff
from bot.errors import BotError, Retry, RunFailed
from bot.models import Conversation, Message, Run, Usage
from bot.store.journal import Turn
from bot.telemetry.log import log
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services

CANCEL_SECONDS = 60.0


@asynccontextmanager
async def cancelled_by(
    interrupt: Interrupt, engine: Engine, run: Run, grace: float
) -> AsyncIterator[asyncio.Timeout]:
    """Inside the block, an interrupt cancels the run on the server.

    The block then has `grace` seconds until the run ends; after that it is left. No `TimeoutError`
    is raised: check whether the yielded timeout is `expired`.
    """
    limit = asyncio.timeout(None)

    watching: asyncio.Task[None] | None = None

    def cancel_soon() -> None:
        nonlocal watching
        if watching is None:
            limit.reschedule(asyncio.get_running_loop().time() + grace)
            watching = asyncio.create_task(cancel(engine, run))

    try:
        async with limit:
            interrupt.on_cancel = cancel_soon
            if interrupt.cancelled.is_set():
                cancel_soon()
            yield limit
    except TimeoutError:
        if not limit.expired():
            raise
    finally:
        interrupt.on_cancel = None
        if watching is not None:
            watching.cancel()
            await asyncio.wait([watching])


async def cancel(engine: Engine, run: Run) -> None:
    """Cancel a run, retrying until the server is reached."""
    for delay in error_backoff():
        try:
            await engine.cancel(run)
            return
        except Retry as error:
            await asyncio.sleep(error.after or delay)
        except BotError as error:
            log.warning("run_not_cancelled", run=run.id, error=str(error)[:100])
            return


async def leave_run(turn: Turn, services: Services, run: Run, run_request: RunRequest) -> None:
    """Continue without a run; a background task cancels and charges it.

    The thread continues in a new conversation: the server may keep that of the run locked.
    """
    await services.store.conversations.abandon(turn.claim)
    messages = tuple(run_request.messages)
    services.background.start(_finish(turn, services, run, run_request.conversation, messages))


async def _finish(
    turn: Turn,
    services: Services,
    run: Run,
    conversation: Conversation,
    messages: tuple[Message, ...],
) -> None:
    """Cancel a run that outlived its turn, wait for its end, and charge its usage."""
    engine, usage, model = services.engine, None, ""
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            await cancel(engine, run)
    except TimeoutError:
        log.warning("run_not_cancelled", run=run.id, error="timeout")
    try:
        async with aclosing(engine.follow(run, conversation)) as updates:
            async for update in updates:
                usage, model = update.usage or usage, update.model or model
    except RunFailed as error:
        usage, model = error.usage or usage, error.model or model
    except BotError as error:
        log.warning("stopped_run_not_followed", run=run.id, error=str(error)[:100])
    if usage is not None and usage != Usage():
        await services.limits.charge(turn.claim, usage, model, messages)
    log.info("stopped_run_ended", run=run.id, thread=turn.claim.thread.key)
