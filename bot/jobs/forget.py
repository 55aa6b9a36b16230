"""Deletes a person's conversations: here immediately, on the server as soon as it confirms."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bot.engines import Engine
from bot.errors import BotError, Retry, StoreUnavailable, Superseded
from bot.models import Conversation, Message
from bot.store import Store, Turn
from bot.store.archive import Orphan
from bot.store.steps import forgotten_conversations, unconfirmed_deletions
from bot.telemetry.log import log
from bot.upkeep.remote_deletion import delete_remotely

BATCH = 100
COME_BACK_AFTER = 2.0
DELETE_SECONDS = 5.0
"""Timeout for deleting one conversation on the server while a person waits."""
BUSY = "threads_busy"
"""The reason why a deletion is not complete yet."""
MAX_FAILURES = 3
"""After this many failures in a row the rest is left to the sweep."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """The number of conversations deleted here, and of those that the server has not confirmed."""

    count: int
    unconfirmed: int


async def forget_conversations(
    turn: Turn, store: Store, engine: Engine, user_id: str, found: Sequence[Conversation]
) -> Forgotten:
    """Delete some conversations of a person.

    A running turn is stopped and its thread tried again: raises Retry until none is left. The
    counts are kept in the journal, so that they include earlier attempts.
    """
    counted, unconfirmed = forgotten_conversations(user_id), unconfirmed_deletions(user_id)
    busy: list[Conversation] = []
    for start in range(0, len(found), BATCH):
        batch = found[start : start + BATCH]
        fates = await store.archive.forget(batch)
        gone = [c for c, fate in zip(batch, fates, strict=True) if fate == "archived"]
        busy += [c for c, fate in zip(batch, fates, strict=True) if fate == "busy"]
        await turn.note(counted, (turn.recall(counted) or 0) + len(gone))
        if left := await _delete_all(store, engine, gone):
            await store.archive.note_unconfirmed(turn.claim.thread.team_id, user_id, left)
            await turn.note(unconfirmed, (turn.recall(unconfirmed) or 0) + len(left))
    for conversation in busy:
        await store.inbox.interrupt(conversation.thread, "stop")
    if busy:
        raise Retry(BUSY, after=COME_BACK_AFTER, counts=False)
    return Forgotten(turn.recall(counted) or 0, turn.recall(unconfirmed) or 0)


async def leave_conversations(
    store: Store, user_id: str, found: Sequence[Conversation], job: Message
) -> None:
    """Request the removal of a person's messages from shared conversations, thread by thread."""
    for conversation in found:
        thread = conversation.thread
        await store.inbox.deliver(
            Message(
                thread,
                f"{time.time():.6f}",
                user_id,
                user_id,
                event_id=f"forget:{thread.key}:{job.event_id or job.ts}",
                kind="retract",
            )
        )


async def forget_dead_letters(store: Store, team_id: str, user_id: str) -> None:
    """Remove a person's messages from the dead letters; other people's stay."""
    for letter in await store.dead.list():
        others = tuple(m for m in letter.messages if m.user_id != user_id)
        if letter.thread.team_id != team_id or len(others) == len(letter.messages):
            continue
        await store.dead.keep_only(letter, others)


async def _delete_all(store: Store, engine: Engine, gone: Sequence[Conversation]) -> list[Orphan]:
    """Delete conversations on the server; returns those that it has not confirmed."""
    failures, unconfirmed = 0, list[Orphan]()
    for conversation in gone:
        if failures < MAX_FAILURES and await delete_now(store, engine, conversation):
            failures = 0
        else:
            failures += 1
            unconfirmed.append(Orphan(conversation.engine, conversation.id))
    return unconfirmed


async def delete_now(store: Store, engine: Engine, conversation: Conversation) -> bool:
    """Delete a forgotten conversation on the server.

    Returns False if the server does not confirm it: it stays an orphan, and the sweep retries.
    """
    if not conversation.id:
        return True
    if conversation.engine != engine.name:
        return False
    orphan = Orphan(conversation.engine, conversation.id)
    try:
        await delete_remotely(store, engine, orphan, DELETE_SECONDS)
    except (StoreUnavailable, Superseded):
        raise
    except (BotError, TimeoutError) as error:
        log.warning("orphan_kept", error=str(error)[:100] or "timeout")
        return False
    await store.archive.drop_orphans([orphan])
    return True
