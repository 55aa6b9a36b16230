"""The dialect of servers that speak only chat completions, the older protocol.

Its chunks are translated to events of a response, so that one reader serves both.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from bot.calls import FunctionOutput
from bot.engines import RunRequest
from bot.engines.answer import ANSWER_CHARS, ITEM_BYTES, PartialResponse
from bot.engines.api import Api
from bot.engines.attachments import chat_part
from bot.engines.chat_calls import ChatCalls
from bot.engines.dialects import ChatMessage, must_be_answer, take_events
from bot.engines.errors import too_large
from bot.engines.events import EventStream
from bot.engines.functions import nested_tool_fields
from bot.engines.items import fields, listed, text, text_of, whole
from bot.engines.requests import Requests
from bot.errors import RunFailed
from bot.models import Json
from bot.settings import Settings

TEXT, REASONING = "message", "reasoning"
"""Ids of the two items that an answer may have."""
_INCOMPLETE = {
    "length": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "refusal": "content_filter",
    "max_output_tokens": "max_output_tokens",
    "model_length": "max_output_tokens",
    "model_context_window_exceeded": "max_output_tokens",
    "sensitive": "content_filter",
}
_FAILED = frozenset(
    {"error", "abort", "aborted", "failed", "network_error", "insufficient_system_resource"}
)
"""Finish reasons that servers use for failures; the model did not end the answer."""


class ChatDialect:
    """POST /chat/completions."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._settings = settings
        self._timeout = api.slow_timeout(settings.bot_run_deadline)
        self.requests = Requests(api, "chat", "completions", missing="endpoint")

    async def answer(
        self,
        request: RunRequest,
        chat: Sequence[ChatMessage],
        partial: PartialResponse,
        accepted: asyncio.Event,
    ) -> None:
        options = request.options
        instructions = options.instructions or self._settings.bot_instructions
        body = {
            "model": options.model or self._settings.openai_model,
            "messages": messages(instructions, chat),
            "stream": True,
            "stream_options": {"include_usage": True},
            **nested_tool_fields(request),
        }
        created = await self.requests.create(body, timeout=self._timeout)
        reader = _Reader(partial, takes_calls=request.takes_calls)
        if isinstance(created, EventStream):
            await take_events(created, accepted, reader.take, lambda: reader.has_finished)
            reader.end(is_cut=not created.is_done)
        else:
            must_be_answer(created, "choices", body["model"])
            accepted.set()
            reader.take(created)
            reader.end()


def messages(instructions: str, chat: Sequence[ChatMessage]) -> list[Json]:
    """The conversation as chat messages.

    Consecutive messages of one role are joined: the templates of many models require alternating
    roles. Content without files stays a string, which every server accepts.
    """
    made: list[Json] = [{"role": "system", "content": instructions}] if instructions else []
    for message in chat:
        last = made[-1] if made else {}
        if message.output:
            made += _pair(last, message.output)
            continue
        content = _content(message)
        if last.get("role") == message.role:
            last["content"] = _joined(last["content"], content)
        else:
            made.append({"role": message.role, "content": content})
    return made


def _pair(last: Json, output: FunctionOutput) -> list[Json]:
    """A call and its output; the call belongs to the model's text before it."""
    call = output.call
    function = {"name": call.plain_name, "arguments": call.plain_arguments}
    calls = [{"id": call.id, "type": "function", "function": function}]
    result = {"role": "tool", "tool_call_id": call.id, "content": output.text}
    if last.get("role") == "assistant" and "tool_calls" not in last:
        last["tool_calls"] = calls
        return [result]
    return [{"role": "assistant", "content": None, "tool_calls": calls}, result]


def _content(message: ChatMessage) -> str | list[Json]:
    if not message.files:
        return "\n\n".join(message.texts)
    words = [{"type": "text", "text": text} for text in message.texts if text]
    return [*words, *map(chat_part, message.files)]


def _joined(first: str | list[Json], second: str | list[Json]) -> str | list[Json]:
    if isinstance(first, str) and isinstance(second, str):
        return f"{first}\n\n{second}"
    return [*_parts(first), *_parts(second)]


def _parts(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


class _Reader:
    """Passes chunks of a completion, or a whole one, on to a partial."""

    def __init__(self, partial: PartialResponse, *, takes_calls: bool) -> None:
        self._partial = partial
        self._finish = ""
        self._takes_calls = takes_calls
        self._calls = ChatCalls()
        self._shown: Json = {}
        self._has_deltas = False
        self._length = 0
        """Characters written so far."""

    @property
    def has_finished(self) -> bool:
        """Whether the finish reason is known; only the usage may follow."""
        return bool(self._finish)

    def take(self, chunk: Json) -> None:
        self._shown |= {key: chunk[key] for key in ("id", "model", "usage") if chunk.get(key)}
        for choice in map(fields, listed(chunk.get("choices"))):
            if choice.get("index") not in (None, 0, "0"):
                continue
            delta = _delta(choice.get("delta"))
            self._has_deltas = self._has_deltas or bool(_written(delta))
            self._take_message(delta or self._rest(choice))
            self._finish = text(choice.get("finish_reason")).lower() or self._finish

    def _rest(self, choice: Any) -> Json:
        """What a message without `delta` adds: servers that send deltas repeat the whole text in
        the last chunk, others send the text so far, or its next part."""
        message = fields(choice.get("message")) or {"content": choice.get("text")}
        written, length = _written(message), self._length
        if not length or not written:
            return {} if length else dict(message)
        if len(written) >= length and written.startswith(self._partial.text):
            return {"content": written[length:]}
        return {} if self._has_deltas else {"content": written}

    def _take_message(self, message: Any) -> None:
        if message.get("reasoning_content") or message.get("reasoning"):
            item = {"type": "reasoning", "id": REASONING}
            self._partial.take({"type": "response.output_item.added", "item": item})
        for delta in map(fields, listed(message.get("tool_calls"))):
            self._calls.take(delta)
        if self._calls.size > ITEM_BYTES or self._calls.chars > ANSWER_CHARS:
            raise too_large(self._partial.text)
        if written := _written(message):
            kind = "response.output_text.delta"
            self._length += len(written)
            self._partial.take({"type": kind, "item_id": TEXT, "delta": written})

    def end(self, *, is_cut: bool = False) -> None:
        """Apply the end of the completion to the partial.

        `is_cut`: the stream has ended without `[DONE]`, so without a reason it is incomplete.
        """
        partial, reason = self._partial, _INCOMPLETE.get(self._finish, "")
        if self._finish in _FAILED or not (self._finish or self._calls.is_whole):
            raise RunFailed("failed", "server_error", text=partial.text)
        if is_cut and not self._finish and (partial.text or self._calls.size):
            raise RunFailed("failed", "stream_cut", text=partial.text)
        if self._takes_calls:
            for item in self._calls.items():
                partial.take({"type": "response.output_item.done", "item": item})
        elif self._calls.size and not partial.text:
            raise RunFailed("requires_action", "requires_action")
        if not self._finish and not partial.text and not partial.calls:
            raise RunFailed("failed", "server_error")
        partial.take_state(
            {
                "id": text(self._shown.get("id")),
                "status": "incomplete" if reason else "completed",
                "incomplete_details": {"reason": reason},
                "model": self._shown.get("model"),
                "usage": _usage(fields(self._shown.get("usage"))),
            }
        )


def _delta(value: object) -> Json:
    return {"content": value} if isinstance(value, str) else dict(fields(value))


def _written(message: Any) -> str:
    content = message.get("content")
    parts = listed(content) or [content]
    return "".join(map(text_of, parts)) or text(message.get("refusal"))


def _usage(usage: Any) -> Json:
    """The usage with the field names of Responses."""
    read, written = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return {
        "input_tokens": whole(usage.get("prompt_tokens") or usage.get("input_tokens")),
        "output_tokens": whole(usage.get("completion_tokens") or usage.get("output_tokens")),
        "input_tokens_details": {"cached_tokens": fields(read).get("cached_tokens")},
        "output_tokens_details": {"reasoning_tokens": fields(written).get("reasoning_tokens")},
    }
