"""A question's way through the engine: conversation -> messages -> run -> answer."""

import time
from contextlib import aclosing
from dataclasses import replace

from bot.engines import Engine, RunRequest
from bot.errors import NOTHING_SENT, ConversationGone, RunFailed
from bot.models import TERMINAL, Answer, Conversation, Message, Run, Update, Usage
from bot.slack.answer.reply import Reply
from bot.store import steps
from bot.store.journal import Turn
from bot.store.steps import Attempt
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.texts.answers import HERE, apology, stopped
from bot.turn.batch import Request
from bot.turn.context import gather
from bot.turn.conversation import open_conversation, start_over
from bot.turn.files_in import FileFallback, Offered, load_files
from bot.turn.files_out import fetch, fit, snippets
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services
from bot.turn.stopping import cancelled_by, finish_stopped

CONVERSATIONS_PER_TURN = 2
"""A conversation that the engine lost is rebuilt once per turn."""


async def ask(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    """Get the engine's answer. A run that fails becomes an answer that says so."""
    try:
        for _ in range(CONVERSATIONS_PER_TURN):
            try:
                return await _run(turn, services, request, reply, interrupt)
            except ConversationGone:
                await start_over(turn)
            except RunFailed as error:
                if error.reason != "context_length_exceeded" or turn.recall(steps.OVERFULL):
                    raise
                await turn.note(steps.OVERFULL, True)
                await start_over(turn)
        raise RunFailed("failed", "conversation_gone")
    except RunFailed as error:
        await services.throttle.failed(turn, error)
        return Answer(
            apology(error),
            outcome=error.status,
            reason=error.reason,
            usage=error.usage,
            model=error.model,
        )


async def _run(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    attempt = Attempt(turn.recall(steps.ATTEMPT) or 0)
    engine = FileFallback(services.engine, turn)
    heard = await gather(turn, services, request)
    conversation = await open_conversation(turn, services, request, heard, attempt)
    files = await load_files(turn, services.files, request.questions, engine.reads, attempt.run)
    for message in heard.messages:
        await _append(turn, engine, conversation, message, attempt, files)
    if not turn.is_begun(attempt.run):
        with interrupt.idle():
            await services.throttle.wait(turn, interrupt.raised)
    if interrupt.raised.is_set() and turn.recall(attempt.run) is None:
        return Answer(stopped(""), outcome="cancelled", reason=interrupt.reason)
    options = replace(request.options, user_id=heard.messages[-1].user_id)
    order = RunRequest(conversation, heard.messages, options, turn.id, files=files)
    run = await _start(turn, engine, order, attempt)
    interrupt.begun = True
    update = await _follow(turn, services, run, order, reply, interrupt)
    return await _finish(turn, services, run, update, interrupt)


async def _append(
    turn: Turn,
    engine: Engine,
    conversation: Conversation,
    message: Message,
    attempt: Attempt,
    files: Offered,
) -> None:
    async def append(again: bool) -> str:
        offered = files.get(message.ts, ())
        return await engine.append(
            conversation, message, turn_id=turn.id, again=again, files=offered
        )

    if engine.appends:
        await turn.once(attempt.append(message.ts), append, undone_by=NOTHING_SENT)


async def _start(turn: Turn, engine: Engine, order: RunRequest, attempt: Attempt) -> Run:
    async def start(again: bool) -> Run:
        return await engine.start(replace(order, again=again))

    return await turn.once(attempt.run, start, undone_by=NOTHING_SENT)


async def _follow(
    turn: Turn,
    services: Services,
    run: Run,
    order: RunRequest,
    reply: Reply,
    interrupt: Interrupt,
) -> Update:
    """Show the answer while it grows; returns the last update.

    A run that does not end soon after an interrupt is left to the background, and the thread goes
    on in a new conversation: the server may keep the old one locked.
    """
    engine, update, has_text = services.engine, Update(run.status), False
    with trace.span("follow", run_id=run.id):
        async with (
            cancelled_by(interrupt, engine, run, services.stop_grace) as limit,
            aclosing(engine.follow(run, order.conversation)) as updates,
        ):
            async for new in interrupt.idle_between(updates):
                if interrupt.raised.is_set() and new.status not in TERMINAL:
                    continue  # nothing more appears after a stop
                update = new
                if update.text and not has_text:
                    has_text = True
                    metrics.first_text_seconds.observe(time.time() - float(order.messages[-1].ts))
                await reply.show(update)
    if not limit.expired():
        return update
    log.warning("run_left_behind", run=run.id, thread=turn.claim.thread.key, turn=turn.id)
    await services.store.conversations.abandon(turn.claim)
    messages = tuple(order.messages)
    services.background.start(finish_stopped(turn, services, run, order.conversation, messages))
    return replace(update, status="cancelled", usage=Usage())  # charged when it ends


async def _finish(
    turn: Turn, services: Services, run: Run, update: Update, interrupt: Interrupt
) -> Answer:
    """The answer of a run that has ended, with its files brought to Slack."""
    cancelled = update.status == "cancelled"
    files = await fetch(turn, services.engine, services.files, run, update.files)
    files += await snippets(turn, services.files, update.text)
    text, whole = await fit(turn, services.files, update.text, services.answer_messages)
    files += whole
    text = text if text.strip() or not files else HERE
    return Answer(
        stopped(text) if cancelled else text,
        outcome=update.status,
        reason=interrupt.reason,
        citations=update.citations,
        files=files,
        usage=update.usage,
        last_item_id="" if cancelled else update.last_item_id,
        model=update.model,
        run_id=run.id,
    )
