"""The two protocols for servers without conversations."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bot.calls import FunctionOutput
from bot.engines import RunRequest
from bot.engines.answer import PartialResponse
from bot.engines.api import Api
from bot.engines.attachments import input_part
from bot.engines.errors import DETAIL_CHARS, error_in, vendor_errors
from bot.engines.events import EventStream, stated_error
from bot.engines.functions import pair
from bot.engines.requests import Requests, response_body
from bot.errors import Retry, RunFailed
from bot.media import Attachment
from bot.models import Json
from bot.settings import Settings
from bot.telemetry.log import log

_UNKNOWN_PATH = re.compile(
    r"unexpected endpoint|(?:unknown|invalid) (?:request )?(?:url|path|endpoint|route)|not found",
    re.IGNORECASE,
)
TRAILING_SECONDS = 2.0
"""How long a stream may stay open behind the end of its answer."""
_FAILED = ("failed", "incomplete", "cancelled")


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a conversation, with its files; of the role `tool`, a call and its output."""

    role: str
    text: str = ""
    files: tuple[Attachment, ...] = ()
    kept: str = ""
    """The text that our record has kept of files that are no longer available."""
    output: FunctionOutput | None = None

    @property
    def texts(self) -> list[str]:
        """The text, and what is kept of earlier files."""
        if self.output:
            return [self.output.call.arguments, self.output.text]
        return [self.text, self.kept] if self.kept else [self.text]

    @property
    def size(self) -> int:
        """Approximate size in memory, in bytes."""
        return sum(map(len, self.texts)) + sum(len(file.data) for file in self.files)


class Dialect(Protocol):
    """One protocol for the answer to a complete conversation."""

    async def answer(
        self,
        request: RunRequest,
        chat: Sequence[ChatMessage],
        partial: PartialResponse,
        accepted: asyncio.Event,
    ) -> None:
        """Read the answer to `said` into the partial; `accepted` is set once the server answers.

        Raises RunFailed("endpoint_not_found") where the server does not speak this dialect.
        """
        ...


class ResponsesDialect:
    """POST /responses, without anything that the server would have to keep."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._settings = settings
        self._timeout = api.slow_timeout(settings.bot_run_deadline)
        self.requests = Requests(api, "responses", missing="endpoint")

    async def answer(
        self,
        request: RunRequest,
        chat: Sequence[ChatMessage],
        partial: PartialResponse,
        accepted: asyncio.Event,
    ) -> None:
        body = response_body(_without_servers(request), self._settings)
        items = [item for message in chat for item in _as_items(message)]
        body |= {"input": items, "store": False, "stream": True}
        created = await self.requests.create(body, timeout=self._timeout)
        is_done = False
        if isinstance(created, EventStream):
            await take_events(created, accepted, partial.take, lambda: partial.ended is not None)
            is_done = created.is_done and bool(partial.text) and not partial.calls
        else:
            must_be_answer(created, "output", body["model"])
            accepted.set()
            partial.take_state(created)
        if partial.ended is None and (partial.is_complete or is_done):
            partial.take_state({"status": "completed"})  # the server omits the last event
        if partial.ended is None:
            raise RunFailed("failed", "server_error", text=partial.text)


def _without_servers(request: RunRequest) -> RunRequest:
    """Without MCP servers that the AI server would call: without a conversation, an approved call
    is sent, and perhaps made, more than once."""
    kept = tuple(tool for tool in request.hosted if tool["type"] != "mcp")
    if len(kept) < len(request.hosted):
        log.info("hosted_servers_left_out", turn=request.turn_id)
    return replace(request, hosted=kept)


def must_be_answer(created: Json, key: str, model: str) -> None:
    """Raise the error that a response with status 200 contains: some proxies report failures this
    way, LM Studio reports unknown paths. `key` is the field with the answer, `model` the requested
    model."""
    error = stated_error(created)
    if created.get(key) or (error is None and (created.get("id") or key in created)):
        return
    if created.get("status") in _FAILED:
        return  # its error is read with its state
    reported = error_in(error if isinstance(error, dict) else {"message": str(error or "")}, model)
    is_known = isinstance(reported, RunFailed) and reported.reason == "model_not_found"
    if error and (is_known or not _UNKNOWN_PATH.search(str(error))):
        raise reported
    raise RunFailed("failed", "endpoint_not_found", detail=str(error or "")[:DETAIL_CHARS])


async def take_events(
    events: EventStream,
    accepted: asyncio.Event,
    take: Callable[[Json], object],
    is_over: Callable[[], bool],
) -> None:
    """`take` each event of a stream, which shows that the server has accepted the request.

    Once the answer `is_over`, the end of the stream may be missing.
    """
    accepted.set()
    async with events:
        try:
            with vendor_errors(missing="run"):
                async with asyncio.timeout(None) as patience:
                    async for together in events:
                        for event in together:
                            take(event)
                        if is_over() and patience.when() is None:
                            now = asyncio.get_running_loop().time()
                            patience.reschedule(now + TRAILING_SECONDS)
        except (Retry, TimeoutError):
            if not is_over():
                raise


def _as_items(message: ChatMessage) -> list[Json]:
    if message.output:
        return pair(message.output)
    if message.role != "user":
        return [{"type": "message", "role": message.role, "content": message.text}]
    words = [{"type": "input_text", "text": text} for text in message.texts]
    content = [*words, *map(input_part, message.files)]
    return [{"type": "message", "role": "user", "content": content}]
