"""THE STORY of a turn: messages -> conversation -> run -> answer -> record.

Every step is in the journal before the next one begins, so a turn that is taken up again after a
crash, by this worker or another, goes on where it stopped: the same conversation, the same run,
the same text, the part that was not posted yet.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace

from bot.engines import Engine, RunRequest
from bot.engines.polling import error_backoff
from bot.errors import ConversationGone, Retry, RunFailed
from bot.jobs.run import Office, carry_out
from bot.models import Answer, Conversation, Message, Record, Run, RunOptions, Update, well_formed
from bot.slack.answer.reply import Replies, Reply
from bot.slack.files import Files
from bot.slack.threads import Threads
from bot.store import Store, steps
from bot.store.journal import Turn
from bot.store.steps import Admission, Heard
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.texts.answers import (
    AGAIN_PLEASE,
    FRESH_START,
    HERE,
    NOTHING_TO_ANSWER,
    NOTHING_TO_FORGET,
    apology,
    fresh_start,
    stopped,
    with_note,
)
from bot.texts.files import unattached
from bot.turn.context import gather, recollect
from bot.turn.files_in import Offered, load_files, offering, unread_note
from bot.turn.files_out import fetch, missing, share, snippets
from bot.turn.gate import Gate
from bot.turn.limits import Budget
from bot.turn.retraction import retract
from bot.turn.rollover import shorten
from bot.turn.throttle import Throttle

OUTAGES = frozenset(
    {
        *("authentication", "deadline", "expired", "insufficient_quota", "model_not_found"),
        *("permission", "rate_limit_exceeded", "run_not_found", "server_error"),
    }
)
"""Reasons of a failed run that lie with the server: what was said is as good as before."""
MOST_OWED = 200
"""Messages that a conversation may lack: a server that fails for days is not to fill Redis."""
CONVERSATIONS_PER_TURN = 2
"""A conversation that the engine has lost is rebuilt once; a second loss is told to the person."""


@dataclass(slots=True)
class Interrupt:
    """A person's wish to end the turn that is at work: `stop` or `reset`.

    Two things it tells the other way: `waiting`, that the turn does nothing but wait for its run or
    for leave to start it, and `begun`, that there is a run, or an answer without one.
    """

    reason: str = ""
    waiting: bool = False
    begun: bool = False
    raised: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, reason: str) -> None:
        """Make the wish known to the turn."""
        self.reason = reason
        self.raised.set()


@dataclass(frozen=True, slots=True)
class Desk:
    """What every turn of a worker works with."""

    store: Store
    engine: Engine
    replies: Replies
    threads: Threads
    files: Files
    options: RunOptions
    gate: Gate
    budget: Budget
    office: Office
    throttle: Throttle
    rollover_messages: int
    """How many messages a conversation may hold before it is summed up in a new one."""


async def take_turn(turn: Turn, desk: Desk, interrupt: Interrupt) -> Answer:
    """Answer the claim's messages, from wherever an earlier worker may have stopped.

    Returns what was said once Slack holds all of it. Raises Retry and Undeliverable, and Superseded
    when another worker has the thread by now.
    """
    if turn.claim.messages[-1].kind == "errand":
        return await carry_out(turn, desk.office)
    if all(message.kind == "stop" for message in turn.claim.messages):
        await desk.store.inbox.settle(turn.claim)
        return Answer("", outcome="stop")
    orders = [message for message in turn.claim.messages if message.kind == "retract"]
    if len(orders) == len(turn.claim.messages):
        await retract(turn, desk.store, desk.engine, orders)
        conversation = turn.claim.conversation
        await desk.store.inbox.settle(turn.claim, owed=conversation.owed if conversation else None)
        return Answer("", outcome="retracted")
    said = tuple(message for message in turn.claim.messages if message.kind != "retract")
    turn.claim = replace(turn.claim, messages=said)
    admission = await desk.gate.admit(turn)
    desk = replace(desk, options=admission.options)
    if not admission.admitted:
        return await turn_away(turn, desk, admission)
    await retract(turn, desk.store, desk.engine, orders)
    last = turn.claim.messages[-1]
    turn.claim = replace(turn.claim, messages=questions(turn))
    async with desk.replies.open(turn, last, interrupt.raised) as reply:
        answer = turn.recall(steps.ANSWER)
        if answer is None:
            answer = await answer_to(last, turn, desk, reply, interrupt)
            fresh = fresh_start(turn.recall(steps.ARCHIVED))
            lost = unattached(missing(turn))
            note = "\n\n".join(filter(None, [fresh, admission.note, unread_note(turn), lost]))
            answer = replace(answer, text=well_formed(answer.text), note=note)
            await turn.note(steps.ANSWER, answer)
        interrupt.begun = True
        with trace.span("post", answer_outcome=answer.outcome):
            await reply.finish(replace(answer, text=with_note(answer)))
        await share(turn, desk.files, turn.claim.thread, answer.files)
    await record(turn, desk, answer)
    return answer


async def turn_away(turn: Turn, desk: Desk, admission: Admission) -> Answer:
    """Tell people why they get no answer, where they have not been told."""
    if admission.note:
        async with desk.replies.open(turn, turn.claim.messages[-1]) as reply:
            await reply.finish(Answer(admission.note, outcome="refused"))
    await desk.store.inbox.settle(turn.claim)
    return Answer(admission.note, outcome="refused", reason=admission.reason)


async def answer_to(
    last: Message, turn: Turn, desk: Desk, reply: Reply, interrupt: Interrupt
) -> Answer:
    """What comes of the messages: the last one says what is wanted."""
    if last.kind == "reset":
        return await forget(turn, desk)
    if last.kind == "stop":
        return Answer(stopped(""), outcome="cancelled", reason="stop")
    if turn.claim.conversation is None and turn.claim.messages[-1].kind == "again":
        return Answer(NOTHING_TO_ANSWER, outcome="nothing")
    return await ask(turn, desk, reply, interrupt)


def questions(turn: Turn) -> tuple[Message, ...]:
    """What is to be answered. A wish for another answer is a question where there is no other."""
    messages = turn.claim.messages
    if messages[-1].kind != "again":
        return messages
    asked = tuple(message for message in messages if message.kind == "message")
    return asked or (replace(messages[-1], text=AGAIN_PLEASE),)


async def ask(turn: Turn, desk: Desk, reply: Reply, interrupt: Interrupt) -> Answer:
    """Have the engine answer; every failure of the run becomes words for the person."""
    try:
        for _ in range(CONVERSATIONS_PER_TURN):
            try:
                return await _run(turn, desk, reply, interrupt)
            except ConversationGone:
                await _start_over(turn)
            except RunFailed as error:
                if error.reason != "context_length_exceeded" or turn.recall(steps.OVERFULL):
                    raise
                await turn.note(steps.OVERFULL, True)
                await _start_over(turn)
        raise RunFailed("failed", "conversation_gone")
    except RunFailed as error:
        await desk.throttle.failed(turn, error)
        return Answer(
            apology(error),
            outcome=error.status,
            reason=error.reason,
            usage=error.usage,
            model=error.model,
        )


async def _run(turn: Turn, desk: Desk, reply: Reply, interrupt: Interrupt) -> Answer:
    generation = turn.recall(steps.ATTEMPT) or 0
    engine = desk.engine
    heard = await gather(turn, desk.store, desk.threads, desk.gate)
    messages = heard.messages
    conversation = await _conversation(turn, desk, generation, heard)
    files = await load_files(turn, desk.files, engine.reads, steps.run(generation))
    for message in messages:
        await _append(turn, desk, conversation, message, generation, files)
    step = steps.run(generation)
    if not turn.is_begun(step):
        interrupt.waiting = True
        await desk.throttle.wait(turn, interrupt.raised)
        interrupt.waiting = False
    if interrupt.raised.is_set() and turn.recall(step) is None:
        return Answer(stopped(""), outcome="cancelled", reason=interrupt.reason)
    options = replace(desk.options, user_id=messages[-1].user_id)

    async def start(again: bool) -> Run:
        return await offering(
            turn,
            files,
            lambda chosen: engine.start(
                RunRequest(conversation, messages, options, turn.id, again, chosen)
            ),
        )

    run = await desk.throttle.once(turn, step, start)
    interrupt.begun = True
    update, has_text = Update(run.status), False
    with trace.span("follow", run_id=run.id):
        async with (
            _stoppable(engine, run, interrupt),
            aclosing(engine.follow(run, conversation)) as updates,
        ):
            interrupt.waiting = True
            async for update in updates:
                interrupt.waiting = False
                if update.text and not has_text:
                    has_text = True
                    metrics.first_text_seconds.observe(time.time() - float(messages[-1].ts))
                await reply.show(update)
                interrupt.waiting = True
            interrupt.waiting = False
    cancelled = update.status == "cancelled"
    files_made = await fetch(turn, engine, desk.files, run, update.files)
    files_made += await snippets(turn, desk.files, update.text)
    text = update.text if update.text.strip() or not files_made else HERE
    return Answer(
        stopped(text) if cancelled else text,
        outcome=update.status,
        reason=interrupt.reason,
        citations=update.citations,
        files=files_made,
        usage=update.usage,
        last_item_id="" if cancelled else update.last_item_id,
        model=update.model,
        run_id=run.id,
    )


async def _append(
    turn: Turn,
    desk: Desk,
    conversation: Conversation,
    message: Message,
    generation: int,
    files: Offered,
) -> None:
    engine = desk.engine

    async def append(again: bool) -> str:
        ours = {message.ts: files[message.ts]} if message.ts in files else {}
        return await offering(
            turn,
            ours,
            lambda chosen: engine.append(
                conversation,
                message,
                turn_id=turn.id,
                again=again,
                files=chosen.get(message.ts, ()),
            ),
        )

    if engine.appends:
        await desk.throttle.once(turn, steps.append(generation, message.ts), append)


async def _conversation(turn: Turn, desk: Desk, generation: int, heard: Heard) -> Conversation:
    """The thread's conversation; begun, and filled from our own record, where there is none."""
    thread, asker = turn.claim.thread, turn.claim.messages[0].user_id
    known = turn.claim.conversation
    is_full = bool(known and known.messages >= desk.rollover_messages) and generation == 0
    if generation == 0 and known and known.engine == desk.engine.name and not is_full:
        return known
    records: list[Record] = []

    async def begin(_: bool) -> Conversation:
        if turn.claim.archived:
            await turn.note(steps.ARCHIVED, turn.claim.archived)
        history = await desk.store.conversations.history(thread)
        if not history and known is not None:
            history = await recollect(turn, desk.threads)
        if is_full or turn.recall(steps.OVERFULL):
            history = await shorten(turn, desk.engine, desk.store, history, desk.options)
            records[:] = history
        user_id = known.user_id if known else asker
        conversation_id = await desk.engine.begin(thread, user_id, [*history, *heard.before])
        await desk.store.archive.watch(desk.engine.name, conversation_id)
        return Conversation(
            id=conversation_id,
            engine=desk.engine.name,
            thread=thread,
            user_id=user_id,
            created_at=known.created_at if known else time.time(),
        )

    return await turn.begin(steps.conversation(generation), begin, records)


async def _start_over(turn: Turn) -> None:
    """Go on in a new conversation, filled with our record, shortened where it was overfull."""
    generation = (turn.recall(steps.ATTEMPT) or 0) + 1
    log.warning("conversation_rebuilt", thread=turn.claim.thread.key, turn=turn.id)
    await turn.note(steps.ATTEMPT, generation)


@asynccontextmanager
async def _stoppable(engine: Engine, run: Run, interrupt: Interrupt) -> AsyncIterator[None]:
    """While inside, an interrupt cancels the run on the server; the block then sees it end."""

    async def cancel() -> None:
        await interrupt.raised.wait()
        for delay in error_backoff():
            try:
                await engine.cancel(run)
                return
            except Retry as error:
                await asyncio.sleep(error.after or delay)

    watch = asyncio.create_task(cancel())
    try:
        yield
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def forget(turn: Turn, desk: Desk) -> Answer:
    """Forget the thread's conversation, here and on the server."""
    conversation = turn.claim.conversation
    if conversation is None and turn.recall(steps.FORGOTTEN) is None:
        return Answer(NOTHING_TO_FORGET, outcome="reset")
    if conversation is not None:
        await turn.note(steps.FORGOTTEN, conversation.id)
        await desk.engine.delete(conversation.id)
        await desk.store.conversations.forget(turn.claim)
    await desk.store.talk.catch_up(turn)  # what was overheard is forgotten, too
    return Answer(FRESH_START, outcome="reset")


async def give_up(turn: Turn, desk: Desk) -> None:
    """Tell the person that nothing more will come of these messages."""
    last = turn.claim.messages[-1]
    if last.kind == "errand":
        await desk.office.letters.send(last.user_id, apology(RunFailed("failed", "dead")))
        return
    async with desk.replies.open(turn, last) as reply:
        await reply.finish(Answer(apology(RunFailed("failed", "dead")), outcome="failed"))


async def record(turn: Turn, desk: Desk, answer: Answer) -> None:
    """Settle, keeping what was said for a rebuild, and where the conversation stands."""
    messages = turn.claim.messages
    if answer.outcome in ("reset", "nothing"):
        await desk.store.inbox.settle(turn.claim)
        return
    await desk.budget.account(turn, answer)
    heard = turn.recall(steps.HEARD) or Heard(messages=messages)
    said = [*heard.before]
    said += [Record("user", m.text, m.ts, m.user_id) for m in heard.messages]
    said.append(Record("assistant", answer.text, messages[-1].ts))
    await desk.store.inbox.settle(
        turn.claim,
        records=said,
        usage=answer.usage,
        last_item_id=answer.last_item_id,
        owed=() if desk.engine.appends else owed(turn, answer, heard.messages),
    )


def owed(turn: Turn, answer: Answer, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """What the conversation lacks after this turn, as far as we know; the newest messages of it.

    What the server would not hear (a filter, too long, malformed) is not said a second time.
    """
    if answer.outcome == "completed":
        return ()
    before = turn.claim.conversation
    begun = turn.recall(steps.conversation(0)) or turn.recall(steps.ATTEMPT)
    if before is None or begun:
        carried: tuple[Message, ...] = ()  # begun in this turn: it holds our record
    else:
        carried = before.owed
    if answer.outcome in ("cancelled", "incomplete", "expired") or answer.reason in OUTAGES:
        carried = (*carried, *messages)
    return carried[-MOST_OWED:]
