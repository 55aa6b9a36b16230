"""What people have deleted leaves the conversation, on the server and in our own record."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace

from bot.errors import ConversationGone
from bot.models import Conversation, Message
from bot.store.journal import Turn
from bot.store.steps import retraction
from bot.turn.services import Services


async def retract(turn: Turn, services: Services, orders: Iterable[Message]) -> Conversation | None:
    """Carry out orders of the kind `retract`, whose text is the ts of the deleted message.

    Returns the thread's conversation as it is afterwards.
    """
    conversation = turn.claim.conversation
    for order in orders:
        await _retract(turn, services, order)
        if conversation is not None:
            owed = tuple(message for message in conversation.owed if message.ts != order.text)
            conversation = replace(conversation, owed=owed)
    return conversation


async def _retract(turn: Turn, services: Services, order: Message) -> None:
    conversation, ts = turn.claim.conversation, order.text
    engine, conversations = services.engine, services.store.conversations

    async def work(again: bool) -> bool:
        history = await conversations.history(turn.claim.thread)
        if conversation is not None and conversation.engine == engine.name:
            with suppress(ConversationGone):  # it will be rebuilt without the message
                await engine.retract(conversation, history, ts, again=again)
        await conversations.retract(turn.claim, ts)
        return True

    await turn.once(retraction(order.ts), work)
