"""A question on its way through the engine: preparation -> rounds of runs -> answer."""

from dataclasses import replace

from bot.errors import ConversationGone, RunFailed
from bot.models import Answer
from bot.slack.answer.reply import Reply
from bot.store import steps
from bot.store.journal import Turn
from bot.texts.answers import apology
from bot.turn.batch import Request
from bot.turn.conversation import start_over
from bot.turn.files_out import with_files
from bot.turn.interrupt import Interrupt
from bot.turn.prepare import prepare
from bot.turn.rounds import run_rounds
from bot.turn.services import Services
from bot.turn.start import append

CONVERSATIONS_PER_TURN = 2
"""A conversation that the engine lost is rebuilt once per turn."""


async def ask(
    turn: Turn, services: Services, request: Request, reply: Reply, interrupt: Interrupt
) -> Answer:
    """Get the engine's answer. A run that fails becomes an answer that says so.

    The usage is that of the last run alone.
    """
    if request.last.kind == "again":
        request = replace(request, messages=request.questions)
    try:
        for _ in range(CONVERSATIONS_PER_TURN):
            try:
                context, run_request = await prepare(turn, services, request, reply, interrupt)
                if services.engine.appends:
                    await append(context, run_request)
                ended = await run_rounds(context, run_request)
                return await with_files(turn, services, ended, interrupt.reason)
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
