"""A turn from top to bottom: messages -> conversation -> run -> answer -> record.

Every step is recorded in the journal before the next one begins. A turn that another worker resumes
after a crash continues with the same conversation, the same run, the same text, and the first part
that is not posted yet.
"""

from dataclasses import replace

from bot.errors import RunFailed
from bot.jobs.forget import delete_now
from bot.jobs.results import Results
from bot.jobs.run import run_jobs
from bot.models import JOB, Answer, Conversation, Message, add_usage, well_formed
from bot.slack.answer.reply import Reply
from bot.store import steps
from bot.store.hold import record_deletion
from bot.store.journal import Turn
from bot.store.step_values import Admission
from bot.telemetry import trace
from bot.texts import hold
from bot.texts.answers import (
    FRESH_START,
    NOTHING_TO_ANSWER,
    NOTHING_TO_FORGET,
    apology,
    fresh_start,
    stopped,
    with_note,
)
from bot.texts.commands import with_prefix
from bot.texts.files import unattached
from bot.texts.tools import outcome_unknown
from bot.turn.ask import ask
from bot.turn.batch import Request, sort_claim
from bot.turn.files_in import unread_note
from bot.turn.files_out import missing, share
from bot.turn.found import find_answers, settle_found
from bot.turn.interrupt import Interrupt
from bot.turn.record import record
from bot.turn.retraction import retract
from bot.turn.rounds_so_far import Progress, progress_of
from bot.turn.services import Services
from bot.turn.suspension import close_cards
from bot.turn.unkept import abandon_unkept


async def take_turn(turn: Turn, services: Services, interrupt: Interrupt) -> Answer:
    """Answer the messages of a claim, continuing where an earlier worker stopped.

    Returns the answer once Slack holds all of it. Raises OutOfOrder if the turn is to begin again
    with an older message, Suspended while people have to decide on a call, Superseded if another
    worker has taken the thread, and Retry, Undeliverable and StoreUnavailable.
    """
    batch = sort_claim(turn.claim)
    if batch.jobs:
        return await run_jobs(turn, services, batch.jobs)
    conversation = await retract(turn, services, batch.retractions)
    if all(message.kind == "stop" for message in batch.requests):
        return await end_without_answer(turn, services, batch.requests, conversation)
    admission = await services.gate.admit(turn, batch)
    if not admission.admitted:
        return await turn_away(turn, services, batch.requests, admission)
    admitted = tuple(m for m in batch.requests if m.ts in admission.admitted)
    request = Request(admitted, conversation, admission.options)
    async with services.replies.open(turn, request.last, interrupt.raised) as reply:
        known = turn.recall(steps.ANSWER)
        may_be_posted = known is None and turn.claim.maybe_done
        if may_be_posted and (found := await find_answers(turn, reply)):
            if any(found.covers(message) and message.kind == "reset" for message in admitted):
                await reset(turn, services, request)
            return await settle_found(turn, services, request, found)
        answer = known or await answer_to(turn, services, request, reply, interrupt)
        progress = progress_of(turn)
        if known is None:
            answer = replace(
                answer,
                text=well_formed(answer.text),
                note=notes_below(turn, admission, progress),
                usage=add_usage(progress.usage, answer.usage),
            )
            turn.defer(steps.ANSWER, answer)
        interrupt.begun = True
        with trace.span("post", answer_outcome=answer.outcome):
            await reply.finish(replace(answer, text=with_note(answer)))
        await close_cards(turn, services, interrupt.reason)
        await share(turn, services.files, turn.claim.thread, answer.files)
    await services.notices.remove(turn)
    previous = await record(turn, services, request, answer, progress, reply.rated_ts)
    services.replies.replace_last(turn.claim.thread, previous)
    return answer


async def end_without_answer(
    turn: Turn,
    services: Services,
    requests: tuple[Message, ...],
    conversation: Conversation | None,
) -> Answer:
    """Settle a turn that has only deletions, or only stops when nothing is running."""
    owed = conversation.owed if conversation else None
    await services.store.inbox.settle(turn.claim, answered=(), owed=owed)
    return Answer("", outcome="stop" if requests else "retracted")


async def turn_away(
    turn: Turn, services: Services, requests: tuple[Message, ...], admission: Admission
) -> Answer:
    """Post the reason why the requests are refused, unless it was shown before, and settle."""
    if admission.note:
        async with services.replies.open(turn, requests[-1]) as reply:
            await reply.finish(Answer(admission.note, outcome="refused"))
    await services.store.inbox.settle(turn.claim, answered=())
    return Answer(admission.note, outcome="refused", reason=admission.reason)


async def answer_to(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    """Carry out the request: a reset, a stop, or a question for the engine."""
    kind = request.last.kind
    if kind == "reset":
        return await reset(turn, services, request)
    if kind == "stop":
        return Answer(stopped(""), outcome="cancelled", reason="stop")
    asked = replace(request, messages=request.questions)
    if asked.last.kind == "again" and request.conversation is None:
        return Answer(NOTHING_TO_ANSWER, outcome="nothing")
    return await ask(turn, services, asked, reply, interrupt)


async def reset(turn: Turn, services: Services, request: Request) -> Answer:
    """Forget the thread's conversation. Under a legal hold the request is kept until the hold
    ends."""
    is_held = await services.store.hold.is_on()
    record_deletion(request.last, "conversation", held=is_held)
    if is_held:
        await services.store.hold.keep(request.last)
        return Answer(hold.RESET, outcome="nothing")
    return await forget(turn, services, request.conversation)


async def forget(turn: Turn, services: Services, conversation: Conversation | None) -> Answer:
    """Forget the thread's conversation: in Redis immediately, on the AI server now or with the
    next sweep."""
    store = services.store
    if conversation is None and turn.recall(steps.FORGOTTEN) is None:
        words = with_prefix(NOTHING_TO_FORGET, services.command_prefix)
        return Answer(words, outcome="nothing")
    if conversation is not None:
        await turn.note(steps.FORGOTTEN, conversation.id)
        await store.conversations.forget(turn.claim)
        await delete_now(store, services.engine, conversation)
    # Context messages are forgotten as well.
    await store.routing.catch_up(turn, turn.claim.messages[-1].ts)
    return Answer(FRESH_START, outcome="reset")


def notes_below(turn: Turn, admission: Admission, progress: Progress) -> str:
    """The notes below the answer."""
    fresh = fresh_start(turn.recall(steps.ARCHIVED))
    unknown = outcome_unknown(progress.unknown)
    parts = [fresh, admission.note, unread_note(turn), unattached(missing(turn)), unknown]
    return "\n\n".join(filter(None, parts))


async def give_up(turn: Turn, services: Services, reason: str) -> None:
    """Apologize for the messages that will not be answered; `reason` is a key of the texts."""
    await close_cards(turn, services)
    await abandon_unkept(turn, services, progress_of(turn))
    text = apology(RunFailed("failed", reason))
    last = turn.claim.messages[-1]
    if last.kind == "retract":
        return
    if last.kind == JOB:
        await Results(services.direct_messages, last, again=True).send(text, "apology")
        return
    async with services.replies.open(turn, last) as reply:
        await reply.finish(Answer(text, outcome="failed"))
    await services.notices.remove(turn)
