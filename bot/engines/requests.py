"""The request that creates a response, reduced to what the server understands."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bot.engines import RunRequest
from bot.engines.api import Api
from bot.engines.attachments import input_part
from bot.engines.errors import NotFoundKind
from bot.engines.events import EventStream
from bot.engines.functions import tool_fields, without_allowed_tools
from bot.errors import RunFailed
from bot.media import Attachment
from bot.models import Conversation, Json, Message
from bot.settings import Settings
from bot.telemetry.log import log

OPTIONAL = (
    *("prompt_cache_key", "safety_identifier", "truncation", "metadata", "store"),
    *("stream_options", "stream"),
)
"""Fields that are omitted once a server has refused them."""
TOOL_FIELDS = ("tools", "tool_choice")
_TOOLS = re.compile(r"\b(tools?|functions?|tool_choice|allowed_tools)\b", re.IGNORECASE)
_CHOICE = re.compile(r"tool_choice|allowed_tools")
REFUSALS = frozenset({"bad_request", "unsupported_parameter"})


class Requests:
    """Sends requests; remembers for the life of the process which fields the server refuses."""

    def __init__(self, api: Api, *path: str, missing: NotFoundKind = "conversation") -> None:
        self._api = api
        self._path = path
        self._missing = missing
        self._refused: set[str] = set()
        self._reduced: dict[str, frozenset[str]] = {}
        """Names of the reductions that the server needs, by model and tools."""
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
            if self._reduced:
                for name in self._reduced.get(_tools_key(body), ()):
                    sent = REDUCTIONS[name](sent)
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
                if field is None:
                    self._reduce(error, body, sent)
                    continue
                log.info("field_refused", field=field, in_foreground=self.in_foreground)
                if both and field == "stream":
                    self.in_foreground = True
                else:
                    self._refused.add(field)

    def _reduce(self, error: RunFailed, body: Json, sent: Json) -> None:
        """Remember which tools to leave out. Raises the error if the tools are not its cause."""
        reduction = _find_reduction(error, sent)
        if reduction is None:
            raise error
        log.warning("tools_refused", model=sent.get("model"), reduction=reduction)
        key = _tools_key(body)
        self._reduced[key] = self._reduced.get(key, frozenset()) | {reduction}


def _only_functions(body: Json) -> Json:
    """Without the tools that the server runs itself."""
    body = without_allowed_tools(body)
    tools = [tool for tool in body.get("tools", ()) if tool["type"] == "function"]
    return body | {"tools": tools} if tools else _no_tools(body)


def _no_tools(body: Json) -> Json:
    return {key: value for key, value in body.items() if key not in TOOL_FIELDS}


REDUCTIONS: Mapping[str, Callable[[Json], Json]] = {
    "shorter_list": without_allowed_tools,
    "only_functions": _only_functions,
    "no_tools": _no_tools,
}
"""Reduced sets of tools for a server that refuses the full set, the largest first. The last one is
for models that know no tools, and for invalid schemas.
"""


def _find_reduction(error: RunFailed, sent: Json) -> str | None:
    """The smallest reduction that changes what was sent; None if the tools are not the cause."""
    if error.reason not in REFUSALS or "tools" not in sent or not _TOOLS.search(error.detail):
        return None
    names = [name for name, reduce in REDUCTIONS.items() if reduce(sent) != sent]
    if len(names) > 1 and names[0] == "shorter_list" and not _CHOICE.search(error.detail):
        names = names[1:]
    return names[0]


def _tools_key(body: Json) -> str:
    tools = json.dumps([body.get("model"), body.get("tools")], sort_keys=True, default=str)
    return hashlib.sha256(tools.encode()).hexdigest()


def _refused_field(error: RunFailed, body: Json, refused: set[str]) -> str | None:
    if error.reason not in REFUSALS:
        return None
    named = (key for key in OPTIONAL if key in body and key in error.detail)
    return next((key for key in named if key not in refused), None)


def response_body(request: RunRequest, settings: Settings) -> Json:
    """The body of every request to a Responses server; the caller adds the input."""
    conversation, options, tools = request.conversation, request.options, tool_fields(request)
    return {
        "model": options.model or settings.openai_model,
        "instructions": options.instructions or settings.bot_instructions,
        "truncation": "auto",
        "prompt_cache_key": cache_key(conversation, has_tools=bool(tools)),
        "safety_identifier": safety_identifier(request),
        "metadata": {
            "turn": request.turn_id,
            "slack_thread": conversation.thread.key,
            "slack_ts": request.messages[-1].ts if request.messages else "",
        },
        **tools,
    }


def cache_key(conversation: Conversation, *, has_tools: bool) -> str:
    """The key by which the server routes requests, so that it finds the beginning of a prompt in
    its cache.

    Without tools that is the conversation. Tools are a long beginning that all threads of a channel
    have in common, with the channel's instructions: a new thread finds it cached.
    """
    if not has_tools:
        return conversation.id[-64:]
    thread = conversation.thread
    return hashlib.sha256(f"{thread.team_id}:{thread.channel_id}".encode()).hexdigest()


def safety_identifier(request: RunRequest) -> str:
    """A stable pseudonym of the asker, for the server's abuse detection."""
    asker = request.options.user_id or request.conversation.user_id
    return hashlib.sha256(asker.encode()).hexdigest()


def as_item(message: Message, files: Sequence[Attachment] = ()) -> Json:
    """A Slack message as an input item: its text comes first."""
    content = [{"type": "input_text", "text": message.text}, *map(input_part, files)]
    return {"type": "message", "role": "user", "content": content}
