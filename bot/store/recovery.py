"""Recovery of turns under way when Redis came back with an older state: a restored backup, a
lagging replica, a server that lost its last writes."""

import json

from bot.models import Message, encode
from bot.store.connection import Connection
from bot.store.conversations import fields_of
from bot.store.inbox_part import SEEN_SECONDS
from bot.store.journal import Turn
from bot.store.keys import Keys


async def reinstate(connection: Connection, keys: Keys, turn: Turn) -> bool:
    """Write a turn's messages, journal and conversation back, so that it resumes at the same step.

    Returns whether the claim is still valid; otherwise the turn is ready to be claimed, or it has
    ended already.
    """
    claim, conversation = turn.claim, turn.conversation
    outcome = await connection.run(
        "reinstate",
        claim.thread,
        {"seen": [mark for message in claim.messages for mark in keys.seen(message)]},
        claim=claim.fence,
        name=claim.thread.key,
        id=turn.id,
        taken_at=f"{claim.taken_at:.6f}",
        attempts=claim.attempt,
        crashes=claim.crashes,
        seen_seconds=SEEN_SECONDS,
        stamps=json.dumps([message.ts for message in claim.messages]),
        texts=json.dumps([encode(message, Message) for message in claim.messages]),
        conversation_fields=json.dumps(fields_of(conversation) if conversation else []),
        fields=[part for field in turn.journal.items() for part in field],
    )
    return bool(outcome == "held")
