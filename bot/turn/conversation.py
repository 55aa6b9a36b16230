"""The conversation of a turn: the thread's, or a new one filled from our record."""

import time
from dataclasses import replace

from bot.models import Conversation, Record
from bot.store import steps
from bot.store.inbox_part import RECORD_BYTES
from bot.store.journal import Turn
from bot.store.records import newest
from bot.store.step_values import EngineInput
from bot.store.steps import Generation
from bot.telemetry.log import log
from bot.turn.batch import Request
from bot.turn.context import recollect
from bot.turn.rollover import shorten
from bot.turn.services import Services


async def open_conversation(
    turn: Turn,
    services: Services,
    request: Request,
    given: EngineInput,
    generation: Generation,
    is_own: bool,
) -> Conversation:
    """The thread's conversation if the generation uses its own one, or a new one filled from our
    record."""
    known = request.conversation
    is_full = is_own and bool(known and known.messages >= services.rollover_messages)
    if is_own and known and known.engine == services.engine.name and not is_full:
        return known
    if is_own and known and not known.id and (left := _conversation_left(turn, generation)):
        return replace(known, id=left, engine=services.engine.name)
    records: list[Record] = []

    async def begin() -> Conversation:
        if turn.claim.archived:
            await turn.note(steps.ARCHIVED, turn.claim.archived)
        history = await _history(turn, services, request)
        if is_full or turn.recall(steps.OVERFULL):
            history = await shorten(turn, services.engine, services.store, request, history)
            records[:] = history
        return await _begin(turn, services, request, [*history, *given.before])

    return await turn.begin_conversation(generation.conversation, begin, records, deferred=True)


def _conversation_left(turn: Turn, generation: Generation) -> str:
    """The id of the conversation that the generation's run is in, if the turn has abandoned it and
    was interrupted before it began again: what it added there is not in another conversation."""
    run = turn.recall(generation.run)
    began_its_own = turn.recall(generation.conversation) is not None
    return run.conversation_id if run and not began_its_own else ""


async def start_over(turn: Turn) -> None:
    """Let the next generation begin a new conversation."""
    log.warning("conversation_rebuilt", thread=turn.claim.thread.key, turn=turn.id)
    await turn.note(steps.GENERATION, (turn.recall(steps.GENERATION) or 0) + 1)


async def _history(turn: Turn, services: Services, request: Request) -> list[Record]:
    """Our record, without the messages of people who are no longer allowed."""
    thread = turn.claim.thread
    if not turn.claim.has_record and request.conversation is None:
        return []
    history = await services.store.conversations.history(thread)
    if not history and request.conversation is not None:
        return await recollect(turn, services, request)
    if evicted := {record.ts for record in history if record.evicted}:
        kept = [record for record in history if not record.evicted]
        history = [*await recollect(turn, services, request, evicted), *kept]
    history = newest(history, RECORD_BYTES)
    authors = (record.user_id for record in history)
    refused = await services.rights.refused_among(thread, authors)
    return [record for record in history if record.user_id not in refused]


async def _begin(
    turn: Turn, services: Services, request: Request, history: list[Record]
) -> Conversation:
    engine, thread, known = services.engine, turn.claim.thread, request.conversation
    user_id = (known.user_id if known else "") or request.messages[0].user_id
    conversation_id = await engine.begin(thread, user_id, history)
    created_at = known.created_at if known else time.time()
    return Conversation(conversation_id, engine.name, thread, user_id, created_at)
