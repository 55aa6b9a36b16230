"""Rollover of a long conversation: a summary by the model, and the newest lines unchanged."""

from collections.abc import Sequence
from contextlib import aclosing

from bot.engines import Engine, RunRequest
from bot.errors import NOTHING_SENT, ConversationGone, RunFailed
from bot.models import Conversation, Message, Record, Run, Usage
from bot.store import Store, Turn, steps
from bot.telemetry.log import log
from bot.turn.batch import Request

KEPT_LINES = 10

ASK = (
    "Summarise our conversation so far for yourself: facts, names, numbers, decisions, open "
    "questions and wishes, in the language it was held in, in 300 words at most. Write nothing "
    "but the summary."
)
HEAD = "Summary of our conversation before this point:\n"


async def shorten(
    turn: Turn, engine: Engine, store: Store, request: Request, history: Sequence[Record]
) -> list[Record]:
    """The start of the new conversation: a summary, if the model returns one, and the newest
    lines."""
    newest = list(history[-KEPT_LINES:])
    if len(history) <= KEPT_LINES:
        return newest
    summary = turn.recall(steps.SUMMARY)
    if summary is None:
        try:
            summary = await _summarize(turn, engine, store, request, history)
        except (RunFailed, ConversationGone) as error:
            log.warning("summary_failed", thread=turn.claim.thread.key, error=str(error)[:100])
            if isinstance(error, RunFailed) and error.usage is not None:
                await turn.note(steps.SUMMARY_USAGE, error.usage)
            summary = ""
        await turn.note(steps.SUMMARY, summary)
    head = [Record("assistant", HEAD + summary, newest[0].ts)] if summary else []
    return [*head, *newest]


async def _summarize(
    turn: Turn, engine: Engine, store: Store, request: Request, history: Sequence[Record]
) -> str:
    """Summarize in a separate conversation; its steps are journaled like those of an answer."""
    last, thread, turn_id = request.last, turn.claim.thread, f"{turn.id}:summary"

    async def begin(_: bool) -> Conversation:
        conversation_id = await engine.begin(thread, last.user_id, history)
        await store.archive.watch(engine.name, conversation_id)
        return Conversation(conversation_id, engine.name, thread, last.user_id, turn.claim.taken_at)

    conversation = await turn.once(steps.SUMMARY_CONVERSATION, begin)
    question = Message(thread, last.ts, last.user_id, ASK)

    async def append(again: bool) -> str:
        return await engine.append(conversation, question, turn_id=turn_id, again=again)

    async def start(again: bool) -> Run:
        return await engine.start(
            RunRequest(conversation, [question], request.options, turn_id, again)
        )

    if engine.appends:
        await turn.once(steps.SUMMARY_APPEND, append, undone_by=NOTHING_SENT)
    run = await turn.once(steps.SUMMARY_RUN, start, undone_by=NOTHING_SENT)
    text, usage = "", None
    async with aclosing(engine.follow(run, conversation)) as updates:
        async for update in updates:
            text, usage = update.text, update.usage
    await turn.note(steps.SUMMARY_USAGE, usage or Usage())
    await store.archive.discard(engine.name, conversation.id)
    return text.strip()
