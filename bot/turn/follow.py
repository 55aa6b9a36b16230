"""Follows a run to its end.

After an interrupt the turn ends soon, whatever the server does with the run.
"""

import asyncio
import time
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType

from bot.engines import Engine, RunRequest
from bot.engines.polling import error_backoff
from bot.errors import BotError, OutOfOrder, RateLimited, Retry, RunFailed
from bot.models import TERMINAL, Answer, Conversation, Message, Run, Update, Usage
from bot.store.journal import Turn
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.turn.charges import estimate
from bot.turn.interrupt import Interrupt
from bot.turn.run_context import RunContext
from bot.turn.services import Services

CANCEL_SECONDS = 60.0


async def follow(context: RunContext, run: Run, run_request: RunRequest) -> Update:
    """Show the answer while it grows; returns the last update.

    A run that does not end soon after an interrupt is left to a background task. Raises RunFailed,
    and OutOfOrder if the turn is to begin again.
    """
    engine, interrupt = context.services.engine, context.interrupt
    update, asked_at = Update(run.status), float(run_request.messages[-1].ts)
    try:
        with trace.span("follow", run_id=run.id):
            async with (
                cancelled_by(interrupt, engine, run, context.services.stop_grace) as limit,
                aclosing(engine.follow(run, run_request.conversation)) as updates,
            ):
                interrupt.waiting = True
                async for new in updates:
                    if new is update or not _may_show(interrupt, new):
                        continue
                    if new.text and not update.text:
                        metrics.first_text_seconds.observe(time.time() - asked_at)
                    update = new
                    interrupt.waiting = False
                    await context.story.show(update)
                    interrupt.waiting = True
    except RateLimited as error:  # a run that lives as long as its request is refused only here
        interrupt.waiting = False
        await context.services.throttle.pause(error)
        raise
    except RunFailed as error:
        if interrupt.late:
            raise OutOfOrder(error.usage, error.model) from error
        raise
    finally:
        interrupt.waiting = False
    if limit.expired():
        update = await _leave(context, run, run_request, update)
    if interrupt.late and update.status == "cancelled":
        used = update.usage or estimate(context.turn, Answer(update.text, run_id=run.id))
        raise OutOfOrder(used, update.model)
    return update


def _may_show(interrupt: Interrupt, new: Update) -> bool:
    """Whether an update counts: nothing more appears after a stop."""
    stopped = interrupt.cancelled.is_set() or interrupt.raised.is_being_checked
    return not stopped or new.status in TERMINAL or bool(new.calls)


async def _leave(context: RunContext, run: Run, run_request: RunRequest, update: Update) -> Update:
    thread = context.turn.claim.thread.key
    log.warning("run_left_behind", run=run.id, thread=thread, turn=context.turn.id)
    await leave_run(context, run, run_request)
    return replace(update, status="cancelled", usage=Usage())  # charged when it ends


class cancelled_by:
    """Inside the block, an interrupt cancels the run on the server.

    The block then has `grace` seconds until the run ends; after that it is left. No `TimeoutError`
    is raised: check whether the timeout of the block is `expired`.

    A class, because a generator takes three times the memory, and thousands of turns wait inside.
    """

    __slots__ = ("_engine", "_grace", "_interrupt", "_limit", "_run", "_watching")

    def __init__(self, interrupt: Interrupt, engine: Engine, run: Run, grace: float) -> None:
        self._interrupt, self._engine, self._run = interrupt, engine, run
        self._grace = grace
        self._limit = asyncio.timeout(None)
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> asyncio.Timeout:
        await self._limit.__aenter__()
        self._interrupt.on_cancel = self._cancel_soon
        if self._interrupt.cancelled.is_set():
            self._cancel_soon()
        return self._limit

    def _cancel_soon(self) -> None:
        if self._watching is None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._grace)
            self._watching = asyncio.create_task(cancel(self._engine, self._run))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        try:
            await self._limit.__aexit__(kind, error, traceback)
        except TimeoutError:
            return True
        finally:
            self._interrupt.on_cancel = None
            if self._watching is not None:
                self._watching.cancel()
                await asyncio.wait([self._watching])
        return isinstance(error, TimeoutError) and self._limit.expired()


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


async def leave_run(context: RunContext, run: Run, run_request: RunRequest) -> None:
    """Continue without a run; a background task cancels and charges it.

    The thread continues in a new conversation: the server may keep that of the run locked.
    """
    turn, services = context.turn, context.services
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
        await services.charges.charge_late(turn.claim, usage, model, messages)
    log.info("stopped_run_ended", run=run.id, thread=turn.claim.thread.key)
