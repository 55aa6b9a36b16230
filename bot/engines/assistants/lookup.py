"""Finds what an earlier attempt of a turn has left on the server."""

from contextlib import suppress

from bot.engines import RunRequest
from bot.engines.api import Api
from bot.engines.items import Item, fields, listed, text
from bot.engines.runs import text_of_message
from bot.errors import ConversationGone, RunFailed
from bot.models import Conversation, Json, Message

NEWEST_MESSAGES = 100
"""A turn has up to fifty questions, and as much context."""
NEWEST_RUNS = 20
NO_TEXT = "(a message without text)"
"""Sent for a message without text, which servers refuse."""


class Lookup:
    """Finds messages and runs by their metadata, or by text and age if a server stores none."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def find_message(self, conversation: Conversation, message: Message) -> Item | None:
        """The server's copy of a message of this turn. Its text decides only if metadata is not
        stored: the same text may occur in the history.
        """
        found = await self._messages_of_turn(conversation)
        user_messages = [entry for entry in found if entry.get("role") == "user"]
        for entry in user_messages:
            if metadata(entry).get("slack_ts") == message.ts:
                return entry
        alike = [m for m in user_messages if not metadata(m) and text_of_message(m) == message.text]
        if not alike:
            return None
        thread = await self._api.get("threads", conversation.id)
        return None if metadata(thread) else alike[-1]

    async def _messages_of_turn(self, conversation: Conversation) -> list[Json]:
        """The messages since the last turn that is known to have succeeded (in a restored state
        that may be long ago), or the newest hundred.
        """
        path, after = ("threads", conversation.id, "messages"), conversation.last_item_id
        if after:
            with suppress(RunFailed, ConversationGone):
                return await self._api.all(*path, keep=_if_from_user, order="asc", after=after)
        page = await self._api.get(*path, order="desc", limit=NEWEST_MESSAGES)
        return data(page)[::-1]

    async def find_run(self, request: RunRequest) -> Json | None:
        """The run of this turn. Without stored metadata: one that is not older than the turn's last
        message, since no message can be added while a run is active.
        """
        path = ("threads", request.conversation.id, "runs")
        listed_runs = data(await self._api.get(*path, order="desc", limit=NEWEST_RUNS))
        runs = [run for run in listed_runs if text(run.get("id")) not in request.failed]
        for run in runs:
            if metadata(run).get("turn") == request.turn_id:
                return run
        if not runs or not request.messages or metadata(runs[0]):
            return None
        last = await self.find_message(request.conversation, request.messages[-1])
        newest = max(runs, key=created_at)
        is_ours = last is not None and created_at(newest) >= created_at(last)
        return newest if is_ours else None


def _if_from_user(message: Json) -> Json | None:
    return message if message.get("role") == "user" else None


def created_at(thing: Item) -> float:
    """When it was created, in epoch seconds; 0 if the server does not say."""
    value = thing.get("created_at")
    return float(value) if isinstance(value, int | float) else 0.0


def data(page: Json) -> list[Json]:
    """The objects of a page; anything else is left out."""
    return [entry for entry in listed(page.get("data")) if isinstance(entry, dict)]


def metadata(thing: Item) -> Item:
    """The metadata of a message or run; one server uses another name for it."""
    return fields(thing.get("metadata") or thing.get("metadata_"))
