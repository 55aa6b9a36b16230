"""The route of chat completions, over the same work as responses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

from aiohttp import web
from openai.types.chat import completion_create_params

from .answers import Json, Prompt
from .errors import ApiError, invalid, too_long_for_context
from .items import (
    count_tokens,
    find_unanswered_call,
    from_input,
    is_message_of,
    newest_outputs,
    text_of,
)
from .response_work import ResponseWork
from .sse import one_by_one, send_events
from .state import BODY, State
from .work import Event

_FINISH = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ChatCompletions:
    """Handlers over one `State`."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/chat/completions", self.create)]

    async def create(self, request: web.Request) -> web.StreamResponse:
        body = request[BODY]
        self._state.check_body(
            body, completion_create_params.CompletionCreateParams, "CreateChatCompletionRequest"
        )
        self._state.check_model(body.get("model"))
        self._check(body)
        work = self._open_work(body)
        try:
            if body.get("stream"):
                usage = (body.get("stream_options") or {}).get("include_usage")
                events = _chunks(work, bool(usage), self._state.options.usage)
                batches = one_by_one(events)
                return await send_events(request, batches, ends_with_done=True, named=False)
            await work.over()
            return web.json_response(self._whole(work))
        except (asyncio.CancelledError, ConnectionError):
            work.cancel()  # the client has closed the connection
            raise

    def _check(self, body: Json) -> None:
        """Checks of servers beyond the types."""
        if body.get("tools") and not self._state.options.takes_tools:
            raise invalid(f"{body['model']} does not support tools")
        if not body.get("messages"):
            raise invalid("[] is too short - 'messages'", param="messages")
        if body.get("stream_options") is not None and not body.get("stream"):
            text = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
            raise invalid(text, param="stream_options")
        roles = [message["role"] for message in body["messages"]]
        if self._state.options.alternating and any(
            first == second for first, second in pairwise(roles)
        ):
            raise invalid("Conversation roles must alternate user/assistant/user/assistant/...")
        if self._state.options.takes_files:
            return
        for message in body["messages"]:
            for part in message["content"] if isinstance(message["content"], list) else ():
                if part["type"] != "text":
                    raise ApiError(self._state.options.file_status, "image input is not supported")

    def _open_work(self, body: Json) -> ResponseWork:
        said = [item for message in body["messages"] for item in _as_items(message)]
        system = [m["content"] for m in body["messages"] if m["role"] == "system"]
        given = from_input(said, self._state.new_id)
        instructions = "".join(system)
        mismatch = find_unanswered_call([], given)
        if mismatch is not None:
            raise mismatch
        if count_tokens(given, instructions) > self._state.options.context_window:
            raise too_long_for_context()
        answer = self._state.decide(_prompt(body, instructions, given))
        response = {
            "id": self._state.new_id("chatcmpl"),
            "status": "in_progress",
            "background": False,
            "created_at": self._state.now(),
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "model": body["model"],
            "instructions": instructions,
            "output": [],
            "usage": None,
        }
        work = ResponseWork(
            self._state,
            replace(answer, polls=None),
            response,
            given=given,
            memory=[],
            conversation=None,
            streams=bool(body.get("stream")),
            stored=False,
        )
        self._state.responses[work.id] = work
        work.open()
        work.start()
        return work

    def _whole(self, work: ResponseWork) -> Json:
        if work.status == "failed":
            raise ApiError(500, str(work.body["error"]["message"]), type="server_error")
        message: Json = {"role": "assistant", "content": _text(work)}
        calls = [_call(item) for item in work.body["output"] if item["type"] == "function_call"]
        message |= {"tool_calls": calls} if calls else {}
        message |= {"reasoning_content": work.answer.reasoning} if work.answer.reasoning else {}
        choice = {"index": 0, "message": message, "finish_reason": _finish(work)}
        usage = {"usage": _usage(work)} if self._state.options.usage else {}
        return {**_head(work, "chat.completion"), "choices": [choice], **usage}


async def _chunks(work: ResponseWork, wants_usage: bool, has_usage: bool) -> AsyncIterator[Event]:
    yield _chunk(work, {"role": "assistant", "content": ""})
    if work.answer.reasoning:
        yield _chunk(work, {"content": None, "reasoning_content": work.answer.reasoning})
    async for event in work.follow():
        if event.name in ("response.output_text.delta", "response.refusal.delta"):
            yield _chunk(work, {"content": event.data["delta"]})
        elif event.name == "response.output_item.done":
            item = event.data["item"]
            if item["type"] == "function_call":
                yield _chunk(work, {"tool_calls": [{"index": 0, **_call(item)}]})
        elif event.name == "response.failed":
            error = work.body["error"]
            yield Event("", {"error": {**error, "type": "server_error"}})
            return
    yield _chunk(work, {}, _finish(work))
    if wants_usage and has_usage:
        yield Event("", {**_head(work), "choices": [], "usage": _usage(work)})


def _head(work: ResponseWork, kind: str = "chat.completion.chunk") -> Json:
    created = work.body["created_at"]
    return {"id": work.id, "object": kind, "created": created, "model": work.body["model"]}


def _chunk(work: ResponseWork, delta: Json, finish: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    return Event("", {**_head(work), "choices": [choice]})


def _finish(work: ResponseWork) -> str:
    if any(item["type"] == "function_call" for item in work.body["output"]):
        return "tool_calls"
    reason = (work.body["incomplete_details"] or {}).get("reason")
    return _FINISH.get(str(reason), "stop")


def _usage(work: ResponseWork) -> Json:
    usage = work.body["usage"] or {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["total_tokens"],
    }


def _call(item: Json) -> Json:
    function = {"name": item["name"], "arguments": item["arguments"]}
    return {"id": item["call_id"], "type": "function", "function": function}


def _text(work: ResponseWork) -> str:
    return "".join(text_of(item) for item in work.body["output"] if item["type"] == "message")


def _as_items(message: Json) -> list[Json]:
    """A chat message as items of Responses, whose texts the fake model reads."""
    if message["role"] == "system":
        return []
    if message["role"] == "tool":
        call_id, output = message["tool_call_id"], message["content"]
        return [{"type": "function_call_output", "call_id": call_id, "output": output}]
    calls = [
        {"type": "function_call", "call_id": call["id"], **call["function"]}
        for call in message.get("tool_calls") or []
    ]
    content: Any = message.get("content")
    if calls and not content:
        return calls
    if isinstance(content, list):
        content = [
            {"type": "input_text", "text": part["text"]}
            if part["type"] == "text"
            else {"type": "input_file", "file_data": str(part)}
            for part in content
        ]
    return [{"type": "message", "role": message["role"], "content": content}, *calls]


def _prompt(body: Json, instructions: str, given: list[Json]) -> Prompt:
    return Prompt(
        protocol="chat_completions",
        body=body,
        conversation_id=None,
        model=body["model"],
        instructions=instructions,
        user_messages=tuple(text_of(item) for item in given if is_message_of(item, "user")),
        turn=1 + sum(is_message_of(item, "assistant") for item in given),
        outputs=newest_outputs(given),
    )
