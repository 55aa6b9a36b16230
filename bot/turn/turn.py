"""A turn from top to bottom: messages -> conversation -> run -> answer -> record.

Every step is recorded in the journal before the next one begins. A turn that another worker resumes
after a crash continues with the same conversation, the same run, the same text, and the first part
that is not posted yet.
"""

from dataclasses import replace

from bot.errors import RunFailed
from bot.jobs.results import JobResults
from bot.jobs.run import run_jobs
from bot.models import JOB, Answer, Conversation, Message
from bot.store import Claim, steps
from bot.store.journal import Turn
from bot.store.step_values import Admission
from bot.telemetry import trace
from bot.texts.answers import apology, with_note
from bot.turn.ask import ask
from bot.turn.batch import Batch, Request
from bot.turn.commands import carry_out
from bot.turn.found import find_answers, settle_found
from bot.turn.interrupt import Interrupt
from bot.turn.notes import with_notes
from bot.turn.record import record, share
from bot.turn.retraction import retract
from bot.turn.rounds_so_far import progress_of
from bot.turn.services import Services
from bot.turn.suspension import close_cards


async def take_turn(turn: Turn, services: Services, interrupt: Interrupt) -> Answer:
    """Answer the messages of a claim, continuing where an earlier worker stopped.

    Returns the answer once Slack holds all of it. Raises OutOfOrder if the turn is to begin again
    with an older message, Suspended while people have to decide on a call, Superseded if another
    worker has taken the thread, and Retry, Undeliverable and StoreUnavailable.
    """
    request = await begin(turn, services)
    if isinstance(request, Answer):
        return request
    async with services.replies.open(turn, request.last, interrupt.raised) as reply:
        answer = turn.recall(steps.ANSWER)
        is_new = answer is None
        may_be_posted = is_new and turn.claim.maybe_done
        if may_be_posted and (found := await find_answers(turn, reply)):
            return await settle_found(turn, services, request, found)
        if answer is None:
            answer = await carry_out(turn, services, request)
        if answer is None:
            answer = await ask(turn, services, request, reply, interrupt)
        progress = progress_of(turn)
        if is_new:
            answer = with_notes(turn, request, answer, progress)
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


async def begin(turn: Turn, services: Services) -> Request | Answer:
    """The admitted requests of a turn; or its end, if it has none."""
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
    return Request(admitted, conversation, admission.options, admission.note)


def sort_claim(claim: Claim) -> Batch:
    """Sort the messages of a claim by kind."""

    def of_kind(kind: str) -> tuple[Message, ...]:
        return tuple(message for message in claim.messages if message.kind == kind)

    requests = tuple(m for m in claim.messages if m.kind not in (JOB, "retract"))
    return Batch(of_kind(JOB), of_kind("retract"), requests)


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


async def give_up(turn: Turn, services: Services, reason: str) -> None:
    """Apologize for the messages that will not be answered; `reason` is a key of the texts."""
    await close_cards(turn, services)
    if progress_of(turn).holds_unkept:
        await services.store.conversations.abandon(turn.claim)
    text = apology(RunFailed("failed", reason))
    last = turn.claim.messages[-1]
    if last.kind == "retract":
        return
    if last.kind == JOB:
        await JobResults(services.direct_messages, last, again=True).send(text, "apology")
        return
    async with services.replies.open(turn, last) as reply:
        await reply.finish(Answer(text, outcome="failed"))
    await services.notices.remove(turn)
