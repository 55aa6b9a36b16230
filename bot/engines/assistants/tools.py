"""The tools of a run: ours, the built-in ones, and the assistant's own."""

import time
from contextlib import suppress

from bot.engines import RunRequest
from bot.engines.api import Api
from bot.engines.functions import nested_tool_fields
from bot.engines.items import fields, listed
from bot.errors import ConversationGone, RunFailed
from bot.models import Json
from bot.telemetry.log import log

OWN_TOOLS_SECONDS = 300.0
BUILT_IN = frozenset({"code_interpreter", "file_search"})
"""The built-in tools of this protocol."""
MOST_SEARCHABLE = 10_000


class Tools:
    """The tools that one assistant's runs get."""

    def __init__(self, api: Api, assistant_id: str) -> None:
        self._api = api
        self._assistant_id = assistant_id
        self._known_tools: list[Json] = []
        self._own_tools_until = 0.0
        self._searchable: dict[str, None] = {}
        """Threads that have their vector store, oldest first."""

    async def fields_of(self, request: RunRequest) -> Json:
        """Our functions and built-in tools, besides the assistant's own tools, which they would
        replace."""
        given = nested_tool_fields(request)
        tools = [{"type": tool["type"]} for tool in request.hosted if tool["type"] in BUILT_IN]
        if tools:
            await self._attach_stores(request)
        tools += given.get("tools", [])
        if tools:
            own = [tool for tool in await self._own_tools() if {"type": tool["type"]} not in tools]
            given["tools"] = [*own, *tools]
        return given

    async def _attach_stores(self, request: RunRequest) -> None:
        """Let the thread's runs search the vector stores: a thread may have one."""
        ids = [id for tool in request.hosted for id in tool.get("vector_store_ids", ())][:1]
        thread_id = request.conversation.id
        if not ids or thread_id in self._searchable:
            return
        resources = {"file_search": {"vector_store_ids": ids}}
        try:
            await self._api.post("threads", thread_id, body={"tool_resources": resources})
        except (RunFailed, ConversationGone) as error:
            log.warning("vector_store_not_attached", error=str(error)[:100])
        self._searchable[thread_id] = None
        while len(self._searchable) > MOST_SEARCHABLE:
            del self._searchable[next(iter(self._searchable))]

    async def _own_tools(self) -> list[Json]:
        """The assistant's tools except functions, for which outputs cannot be submitted here."""
        if time.monotonic() >= self._own_tools_until:
            found: Json = {}
            with suppress(RunFailed, ConversationGone):
                found = await self._api.get("assistants", self._assistant_id, missing="assistant")
            tools = [dict(tool) for tool in map(fields, listed(found.get("tools")))]
            self._known_tools = [tool for tool in tools if tool.get("type") != "function"]
            self._own_tools_until = time.monotonic() + OWN_TOOLS_SECONDS
        return self._known_tools
