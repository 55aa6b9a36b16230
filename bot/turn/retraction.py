"""What people have deleted leaves the conversation, on the server and in our own record."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from bot.engines import Engine
from bot.errors import ConversationGone
from bot.models import Message
from bot.store import Store
from bot.store.journal import Turn
from bot.store.steps import retraction


async def retract(turn: Turn, store: Store, engine: Engine, orders: Iterable[Message]) -> None:
    """Carry out orders of the kind `retract`, whose text is the ts of what is to go."""
    for order in orders:
        await _retract(turn, store, engine, order)


async def _retract(turn: Turn, store: Store, engine: Engine, order: Message) -> None:
    conversation, ts = turn.claim.conversation, order.text

    async def work(again: bool) -> bool:
        history = await store.conversations.history(turn.claim.thread)
        if conversation is not None and conversation.engine == engine.name:
            with suppress(ConversationGone):  # it will be rebuilt without the message
                await engine.retract(conversation, history, ts, again=again)
        await store.conversations.retract(turn.claim, ts)
        return True

    await turn.once(retraction(order.ts), work)
    if conversation is not None:
        owed = tuple(message for message in conversation.owed if message.ts != ts)
        turn.claim = replace(turn.claim, conversation=replace(conversation, owed=owed))
