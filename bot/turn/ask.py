"""A question's way through the engine: conversation -> messages -> run -> answer."""

import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from bot.engines import Engine, RunRequest
from bot.errors import NOTHING_SENT, ConversationGone, OutOfOrder, RunFailed
from bot.models import TERMINAL, Answer, Conversation, Message, Run, Update, Usage
from bot.slack.answer.reply import Reply
from bot.store import steps
from bot.store.journal import Paused, Turn
from bot.store.steps import Attempt, Step
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.texts.answers import HERE, apology, stopped
from bot.turn.batch import Request, account_owner
from bot.turn.calling import Calling
from bot.turn.context import collect_input
from bot.turn.conversation import open_conversation, start_over
from bot.turn.files_in import FileFallback, Offered, load_files
from bot.turn.files_out import fetch, fit, snippets
from bot.turn.interrupt import Interrupt
from bot.turn.limits import used
from bot.turn.reordering import is_restarted
from bot.turn.reruns import Reruns, was_down
from bot.turn.rounds import Ended, Rounds, Show, Story, functions_of, titles_of
from bot.turn.rounds_so_far import add_usage, earlier_outputs, usage_of_rounds
from bot.turn.services import Services
from bot.turn.stopping import cancelled_by, finish_stopped
from bot.turn.together import together

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
            usage=add_usage(usage_of_rounds(turn), error.usage),
            model=error.model,
        )


async def _run(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    attempt = Attempt(turn.recall(steps.ATTEMPT) or 0)
    engine = FileFallback(services.engine, turn)
    is_open = turn.is_begun(attempt.run)
    heard, files = await together(
        collect_input(turn, services, request),
        load_files(turn, services, request.questions, engine.reads, attempt.run),
    )
    if not is_open:
        interrupt.check_order()
    channel_id, off = turn.claim.thread.channel_id, turn.claim.channel.servers_off
    offer = await services.toolbox.offer(channel_id, off, account_owner(request))
    conversation = await open_conversation(turn, services, request, heard, attempt)
    for message in heard.messages:
        await _append(turn, engine, conversation, message, attempt, files)
    order = RunRequest(
        conversation,
        heard.messages,
        replace(request.options, user_id=heard.messages[-1].user_id),
        turn.id,
        files=files,
        functions=functions_of(offer),
        hosted=offer.hosted,
        withheld=offer.withheld,
        earlier=earlier_outputs(turn, attempt),
        restarted=is_restarted(turn, attempt),
    )
    story = Story(titles=titles_of(offer))
    show = Show(reply, story)

    async def run_once(order: RunRequest, step: Step[Run]) -> tuple[Run | None, Update]:
        if order.asked_by:
            interrupt.keep_order()
        run = await _start(turn, services, engine, order, step, interrupt)
        if run is None:
            return None, Update("cancelled")
        try:
            update = await _follow(turn, services, run, order, see, interrupt)
        except RunFailed as error:
            if interrupt.begins_again:
                raise OutOfOrder(error.usage, error.model) from error
            raise
        if interrupt.begins_again and update.status == "cancelled":
            raise OutOfOrder(used(turn, update, run), update.model)
        return run, update

    async def see(update: Update) -> None:
        reruns.see(update)
        await show.update(update)

    reruns = Reruns(turn, services, attempt, reply, interrupt, run_once)
    calling = Calling(turn, services, request, offer, interrupt, show.card)
    rounds = Rounds(calling, engine, attempt, story, reruns.run)
    return await _finish(turn, services, await rounds.run(order), interrupt)


async def _append(
    turn: Turn,
    engine: Engine,
    conversation: Conversation,
    message: Message,
    attempt: Attempt,
    files: Offered,
) -> None:
    async def append(again: bool) -> str:
        offered, again = files.get(message.ts, ()), again or turn.claim.retried
        return await engine.append(
            conversation, message, turn_id=turn.id, again=again, files=offered
        )

    if engine.appends:
        step = attempt.append(message.ts)
        await turn.once(step, append, undone_by=NOTHING_SENT, deferred=True)


async def _start(
    turn: Turn,
    services: Services,
    engine: Engine,
    order: RunRequest,
    step: Step[Run],
    interrupt: Interrupt,
) -> Run | None:
    """Start a run, as fast as the server takes them; None if it is not wanted any more."""
    throttle, is_free = services.throttle, turn.is_begun(step)
    waits = throttle.is_limited and not is_free

    async def start(again: bool) -> Run:
        if not again:
            interrupt.check_order()
        return await engine.start(replace(order, again=again))

    run: Run | None = None
    while run is None:
        if waits:
            await turn.flush()
            with interrupt.idle():
                await throttle.wait(turn, interrupt.cancelled)
        if interrupt.raised.is_set() and turn.recall(step) is None:
            return None
        pauses = () if waits or is_free else throttle.pauses
        try:
            run = await turn.once(step, start, undone_by=(*NOTHING_SENT, OutOfOrder), unless=pauses)
        except Paused:
            waits = True
    interrupt.begun = True
    return replace(run, doubtful=was_down(turn, run))


async def _follow(
    turn: Turn,
    services: Services,
    run: Run,
    order: RunRequest,
    show: Callable[[Update], Awaitable[None]],
    interrupt: Interrupt,
) -> Update:
    """Show the answer while it grows; returns the last update.

    A run that does not end soon after an interrupt is left to a background task, and the thread
    continues in a new conversation: the server may keep the old one locked.
    """
    engine, update, has_text = services.engine, Update(run.status), False
    with trace.span("follow", run_id=run.id):
        async with (
            cancelled_by(interrupt, engine, run, services.stop_grace) as limit,
            aclosing(engine.follow(run, order.conversation)) as updates,
        ):
            async for new in interrupt.idle_between(updates):
                if interrupt.cancelled.is_set() and new.status not in TERMINAL and not new.calls:
                    continue  # nothing more appears after a stop
                update = new
                if update.text and not has_text:
                    has_text = True
                    metrics.first_text_seconds.observe(time.time() - float(order.messages[-1].ts))
                await show(update)
    if not limit.expired():
        return update
    log.warning("run_left_behind", run=run.id, thread=turn.claim.thread.key, turn=turn.id)
    await services.store.conversations.abandon(turn.claim)
    messages = tuple(order.messages)
    services.background.start(finish_stopped(turn, services, run, order.conversation, messages))
    return replace(update, status="cancelled", usage=Usage())  # charged when it ends


async def _finish(turn: Turn, services: Services, ended: Ended, interrupt: Interrupt) -> Answer:
    """The answer of the last run, with the files of all runs brought to Slack."""
    run, update = ended.run, ended.update
    cancelled = update.status == "cancelled"
    if run is None:
        text = stopped(update.text)
        used = usage_of_rounds(turn)
        return Answer(text, outcome="cancelled", reason=interrupt.reason, usage=used)
    files = await fetch(turn, services.engine, services.files, ended.files)
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
        usage=add_usage(usage_of_rounds(turn), update.usage),
        last_item_id="" if cancelled else update.last_item_id,
        model=update.model,
        run_id=run.id,
    )
