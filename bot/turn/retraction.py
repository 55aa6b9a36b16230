"""Removes deleted messages from the conversation, on the server and in our record."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from bot.engines.retraction import MESSAGE_NOT_FOUND
from bot.errors import BotError, ConversationGone, RunFailed, StoreUnavailable, Superseded
from bot.jobs.forget import delete_now
from bot.models import Conversation, Message
from bot.store.hold import record_deletion
from bot.store.journal import Turn
from bot.store.steps import retraction
from bot.telemetry.log import log
from bot.turn.services import Services

DELETE_SECONDS = 10.0
"""Timeout for deleting a message on the server; after that the conversation is replaced."""


async def retract(
    turn: Turn, services: Services, commands: Sequence[Message]
) -> Conversation | None:
    """Carry out commands of the kind `retract`; a legal hold keeps them until it ends.

    The text of a command is the ts of the deleted message, or the id of a person whose messages are
    all to be removed. Returns the thread's conversation afterwards.
    """
    if not commands:
        return turn.claim.conversation
    is_held = await services.store.hold.is_on()
    for command in commands:
        record_deletion(
            command, "message" if command.text[:1].isdigit() else "person", held=is_held
        )
        if is_held:
            await services.store.hold.keep(command)
        else:
            await _retract(turn, services, command)
    if is_held:
        return turn.claim.conversation
    conversation = await services.store.conversations.find(turn.claim.thread)
    if conversation is None:
        return None
    gone = {command.text for command in commands}
    owed = (m for m in conversation.owed if m.ts not in gone and m.user_id not in gone)
    return replace(conversation, owed=tuple(owed))


async def _retract(turn: Turn, services: Services, command: Message) -> None:
    conversations = services.store.conversations

    async def forget_person(_: bool) -> bool:
        await conversations.forget_person(turn.claim, command.text)
        if before := turn.claim.conversation:
            return await delete_now(services.store, services.engine, before)
        return True

    async def forget_message(again: bool) -> bool:
        deleted = await _delete_message(turn, services, command.text, again=again)
        await conversations.retract(turn.claim, command.text)
        await services.store.dead.withdraw(command.thread, command.text)
        if not deleted:
            await conversations.abandon(turn.claim)
        return deleted

    is_person = not command.text[:1].isdigit()
    await turn.once(retraction(command.ts), forget_person if is_person else forget_message)


async def _delete_message(turn: Turn, services: Services, ts: str, *, again: bool) -> bool:
    """Delete the message on the server; returns whether it is gone.

    The model must not keep the message even if the server refuses: if this returns False, the
    thread continues in a new conversation, and the old one becomes an orphan.
    """
    conversation, engine = turn.claim.conversation, services.engine
    if conversation is None or conversation.engine != engine.name:
        return True
    history = await services.store.conversations.history(turn.claim.thread)
    known = any(record.ts == ts for record in history)
    if not known or any(record.evicted for record in history):
        return False  # the server's copy is found by its text
    try:
        async with asyncio.timeout(DELETE_SECONDS):
            await engine.retract(conversation, history, ts, again=again)
    except ConversationGone:
        return True  # rebuilt without the message
    except (StoreUnavailable, Superseded):
        raise
    except (BotError, TimeoutError) as error:
        if _is_not_found(error) and any(owed.ts == ts for owed in conversation.owed):
            return True  # it was never there, and is not sent any more
        reason = str(error)[:100] or "timeout"
        log.warning("message_not_deleted", thread=turn.claim.thread.key, error=reason)
        return False
    return True


def _is_not_found(error: Exception) -> bool:
    return isinstance(error, RunFailed) and error.reason == MESSAGE_NOT_FOUND
