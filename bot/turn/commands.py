"""The commands of people in a thread that need no run: reset, and stop."""

from bot.jobs.forget import delete_now
from bot.models import Answer, Conversation
from bot.store import steps
from bot.store.hold import record_deletion
from bot.store.journal import Turn
from bot.texts import hold
from bot.texts.answers import FRESH_START, NOTHING_TO_ANSWER, NOTHING_TO_FORGET, stopped
from bot.texts.commands import with_prefix
from bot.turn.batch import Request
from bot.turn.services import Services


async def carry_out(turn: Turn, services: Services, request: Request) -> Answer | None:
    """Carry out the command that a turn ends with; None if it ends with a question."""
    match request.last.kind:
        case "reset":
            return await reset(turn, services, request)
        case "stop":
            return Answer(stopped(""), outcome="cancelled", reason="stop")
        case "again" if request.questions[-1].kind == "again" and request.conversation is None:
            return Answer(NOTHING_TO_ANSWER, outcome="nothing")
    return None


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
