"""Conversations of the Responses protocol: filling, reading, repairing and deleting them."""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from bot.calls import FunctionOutput
from bot.engines.api import Api
from bot.engines.functions import closing_items, pairs
from bot.engines.items import Item, fields, is_message, parts_of, text, text_of
from bot.engines.retraction import MESSAGE_NOT_FOUND, Occurrence
from bot.errors import ConversationGone, RunFailed
from bot.models import Conversation, Json, Message, Record, Thread
from bot.telemetry.log import log

ITEMS_PER_CALL = 20
NEWEST_ITEMS = 100
DELETES = 10

_HISTORY = "history"
_UNSUPPORTED = re.compile(
    r"conversations?\b.{0,60}\b(?:not|un)[ -]?(?:supported|implemented|available|enabled)"
    r"|(?:not support|unknown|invalid) (?:path|url|route|endpoint|the conversations)",
    re.IGNORECASE,
)
"""Texts with which servers without conversations answer 400."""


async def create(api: Api, thread: Thread, user_id: str, history: Sequence[Record]) -> str:
    """Open a conversation that holds `history`. Its length goes into the metadata, so that a later
    reader can tell history from what turns have added.

    Raises RunFailed("endpoint_not_found") where the server keeps no conversations at all.
    """
    items = [item for record in history for item in _as_items(record)]
    metadata = {
        "slack_team": thread.team_id,
        "slack_channel": thread.channel_id,
        "slack_thread_ts": thread.thread_ts,
        "slack_user": user_id,
        "created_at": str(int(time.time())),
        _HISTORY: str(len(items)),
    }
    body = {"items": items[:ITEMS_PER_CALL], "metadata": metadata}
    try:
        created = await api.post("conversations", body=body, missing="endpoint")
    except RunFailed as error:
        if error.reason == "bad_request" and _UNSUPPORTED.search(error.detail):
            raise RunFailed("failed", "endpoint_not_found", detail=error.detail) from None
        raise
    conversation_id = text(created.get("id"))
    if not conversation_id:
        # LM Studio answers 200 to unknown paths.
        raise RunFailed("failed", "endpoint_not_found")
    await _store(api, conversation_id, items[ITEMS_PER_CALL:])
    return conversation_id


async def _store(api: Api, conversation_id: str, items: Sequence[Json]) -> None:
    for start in range(0, len(items), ITEMS_PER_CALL):
        batch = {"items": items[start : start + ITEMS_PER_CALL]}
        await api.post("conversations", conversation_id, "items", body=batch)


def _as_items(record: Record) -> list[Json]:
    """The calls that were made on the way to an answer come before it."""
    message = {"type": "message", "role": record.role, "content": _content(record)}
    return [*pairs(record.outputs), message]


def _content(record: Record) -> str | list[dict[str, str]]:
    """The text, and as a separate part what is kept of the files."""
    if not record.files:
        return record.text
    return [{"type": "input_text", "text": text} for text in (record.text, record.files)]


async def items_after(
    api: Api,
    conversation_id: str,
    item_id: str,
    keep: Callable[[Json], Json | None] = lambda item: item,
) -> list[Item]:
    """All items behind `item_id` ("": behind nothing), in order; of each what `keep` keeps."""
    path = ("conversations", conversation_id, "items")
    return list(await api.all(*path, keep=keep, after=item_id, order="asc"))


async def newest_items(api: Api, conversation_id: str) -> list[Item]:
    """The newest hundred items, in order."""
    path = ("conversations", conversation_id, "items")
    found: list[Item] = list(await api.all(*path, most=NEWEST_ITEMS, order="desc"))
    return found[::-1]


async def items_of_turn(api: Api, conversation: Conversation) -> list[Item]:
    """The items added to the conversation since the last turn that is known to have succeeded."""
    if conversation.last_item_id:
        try:
            return await items_after(api, conversation.id, conversation.last_item_id)
        except (RunFailed, ConversationGone):
            # The server no longer has the item, or the conversation: the next call shows which.
            return await newest_items(api, conversation.id)
    found = await api.get("conversations", conversation.id)
    items = await items_after(api, conversation.id, "")
    return items[_history_of(found) :]


def _history_of(conversation: Item) -> int:
    try:
        return max(0, int(text(fields(conversation.get("metadata")).get(_HISTORY)) or 0))
    except ValueError:
        return 0


def find_messages(items: Sequence[Item], messages: Sequence[Message]) -> tuple[int, int]:
    """How many of `messages`, from the first on, are the newest messages of people there, and the
    index of the last of them (-1: none).
    """
    indexes = [index for index, item in enumerate(items) if is_message(item, "user")]
    texts = [words_of(items[index]) for index in indexes]
    wanted = [message.text for message in messages]
    for count in range(min(len(wanted), len(indexes)), 0, -1):
        if texts[-count:] == wanted[:count]:
            return count, indexes[-1]
    return 0, -1


async def missing_outputs(
    api: Api, conversation_id: str, outputs: Sequence[FunctionOutput] = ()
) -> list[Json]:
    """An output for every call that has none: with such a call the server refuses every turn."""
    return closing_items(await newest_items(api, conversation_id), outputs)


async def close_calls(api: Api, conversation_id: str, outputs: Sequence[FunctionOutput]) -> None:
    """Store the outputs of calls that have none. Raises what the server refuses."""
    items = await missing_outputs(api, conversation_id, outputs)
    await _store(api, conversation_id, items)


async def retract(api: Api, conversation_id: str, place: Occurrence, *, again: bool) -> None:
    """Delete the item of a message that a person deleted.

    Raises RunFailed if it is still there, or was not found: it may be there in other words.
    """

    def if_alike(item: Json) -> Json | None:
        is_alike = is_message(item, "user") and words_of(item) == place.text
        return {"id": item.get("id")} if is_alike else None

    alike = await items_after(api, conversation_id, "", if_alike)
    item = place.among(alike, again=again)
    if item is not None:
        await _delete_item(api, conversation_id, text(item.get("id")))
        await check_deleted(api, "conversations", conversation_id, "items", text(item.get("id")))
    elif not (again and alike):
        raise RunFailed("failed", MESSAGE_NOT_FOUND)


def words_of(message: Item) -> str:
    """A person's text: it comes first in a message, the files follow."""
    return "".join(text_of(part) for part in parts_of(message)[:1])


def _only_id(item: Json) -> Json:
    return {"id": item.get("id")}


async def erase(api: Api, conversation_id: str) -> None:
    """Delete all items, then the conversation: a server may keep the items of a deleted one."""
    try:
        items = await items_after(api, conversation_id, "", _only_id)
    except ConversationGone:
        return
    except RunFailed as error:
        if error.reason != "answer_too_large":
            raise
        log.warning("items_not_listed", reason=error.reason)
        items = []
    for start in range(0, len(items), DELETES):
        batch = items[start : start + DELETES]
        done = await asyncio.gather(
            *(_delete_item(api, conversation_id, text(item.get("id"))) for item in batch),
            return_exceptions=True,
        )
        for result in done:
            if isinstance(result, BaseException):
                raise result
    with suppress(ConversationGone):
        await api.delete("conversations", conversation_id)
    await check_deleted(api, "conversations", conversation_id)


async def check_deleted(api: Api, *path: str) -> None:
    """Raise RunFailed if a conversation, item or response is still there.

    Some servers answer 200 but keep it, or 404 because they cannot delete at all.
    """
    try:
        await api.get(*path)
    except ConversationGone:
        return
    except RunFailed as error:
        if error.reason != "answer_too_large":
            return
    raise RunFailed("failed", "not_deleted")


async def delete_items(api: Api, conversation_id: str, items: Sequence[Item]) -> None:
    """Delete some items. Raises ConversationGone if the server keeps one of them."""
    try:
        for item in items:
            await _delete_item(api, conversation_id, text(item.get("id")))
            await check_deleted(
                api, "conversations", conversation_id, "items", text(item.get("id"))
            )
    except RunFailed:
        raise ConversationGone(conversation_id) from None


async def _delete_item(api: Api, conversation_id: str, item_id: str) -> None:
    try:
        await api.delete("conversations", conversation_id, "items", item_id)
    except ConversationGone:
        return
