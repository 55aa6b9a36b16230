"""Deletes messages and threads, and makes sure that they are gone."""

from collections.abc import Sequence
from contextlib import suppress

from bot.engines.api import Api
from bot.engines.assistants.lookup import NO_TEXT, metadata
from bot.engines.conversations import check_deleted
from bot.engines.items import text
from bot.engines.retraction import MESSAGE_NOT_FOUND, find_place
from bot.engines.runs import text_of_message
from bot.errors import ConversationGone, RunFailed
from bot.models import Conversation, Json, Record


async def retract(
    api: Api, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
) -> None:
    """Delete the message with this `ts`: by its metadata, else by its text and place.

    Raises RunFailed if it is still there, or was not found: it may be there in other words.
    """
    place = find_place(history, ts)
    if place is None:
        return
    path = ("threads", conversation.id, "messages")
    wanted = place.text or NO_TEXT

    def if_alike(message: Json) -> Json | None:
        is_marked = metadata(message).get("slack_ts") == ts
        is_alike = text_of_message(message) == wanted
        if message.get("role") != "user" or not (is_marked or is_alike):
            return None
        return {"id": message.get("id"), "is_marked": is_marked, "is_alike": is_alike}

    user_messages = await api.all(*path, keep=if_alike, order="asc")
    marked = [message for message in user_messages if message["is_marked"]]
    alike = [message for message in user_messages if message["is_alike"]]
    gone = marked[0] if marked else place.among(alike, again=again)
    if gone is not None:
        await _delete_message(api, *path, text(gone.get("id")))
    elif not (again and alike):
        raise RunFailed("failed", MESSAGE_NOT_FOUND)


async def delete_thread(api: Api, thread_id: str) -> None:
    """Raises RunFailed if the thread still exists, whatever the server answered."""
    with suppress(ConversationGone):
        await api.delete("threads", thread_id)
    await check_deleted(api, "threads", thread_id)


async def _delete_message(api: Api, *path: str) -> None:
    """Raises RunFailed if the message still exists, whatever the server answered."""
    try:
        await api.delete(*path, missing="message")
    except RunFailed as error:
        if error.reason != MESSAGE_NOT_FOUND:
            raise
    await check_deleted(api, *path)
