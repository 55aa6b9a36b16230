"""The end of an answered turn: the usage is charged, and our record of the conversation grows."""

from bot.models import Answer, Conversation, Message, Record
from bot.slack.markdown.clean import clean
from bot.slack.markdown.render import in_thread
from bot.store import steps
from bot.store.journal import Turn
from bot.store.step_values import EngineInput
from bot.store.steps import Generation
from bot.turn.batch import Request
from bot.turn.external import external_content
from bot.turn.reordering import own_generation
from bot.turn.rounds_so_far import Progress
from bot.turn.services import Services
from bot.turn.unkept import abandon_unkept, delete_unkept

OUTAGES = frozenset(
    {
        *("authentication", "deadline", "endpoint_not_found", "expired", "insufficient_quota"),
        *("model_not_found", "unsupported_parameter", "data_retention"),
        *("permission", "rate_limit_exceeded", "run_not_found", "run_lost", "server_error"),
        "stream_cut",
    }
)
"""Reasons for which a run fails whatever the messages are: these are sent again."""
MAX_OWED = 200
"""Maximum messages owed to a conversation: bounds Redis while a server fails for days."""


async def record(
    turn: Turn,
    services: Services,
    request: Request,
    answer: Answer,
    progress: Progress,
    rated_ts: str,
) -> str | None:
    """Settle: charge the usage, save the record for a rebuild and the position in the conversation.

    `rated_ts` is the ts of the answer's message with buttons, or "". Returns that of the answer
    before, if this one takes its place.
    """
    inbox = services.store.inbox
    await turn.save()
    if answer.outcome in ("reset", "nothing"):
        return await inbox.settle(turn.claim, answered=request.messages)
    questions = request.questions
    given = turn.recall(steps.ENGINE_INPUT) or EngineInput(messages=questions)
    said = [*given.before]
    kept = turn.recall(steps.KEPT_FILES) or {}
    said += [Record("user", m.text, m.ts, m.user_id, kept.get(m.ts, "")) for m in given.messages]
    text = await in_thread(clean, answer.text)
    said.append(Record("assistant", text, questions[-1].ts, outputs=progress.outputs))
    content = external_content(turn, request, progress)
    await abandon_unkept(turn, services, progress)
    previous = await inbox.settle(
        turn.claim,
        answered=questions,
        records=said,
        usage=answer.usage,
        last_item_id=answer.last_item_id,
        runs=progress.runs,
        external=content.is_present,
        sources=content.sources,
        owed=() if services.engine.appends else owed(turn, request, answer, given.messages),
        charges=services.charges.of(turn, answer, questions),
        reserved=services.charges.reserved(questions),
        answer_ts=rated_ts,
    )
    await delete_unkept(turn, services, progress)
    return previous


def owed(
    turn: Turn, request: Request, answer: Answer, messages: tuple[Message, ...]
) -> tuple[Message, ...]:
    """The messages that the conversation may lack after this turn; only the newest.

    Messages that the server rejected (a filter, too long, malformed) are not sent again.
    """
    if answer.outcome == "completed":
        return ()
    unheard = answer.outcome in ("cancelled", "incomplete", "expired") or answer.reason in OUTAGES
    missed = owed_after(turn, request.conversation, messages if unheard else ())
    return missed[-MAX_OWED:]


def owed_after(
    turn: Turn, before: Conversation | None, messages: tuple[Message, ...]
) -> tuple[Message, ...]:
    """The messages that the engine may lack after an incomplete turn: `messages`, and those owed
    before, unless the turn began a new conversation, which holds our whole record.
    """
    own = own_generation(turn)
    rebuilt = (
        turn.recall(Generation(own).conversation) or (turn.recall(steps.GENERATION) or 0) > own
    )
    return messages if before is None or rebuilt else (*before.owed, *messages)
