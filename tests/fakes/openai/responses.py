"""The routes of Responses: create, poll, stream, cancel, delete."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from typing import Any

from aiohttp import web
from openai.types.responses import response_create_params

from .answers import Json, Prompt
from .errors import (
    ApiError,
    conversation_locked,
    invalid,
    no_conversation,
    not_found,
    too_long_for_context,
)
from .items import (
    count_tokens,
    find_unanswered_call,
    from_input,
    is_message_of,
    newest_outputs,
    text_of,
    without_sound,
)
from .limits import too_long
from .options import Options
from .pages import page
from .response_work import ResponseWork
from .sse import send_events
from .state import BODY, Conversation, State
from .work import Event

MAX_STRING = 10_485_760
MIN_OUTPUT_TOKENS = 16
INDEXES = ("output_index", "content_index", "sequence_number", "annotation_index")
FILES = frozenset({"input_image", "input_file", "input_audio"})


class Responses:
    """Handlers over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/responses", self.create),
            web.get("/v1/responses/{response_id}", self.retrieve),
            web.delete("/v1/responses/{response_id}", self.delete),
            web.post("/v1/responses/{response_id}/cancel", self.cancel),
            web.get("/v1/responses/{response_id}/input_items", self.input_items),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = request[BODY]
        self._state.check_body(
            without_sound(body) if self._options.hears else body,
            response_create_params.ResponseCreateParams,
            "CreateResponse",
        )
        self._check(body)
        work = self._open_work(body)
        if body.get("stream"):
            return await self._stream(request, work)
        if not body.get("background"):
            try:
                await work.over()
            except asyncio.CancelledError:  # the client hung up
                work.cancel()
                raise
        return web.json_response(work.body)

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        work = self._find(request)
        if request.query.get("stream") != "true":
            work.poll()
            return web.json_response(work.body)
        if not work.streams or not work.body["background"]:
            raise invalid("This response cannot be streamed: it was not created with stream=true.")
        return await send_events(request, work.follow_batches(_first_event(request)))

    async def cancel(self, request: web.Request) -> web.Response:
        work = self._find(request)
        if not work.body["background"]:
            status = 409 if self._options.error_style == "detail" else 400
            raise ApiError(status, "Cannot cancel a synchronous response.")
        if self._options.cancels == "late":
            work.finish()
        elif self._options.cancels:
            work.cancel()
        return web.json_response(work.body)

    async def delete(self, request: web.Request) -> web.Response:
        work = self._find(request)
        await work.aclose()
        work.cancel()
        del self._state.responses[work.id]
        return web.json_response({"id": work.id, "object": "response", "deleted": True})

    async def input_items(self, request: web.Request) -> web.Response:
        return web.json_response(page(self._find(request).given, request.query))

    def _check(self, body: Json) -> None:
        """Checks of the real server beyond the types."""
        if body.get("model") is None:
            raise _missing("model")
        if body.get("tools") and not self._options.takes_tools:
            raise invalid(f"{body['model']} does not support tools")
        self._check_tools(body)
        self._state.check_model(body["model"])
        if body.get("conversation") is not None and body.get("previous_response_id") is not None:
            raise invalid(
                "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. "
                "Ensure you are only providing one of them.",
                code="mutually_exclusive_parameters",
            )
        if not any(body.get(key) is not None for key in ("input", "conversation", "prompt")):
            raise _missing("input")
        if body.get("background") and body.get("store") is False:
            raise invalid("Background responses must be stored: 'store' must be true.")
        most = body.get("max_output_tokens")
        if most is not None and most < MIN_OUTPUT_TOKENS:
            raise invalid(
                f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= "
                f"{MIN_OUTPUT_TOKENS}, but got {most} instead.",
                code="integer_below_min_value",
                param="max_output_tokens",
            )
        self._check_lengths(body)
        self._check_temperature(body)
        if body.get("background") and body.get("stream") and not self._options.background_stream:
            raise invalid("'background' cannot be combined with 'stream'.")

    def _check_tools(self, body: Json) -> None:
        tools, choice = body.get("tools") or [], body.get("tool_choice")
        hosted = [tool["type"] for tool in tools if tool["type"] != "function"]
        if hosted and not self._options.hosted_tools:
            raise invalid(f"Unsupported tool type: {hosted[0]}", param="tools")
        if isinstance(choice, dict) and not self._options.allowed_tools:
            raise invalid("tool_choice: Input should be 'none', 'auto' or 'required'")

    def _check_lengths(self, body: Json) -> None:
        for name in ("input", "instructions"):
            text = body.get(name)
            if isinstance(text, str) and len(text) > MAX_STRING:
                raise too_long(name, MAX_STRING, len(text))

    def _check_temperature(self, body: Json) -> None:
        reasons = body["model"].startswith(("gpt-5", "gpt-6", "o1", "o3", "o4"))
        effort = (body.get("reasoning") or {}).get("effort")
        for name in ("temperature", "top_p"):
            if body.get(name) is not None and reasons and effort != "none":
                text = f"Unsupported parameter: '{name}' is not supported with this model."
                raise invalid(text, param=name)

    def _open_work(self, body: Json) -> ResponseWork:
        conversation = self._conversation(body.get("conversation"))
        memory = self._memory(conversation, body.get("previous_response_id"))
        given = self._resolve(from_input(body.get("input"), self._state.new_id), memory)
        self._check_files(given)
        unanswered = find_unanswered_call(memory, given)
        if unanswered is not None:
            raise unanswered
        memory = self._fit(body, memory, given)
        answer = self._state.decide(_prompt(body, conversation, memory, given))
        if not body.get("background"):
            answer = replace(answer, polls=None)
        work = ResponseWork(
            self._state,
            answer,
            self._new_body(body, conversation),
            given=given,
            memory=memory,
            conversation=conversation,
            streams=bool(body.get("stream")),
            stored=body.get("store") is not False,
            obfuscates=(body.get("stream_options") or {}).get("include_obfuscation", True),
        )
        self._state.responses[work.id] = work
        if conversation is not None:
            conversation.active = work
        work.open()
        work.start()
        return work

    def _conversation(self, given: Any) -> Conversation | None:
        if given is None:
            return None
        conversation_id = given if isinstance(given, str) else given["id"]
        conversation = self._state.conversations.get(conversation_id)
        if conversation is None or not self._options.conversations:
            raise no_conversation(conversation_id)
        if conversation.active is not None and self._options.lock:
            raise conversation_locked()
        return conversation

    def _memory(self, conversation: Conversation | None, previous: str | None) -> list[Json]:
        if conversation is not None:
            return list(conversation.items)
        if previous is None:
            return []
        work = self._state.responses.get(previous)
        if not isinstance(work, ResponseWork) or not work.stored:
            raise ApiError(
                404 if self._options.error_style == "detail" else 400,
                f"Previous response with id '{previous}' not found.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        return [*work.memory, *work.given, *work.body["output"]]

    def _resolve(self, given: list[Json], memory: list[Json]) -> list[Json]:
        """The items without references to items that the history already holds."""
        known = {item["id"] for item in memory}
        for item in given:
            if item["type"] == "item_reference" and item["id"] not in known:
                raise not_found(f"Item with id '{item['id']}' not found.", param="input")
        return [item for item in given if item["type"] != "item_reference"]

    def _check_files(self, given: Iterable[Json]) -> None:
        for item in given:
            for part in item.get("content") or [] if item["type"] == "message" else []:
                if part["type"] in FILES and not self._options.takes_files:
                    raise ApiError(self._options.file_status, "file input is not supported")
                file_id = part.get("file_id")
                if file_id is not None and file_id not in self._state.files:
                    raise invalid(f"The file '{file_id}' was not found.", param="input")

    def _fit(self, body: Json, memory: list[Json], given: list[Json]) -> list[Json]:
        """The history for the model, truncated at its start if the request allows that."""
        window, instructions = self._options.context_window, body.get("instructions") or ""
        memory = list(memory)
        while count_tokens([*memory, *given], instructions) > window:
            if body.get("truncation") != "auto" or not memory:
                raise too_long_for_context()
            del memory[0]
        return memory

    def _new_body(self, body: Json, conversation: Conversation | None) -> Json:
        linked = conversation is not None and self._options.response_conversation
        return {
            "id": self._state.new_id("resp"),
            "object": "response",
            "created_at": self._state.now(),
            "completed_at": None,
            "status": "queued" if body.get("background") else "in_progress",
            "background": bool(body.get("background")),
            "error": None,
            "incomplete_details": None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "max_tool_calls": body.get("max_tool_calls"),
            "model": body["model"],
            "output": [],
            "parallel_tool_calls": body.get("parallel_tool_calls", True),
            "previous_response_id": body.get("previous_response_id"),
            "conversation": {"id": conversation.id} if conversation and linked else None,
            "prompt_cache_key": body.get("prompt_cache_key"),
            "reasoning": body.get("reasoning") or {"effort": None, "summary": None},
            "safety_identifier": body.get("safety_identifier"),
            "service_tier": body.get("service_tier") or "default",
            "store": body.get("store") is not False,
            "temperature": body.get("temperature", 1.0),
            "text": body.get("text") or {"format": {"type": "text"}},
            "tool_choice": body.get("tool_choice", "auto"),
            "tools": body.get("tools", []),
            "top_p": body.get("top_p", 1.0),
            "truncation": body.get("truncation") or "disabled",
            "usage": None,
            "user": None,
            "metadata": body.get("metadata") or {},
        }

    async def _stream(self, request: web.Request, work: ResponseWork) -> web.StreamResponse:
        try:
            return await send_events(request, self._batches(work))
        except (asyncio.CancelledError, ConnectionError):
            if not work.body["background"]:
                work.cancel()
            raise

    async def _batches(self, work: ResponseWork) -> AsyncIterator[list[Event]]:
        async for batch in work.follow_batches():
            yield batch if self._options.indexes else [_without_indexes(event) for event in batch]

    def _find(self, request: web.Request) -> ResponseWork:
        response_id = request.match_info["response_id"]
        work = self._state.responses.get(response_id)
        if not isinstance(work, ResponseWork) or not work.stored:
            raise not_found(f"Response with id '{response_id}' not found.")
        return work

    @property
    def _options(self) -> Options:
        return self._state.options


def _without_indexes(event: Event) -> Event:
    data = {key: value for key, value in event.data.items() if key not in INDEXES}
    return Event(event.name, data)


def _prompt(
    body: Json, conversation: Conversation | None, memory: list[Json], given: list[Json]
) -> Prompt:
    everything = [*memory, *given]
    return Prompt(
        protocol="responses",
        body=body,
        conversation_id=conversation.id if conversation else None,
        model=body["model"],
        instructions=body.get("instructions") or "",
        user_messages=tuple(text_of(item) for item in everything if is_message_of(item, "user")),
        turn=1 + sum(is_message_of(item, "assistant") for item in memory),
        outputs=newest_outputs(given),
    )


def _first_event(request: web.Request) -> int:
    seen = request.query.get("starting_after")
    if seen is None:
        return 0
    if not seen.isdigit():
        text = f"Invalid type for 'starting_after': expected an integer, but got {seen!r} instead."
        raise invalid(text, code="invalid_type", param="starting_after")
    return int(seen) + 1


def _missing(name: str) -> ApiError:
    text = f"Missing required parameter: '{name}'."
    return invalid(text, code="missing_required_parameter", param=name)
