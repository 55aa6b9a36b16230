"""The end of an answered turn: its files are shared, the usage is charged, and our record of the
conversation grows."""

from collections.abc import Iterable

from bot.jobs.forget import delete_now
from bot.models import Answer, Conversation, Message, Record, Thread
from bot.slack.files import Files, NotTaken
from bot.slack.markdown.clean import clean
from bot.slack.markdown.render import in_thread
from bot.store import steps
from bot.store.journal import Turn
from bot.store.step_values import EngineInput, Reordered
from bot.store.steps import Generation
from bot.telemetry.log import log
from bot.turn.batch import Request
from bot.turn.external import external_content
from bot.turn.rounds_so_far import Progress
from bot.turn.services import Services

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


async def share(turn: Turn, files: Files, thread: Thread, ids: Iterable[str]) -> None:
    """Share the files in the thread, each once."""
    for file_id in ids:

        async def show(again: bool, file_id: str = file_id) -> bool:
            try:
                await files.share(thread, file_id, again=again)
            except NotTaken as error:
                log.warning("file_not_shared", turn=turn.id, error=str(error)[:100])
                return False
            return True

        await turn.once(steps.shared_file(file_id), show)


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

    A conversation with results that may not be kept is deleted. The next turn begins a new one from
    our record, which does not contain them.
    """
    inbox = services.store.inbox
    await turn.save()
    if answer.outcome in ("reset", "nothing"):
        return await inbox.settle(turn.claim, answered=request.messages)
    questions = request.questions
    given = turn.recall(steps.ENGINE_INPUT) or EngineInput(messages=questions)
    said = _records_of(turn, given)
    text = await in_thread(clean, answer.text)
    said.append(Record("assistant", text, questions[-1].ts, outputs=progress.outputs))
    missed = () if services.engine.appends else owed(turn, request, answer, given.messages)
    content = external_content(turn, request, progress)
    if progress.holds_unkept:
        await services.store.conversations.abandon(turn.claim)  # before it can be lost in a crash
    previous = await inbox.settle(
        turn.claim,
        answered=questions,
        records=said,
        usage=answer.usage,
        last_item_id=answer.last_item_id,
        runs=progress.runs,
        external=content.is_present,
        sources=content.sources,
        owed=missed,
        charges=services.charges.of(turn, answer, questions),
        reserved=services.charges.reserved(questions),
        answer_ts=rated_ts,
    )
    if progress.holds_unkept and turn.conversation is not None:
        await delete_now(services.store, services.engine, turn.conversation)
    return previous


def asked(turn: Turn) -> list[Record]:
    """The record of a turn whose answer cannot be posted: its conversation may hold what people
    said, who may delete it later."""
    given = turn.recall(steps.ENGINE_INPUT)
    return _records_of(turn, given) if given else []


def _records_of(turn: Turn, given: EngineInput) -> list[Record]:
    kept = turn.recall(steps.KEPT_FILES) or {}
    said = [Record("user", m.text, m.ts, m.user_id, kept.get(m.ts, "")) for m in given.messages]
    return [*given.before, *said]


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
    own = (turn.recall(steps.REORDERED) or Reordered()).attempt
    rebuilt = (
        turn.recall(Generation(own).conversation) or (turn.recall(steps.GENERATION) or 0) > own
    )
    return messages if before is None or rebuilt else (*before.owed, *messages)
