"""Conversations of the Responses protocol: filling, looking into, mending and erasing them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from openai import AsyncOpenAI, omit

from bot.engines.answer import Item, is_message, parts_of, text_of
from bot.engines.client import LOOK
from bot.engines.errors import vendor_errors
from bot.engines.retraction import Place
from bot.errors import ConversationGone, RunFailed
from bot.models import Conversation, Message, Record, Thread

ITEMS_PER_CALL = 20
PAGE = 100
DELETES = 10

_HISTORY = "history"
_OUTPUTS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
}


async def create(
    client: AsyncOpenAI, thread: Thread, user_id: str, history: Sequence[Record]
) -> str:
    """Open a conversation that holds `history`. How much that is stays in its metadata, so that
    a later look can tell history from what turns have added.

    Raises RunFailed("endpoint_not_found") where the server keeps no conversations at all.
    """
    items: list[Any] = [
        {"type": "message", "role": record.role, "content": record.text} for record in history
    ]
    metadata = {
        "slack_team": thread.team_id,
        "slack_channel": thread.channel_id,
        "slack_thread_ts": thread.thread_ts,
        "slack_user": user_id,
        "created_at": str(int(time.time())),
        _HISTORY: str(len(items)),
    }
    with vendor_errors(missing="endpoint"):
        conversation = await client.conversations.create(
            items=items[:ITEMS_PER_CALL], metadata=metadata
        )
    if not getattr(conversation, "id", None):
        # LM Studio answers 200 to what it does not know.
        raise RunFailed("failed", "endpoint_not_found")
    for start in range(ITEMS_PER_CALL, len(items), ITEMS_PER_CALL):
        with vendor_errors():
            await client.conversations.items.create(
                conversation.id, items=items[start : start + ITEMS_PER_CALL]
            )
    return conversation.id


async def items_after(client: AsyncOpenAI, conversation_id: str, item_id: str) -> list[Item]:
    """All items behind `item_id` ("": behind nothing), in order."""
    with vendor_errors():
        pages = client.conversations.items.list(
            conversation_id, after=item_id or omit, order="asc", limit=PAGE, timeout=LOOK
        )
        return [item async for item in pages]


async def newest_items(client: AsyncOpenAI, conversation_id: str) -> list[Item]:
    """The newest hundred items, in order."""
    with vendor_errors():
        page = await client.conversations.items.list(
            conversation_id, order="desc", limit=PAGE, timeout=LOOK
        )
    return list(reversed(page.data))


async def items_of_turn(client: AsyncOpenAI, conversation: Conversation) -> list[Item]:
    """What came into the conversation since the last turn that is known to have succeeded."""
    if conversation.last_item_id:
        try:
            return await items_after(client, conversation.id, conversation.last_item_id)
        except (RunFailed, ConversationGone):
            # The server does not know the item, or the conversation: the next call tells.
            return await newest_items(client, conversation.id)
    with vendor_errors():
        found = await client.conversations.retrieve(conversation.id, timeout=LOOK)
    metadata: Any = found.metadata or {}
    items = await items_after(client, conversation.id, "")
    return items[int(metadata.get(_HISTORY) or 0) :]


def find_messages(items: Sequence[Item], messages: Sequence[Message]) -> tuple[int, int]:
    """How many of `messages`, from the first on, are the newest that people wrote there, and where
    the last of these stands (-1: none is there).
    """
    said = [index for index, item in enumerate(items) if is_message(item, "user")]
    texts = [words_of(items[index]) for index in said]
    wanted = [message.text for message in messages]
    for count in range(min(len(wanted), len(said)), 0, -1):
        if texts[-count:] == wanted[:count]:
            return count, said[-1]
    return 0, -1


async def excuses(client: AsyncOpenAI, conversation_id: str) -> list[dict[str, Any]]:
    """An output for every call that has none: such a call lets the server refuse every turn."""
    items = await newest_items(client, conversation_id)
    answered = {item.call_id for item in items if item.type in _OUTPUTS.values()}
    return [
        {
            "type": _OUTPUTS[item.type],
            "call_id": item.call_id,
            "output": "error: this tool is not available",
        }
        for item in items
        if item.type in _OUTPUTS and item.call_id not in answered
    ]


async def retract(client: AsyncOpenAI, conversation_id: str, place: Place, *, again: bool) -> None:
    """Delete the item of a message that a person has deleted."""
    items = await items_after(client, conversation_id, "")
    alike = [item for item in items if is_message(item, "user") and words_of(item) == place.text]
    item = place.among(alike, again=again)
    if item is not None:
        await _delete_item(client, conversation_id, item.id)


def words_of(message: Item) -> str:
    """What a person wrote: the words come first in a message, its files behind them."""
    return "".join(text_of(part) for part in parts_of(message)[:1])


async def erase(client: AsyncOpenAI, conversation_id: str) -> None:
    """Delete all items, then the conversation, which the server would leave behind otherwise."""
    try:
        items = await items_after(client, conversation_id, "")
    except ConversationGone:
        return
    for start in range(0, len(items), DELETES):
        batch = items[start : start + DELETES]
        done = await asyncio.gather(
            *(_delete_item(client, conversation_id, item.id) for item in batch),
            return_exceptions=True,
        )
        for error in done:
            if isinstance(error, BaseException):
                raise error
    try:
        with vendor_errors():
            await client.conversations.delete(conversation_id)
    except ConversationGone:
        return


async def _delete_item(client: AsyncOpenAI, conversation_id: str, item_id: str) -> None:
    try:
        with vendor_errors():
            await client.conversations.items.delete(item_id, conversation_id=conversation_id)
    except ConversationGone:
        return
