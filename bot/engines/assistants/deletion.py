"""Deletes messages and threads, and makes sure that they are gone."""

from collections.abc import Sequence
from contextlib import suppress

from bot.engines.api import Api
from bot.engines.assistants.lookup import NO_TEXT, metadata
from bot.engines.items import text
from bot.engines.retraction import find_place
from bot.engines.runs import text_of_message
from bot.errors import ConversationGone, RunFailed
from bot.models import Conversation, Record


async def retract(
    api: Api, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
) -> None:
    """Delete the message with this `ts`: by its metadata, else by its text and place."""
    place = find_place(history, ts)
    if place is None:
        return
    path = ("threads", conversation.id, "messages")
    said = [m for m in await api.all(*path, order="asc") if m.get("role") == "user"]
    marked = [message for message in said if metadata(message).get("slack_ts") == ts]
    alike = [m for m in said if text_of_message(m) == (place.text or NO_TEXT)]
    gone = marked[0] if marked else place.among(alike, again=again)
    if gone is not None:
        await _delete_message(api, *path, text(gone.get("id")))


async def delete_thread(api: Api, thread_id: str) -> None:
    """Raises RunFailed if the thread still exists, whatever the server answered."""
    with suppress(ConversationGone):
        await api.delete("threads", thread_id)
    try:
        await api.get("threads", thread_id)
    except (ConversationGone, RunFailed):
        return
    raise RunFailed("failed", "not_deleted")


async def _delete_message(api: Api, *path: str) -> None:
    """Raises RunFailed if the message still exists, whatever the server answered."""
    try:
        await api.delete(*path, missing="message")
    except RunFailed as error:
        if error.reason != "message_not_found":
            raise
    try:
        await api.get(*path, missing="message")
    except RunFailed:
        return
    raise RunFailed("failed", "not_deleted")
