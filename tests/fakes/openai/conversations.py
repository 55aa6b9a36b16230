"""The routes of Conversations and their items."""

from typing import Any

from aiohttp import web
from openai.types.conversations import (
    conversation_create_params,
    conversation_update_params,
    item_create_params,
)

from .answers import Json
from .errors import conversation_locked, no_conversation, no_such_url, not_found
from .items import from_input
from .limits import too_many
from .pages import page
from .state import BODY, Conversation, State

MAX_ITEMS = 20
_ITEMS_URL = "/conversations/{conversation_id}/items"


class Conversations:
    """Handlers over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        one, items = "/v1/conversations/{conversation_id}", f"/v1{_ITEMS_URL}"
        return [
            web.post("/v1/conversations", self.create),
            web.get(one, self.retrieve),
            web.post(one, self.update),
            web.delete(one, self.delete),
            web.post(items, self.create_items),
            web.get(items, self.list_items),
            web.get(items + "/{item_id}", self.retrieve_item),
            web.delete(items + "/{item_id}", self.delete_item),
        ]

    async def create(self, request: web.Request) -> web.Response:
        self._must_be_served(request)
        body = self._state.check_body(
            request[BODY] or {},
            conversation_create_params.ConversationCreateParams,
            "CreateConversationBody",
        )
        conversation = Conversation(
            self._state.new_id("conv"), body.get("metadata") or {}, self._state.now()
        )
        conversation.items.extend(self._new_items(body.get("items") or []))
        self._state.conversations[conversation.id] = conversation
        return web.json_response(conversation.as_json())

    async def retrieve(self, request: web.Request) -> web.Response:
        return web.json_response(self._find(request).as_json())

    async def update(self, request: web.Request) -> web.Response:
        conversation = self._find(request)
        body = self._state.check_body(
            request[BODY],
            conversation_update_params.ConversationUpdateParams,
            "UpdateConversationBody",
        )
        conversation.metadata = body["metadata"] or {}
        return web.json_response(conversation.as_json())

    async def delete(self, request: web.Request) -> web.Response:
        conversation = self._find(request)
        del self._state.conversations[conversation.id]
        deleted = {"id": conversation.id, "object": "conversation.deleted", "deleted": True}
        return web.json_response(deleted)

    async def create_items(self, request: web.Request) -> web.Response:
        conversation = self._find(request)
        body = self._state.check_body(
            request[BODY], item_create_params.ItemCreateParams, _ITEMS_URL
        )
        if conversation.active is not None and self._state.options.lock:
            raise conversation_locked()
        items = self._new_items(body["items"])
        conversation.items.extend(items)
        return web.json_response(page(items, {"order": "asc"}))

    async def list_items(self, request: web.Request) -> web.Response:
        return web.json_response(page(self._find(request).items, request.query))

    async def retrieve_item(self, request: web.Request) -> web.Response:
        return web.json_response(self._find_item(request, self._find(request)))

    async def delete_item(self, request: web.Request) -> web.Response:
        conversation = self._find(request)
        conversation.items.remove(self._find_item(request, conversation))
        return web.json_response(conversation.as_json())

    def _new_items(self, given: list[Any]) -> list[Json]:
        if len(given) > MAX_ITEMS:
            raise too_many("items", MAX_ITEMS, len(given))
        return from_input(given, self._state.new_id)

    def _must_be_served(self, request: web.Request) -> None:
        if not self._state.options.conversations:
            raise no_such_url(request.method, request.path)

    def _find(self, request: web.Request) -> Conversation:
        self._must_be_served(request)
        conversation_id = request.match_info["conversation_id"]
        conversation = self._state.conversations.get(conversation_id)
        if conversation is None:
            raise no_conversation(conversation_id)
        return conversation

    @staticmethod
    def _find_item(request: web.Request, conversation: Conversation) -> Json:
        item_id = request.match_info["item_id"]
        for item in conversation.items:
            if item["id"] == item_id:
                return item
        raise not_found(f"Item with id '{item_id}' not found.")
