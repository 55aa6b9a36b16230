"""The request that creates a response, reduced to what the server understands."""

import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any

from bot.engines import RunRequest
from bot.engines.api import Api, EventStream, Json
from bot.engines.attachments import input_part
from bot.engines.errors import Missing
from bot.engines.functions import tool_fields
from bot.errors import RunFailed
from bot.media import Attachment
from bot.models import Message
from bot.settings import Settings
from bot.telemetry.log import log

OPTIONAL = (
    *("prompt_cache_key", "safety_identifier", "truncation", "metadata", "store"),
    *("stream_options", "stream"),
)
"""Fields that are omitted once a server has refused them."""
TOOL_FIELDS = ("tools", "tool_choice")
_TOOLS = re.compile(r"\b(tools?|functions?)\b", re.IGNORECASE)
REFUSALS = frozenset({"bad_request", "unsupported_parameter"})


class Requests:
    """Sends requests; remembers for the life of the process which fields the server refuses."""

    def __init__(self, api: Api, *path: str, missing: Missing = "conversation") -> None:
        self._api = api
        self._path = path
        self._missing = missing
        self._refused: set[str] = set()
        self._toolless: set[str] = set()
        """Models, with tools that the server refuses for them."""
        self.in_foreground = False
        """Whether the server streams only without `background`."""

    def refuses(self, field: str) -> bool:
        """Whether the server has refused this field of a request."""
        return field in self._refused

    async def create(self, body: Json, timeout: Any = None) -> EventStream | Json:
        """The stream of the response, or the response if it is not streamed.

        A refused field is omitted from then on; a refused request had no effect.
        """
        while True:
            sent = {key: value for key, value in body.items() if key not in self._refused}
            if self._toolless and _tools_key(body) in self._toolless:
                sent = {key: value for key, value in sent.items() if key not in TOOL_FIELDS}
            if sent.get("stream") and self.in_foreground:
                sent.pop("background", None)
            both = bool(sent.get("stream") and sent.get("background"))
            streams = sent.pop("stream", False)
            if not streams:
                sent.pop("stream_options", None)
            send = self._api.stream if streams else self._api.post
            try:
                return await send(*self._path, body=sent, missing=self._missing, timeout=timeout)
            except RunFailed as error:
                field = _refused_field(error, body, self._refused)
                if field is None and _refuses_tools(error, sent):
                    log.warning("tools_refused", model=sent.get("model"))
                    self._toolless.add(_tools_key(body))
                    continue
                if field is None:
                    raise
                log.info("field_refused", field=field, in_foreground=self.in_foreground)
                if both and field == "stream":
                    self.in_foreground = True
                else:
                    self._refused.add(field)


def _refuses_tools(error: RunFailed, sent: Json) -> bool:
    """Whether the server says no to the tools: its model knows none, or a schema is invalid."""
    names_them = _TOOLS.search(error.detail)
    return error.reason in REFUSALS and "tools" in sent and names_them is not None


def _tools_key(body: Json) -> str:
    tools = json.dumps([body.get("model"), body.get("tools")], sort_keys=True)
    return hashlib.sha256(tools.encode()).hexdigest()


def _refused_field(error: RunFailed, body: Json, refused: set[str]) -> str | None:
    if error.reason not in REFUSALS:
        return None
    named = (key for key in OPTIONAL if key in body and key in error.detail)
    return next((key for key in named if key not in refused), None)


def response_body(request: RunRequest, settings: Settings) -> Json:
    """The body of every request to a Responses server; the caller adds the input."""
    conversation, options = request.conversation, request.options
    return {
        "model": options.model or settings.openai_model,
        "instructions": options.instructions or settings.bot_instructions,
        "truncation": "auto",
        "prompt_cache_key": conversation.id[-64:],
        "safety_identifier": safety_identifier(request),
        "metadata": {
            "turn": request.turn_id,
            "slack_thread": conversation.thread.key,
            "slack_ts": request.messages[-1].ts if request.messages else "",
        },
        **tool_fields(request),
    }


def safety_identifier(request: RunRequest) -> str:
    """A stable pseudonym of the asker, for the server's abuse detection."""
    asker = request.options.user_id or request.conversation.user_id
    return hashlib.sha256(asker.encode()).hexdigest()


def as_item(message: Message, files: Sequence[Attachment] = ()) -> Json:
    """A Slack message as an input item: its text comes first."""
    content = [{"type": "input_text", "text": message.text}, *map(input_part, files)]
    return {"type": "message", "role": "user", "content": content}
