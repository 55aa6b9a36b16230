"""Forgets a person's conversations, here and on the server, and counts them."""

from collections.abc import Sequence
from contextlib import suppress

from bot.engines import Engine
from bot.errors import ConversationGone, Retry, RunFailed
from bot.models import Conversation
from bot.store import Store, Turn
from bot.store.archive import Orphan
from bot.store.steps import forgotten_conversations
from bot.telemetry.log import log

BATCH = 100
COME_BACK_AFTER = 2.0


async def forget_conversations(
    turn: Turn, store: Store, engine: Engine, user_id: str, found: Sequence[Conversation]
) -> int:
    """Forget some conversations of a person; returns how many.

    A running turn is stopped and its thread is looked at again: raises Retry until none is left.
    The count is kept in the journal, so that it includes what earlier attempts forgot.
    """
    step = forgotten_conversations(user_id)
    busy: list[Conversation] = []
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        fates = await store.archive.forget(batch)
        gone = [c for c, fate in zip(batch, fates, strict=True) if fate == "archived"]
        busy += [c for c, fate in zip(batch, fates, strict=True) if fate == "busy"]
        await turn.note(step, (turn.recall(step) or 0) + len(gone))
        for conversation in gone:
            await _delete(store, engine, conversation)
    for conversation in busy:
        await store.inbox.interrupt(conversation.thread, "stop")
    if busy:
        raise Retry("threads_busy", after=COME_BACK_AFTER, counts=False)
    return turn.recall(step) or 0


async def forget_letters(store: Store, team_id: str, user_id: str) -> None:
    """Throw away the dead letters that hold words of a person."""
    for letter in await store.dead.list():
        writers = {message.user_id for message in letter.messages}
        if letter.thread.team_id == team_id and user_id in writers:
            await store.dead.drop(letter.id)


async def _delete(store: Store, engine: Engine, conversation: Conversation) -> None:
    """On the server; what cannot be deleted now stays among the orphans, for the sweep."""
    if conversation.engine != engine.name:
        return
    try:
        with suppress(ConversationGone):
            await engine.delete(conversation.id)
    except RunFailed as error:
        log.warning("orphan_kept", error=str(error)[:100])
        return
    await store.archive.bury([Orphan(conversation.engine, conversation.id)])
