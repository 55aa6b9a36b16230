"""The engine for servers that keep no conversations: each turn sends the whole conversation.

Conversations are kept in the memory of this process. Another process, or this one after a restart,
raises ConversationGone, and the caller rebuilds from its record. Only an answer in progress is
lost, which a server without background runs could not have finished anyway.
"""

import asyncio
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field, replace

from bot.calls import FunctionOutput
from bot.engines import RunRequest
from bot.engines.answer import PartialResponse
from bot.engines.api import Api
from bot.engines.chat_completions import ChatDialect
from bot.engines.dialects import ChatMessage, Dialect, ResponsesDialect
from bot.engines.estimate import file_tokens, text_tokens
from bot.engines.items import Item, read_image
from bot.engines.retraction import find_place
from bot.engines.sent_with_run import SentWithRun
from bot.engines.streams import UPDATE_SECONDS
from bot.errors import ConversationGone, RateLimited, Retry, RunFailed
from bot.media import FileKind
from bot.models import Conversation, MadeFile, Record, Run, Thread, Update, Usage
from bot.settings import Settings
from bot.telemetry.log import log

PREFIX = "replay_"
MOST_CONVERSATIONS = 5000
MOST_BYTES = 256 * 1024 * 1024
"""Maximum size of all conversations of a process; the least recently used are dropped first."""


@dataclass
class _Memory:
    """The messages of a conversation, and its newest run."""

    chat: list[ChatMessage] = field(default_factory=list)
    work: "_Work | None" = None
    size: int = 0
    """Approximate size of the messages in bytes."""

    @property
    def is_busy(self) -> bool:
        return self.work is not None and not self.work.task.done()


@dataclass
class _Work:
    """A run: it lives as long as its request to the server."""

    run: Run
    request: RunRequest
    given: list[ChatMessage]
    partial: PartialResponse
    accepted: asyncio.Event
    task: asyncio.Task[None]
    deadline: float
    input_tokens: int
    """An estimate."""

    def is_for(self, request: RunRequest) -> bool:
        """Whether this is the run that the request asks for."""
        known, failed = self.request, self.run.id in request.failed
        same = (known.turn_id, known.asked_by) == (request.turn_id, request.asked_by)
        return same and not failed

    @property
    def broke(self) -> bool:
        """Whether it failed in a way that another attempt may fix."""
        done = self.task.done() and not self.task.cancelled()
        return done and isinstance(self.task.exception(), Retry)


class ReplayEngine(SentWithRun):
    """`bot.engines.Engine` over requests that carry the whole conversation."""

    name = "responses"
    reads: frozenset[FileKind] = frozenset({"image", "document", "audio", "text"})

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api = api
        self._settings = settings
        self._memories: OrderedDict[str, _Memory] = OrderedDict()
        self._bytes = 0
        self.responses = ResponsesDialect(api, settings)
        self.chat = ChatDialect(api, settings)
        self._dialects: tuple[Dialect, ...] = (self.responses, self.chat)
        if settings.bot_protocol == "responses":
            self._dialects = (self.responses,)
        elif settings.bot_protocol == "chat":
            self._dialects = (self.chat,)
        self._dialect: Dialect | None = None

    async def aclose(self) -> None:
        tasks = [memory.work.task for memory in self._memories.values() if memory.work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        conversation_id = PREFIX + secrets.token_hex(12)
        memory = self._memories[conversation_id] = _Memory()
        self._remember(memory, [message for record in history for message in _as_messages(record)])
        return conversation_id

    async def start(self, request: RunRequest) -> Run:
        """Send the conversation. An immediate refusal is raised here, a later one by `follow`."""
        memory = self._memory(request.conversation.id)
        work = memory.work
        if request.again and work and work.is_for(request) and not work.broke:
            return work.run
        run = Run(
            PREFIX + secrets.token_hex(12),
            request.conversation.id,
            time.time(),
            "in_progress",
            takes_calls=request.takes_calls,
        )
        memory.work = work = self._begin_work(memory, run, request, _given(request))
        await _wait(work.accepted, work.task, self._api.timing.acceptance)
        if work.task.done() and not work.accepted.is_set():
            memory.work = None
            if work.task.cancelled():
                raise ConversationGone(run.conversation_id)
            work.task.result()
        return run

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        memory = self._memory(run.conversation_id)
        work = memory.work
        if work is None or work.run.id != run.id:
            raise ConversationGone(run.id)
        if work.broke:
            memory.work = work = self._begin_work(memory, run, work.request, work.given)
        shown = 0
        while not work.task.done():
            await asyncio.wait({work.task}, timeout=UPDATE_SECONDS)
            if work.partial.events != shown and not work.task.done():
                shown = work.partial.events
                yield work.partial.update()
            if time.time() > work.deadline:
                work.task.cancel()
                raise RunFailed("expired", "deadline", text=work.partial.text)
        yield _finish(work)

    async def cancel(self, run: Run) -> None:
        """Close the connection, which is how such servers are stopped."""
        memory = self._memories.get(run.conversation_id)
        if memory is not None and memory.work is not None and memory.work.run.id == run.id:
            memory.work.task.cancel()

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        """Calls are remembered with their outputs only."""

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        if file.container_id:
            return await self._api.file_content(file.id, file.container_id)
        work = self._memory(run.conversation_id).work
        items: list[Item] = work.partial.items if work and work.run.id == run.id else []
        return read_image(items, file.id)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        memory, place = self._memory(conversation.id), find_place(history, ts)
        if place is None:
            return
        alike = [each for each in memory.chat if each.role == "user" and each.text == place.text]
        gone = place.among(alike, again=again)
        memory.chat = [each for each in memory.chat if each is not gone]

    async def delete(self, conversation_id: str) -> None:
        memory = self._memories.pop(conversation_id, None)
        if memory is not None:
            self._bytes -= memory.size
            if memory.work is not None:
                memory.work.task.cancel()

    def _begin_work(
        self, memory: _Memory, run: Run, request: RunRequest, given: list[ChatMessage]
    ) -> _Work:
        partial, accepted = PartialResponse(is_numbered=False), asyncio.Event()
        task = asyncio.create_task(self._work(memory, request, given, partial, accepted))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        deadline = time.time() + self._settings.bot_run_deadline
        chat = [*memory.chat, *given]
        tokens = text_tokens(
            self._instructions(request), *(text for message in chat for text in message.texts)
        )
        tokens += sum(file_tokens(message.files) for message in chat)
        return _Work(run, request, given, partial, accepted, task, deadline, tokens)

    def _instructions(self, request: RunRequest) -> str:
        return request.options.instructions or self._settings.bot_instructions

    async def _work(
        self,
        memory: _Memory,
        request: RunRequest,
        given: list[ChatMessage],
        partial: PartialResponse,
        accepted: asyncio.Event,
    ) -> None:
        try:
            await self._ask(request, [*memory.chat, *given], partial, accepted)
        except Retry as error:
            has_files = any(message.files for message in given)
            if has_files and not accepted.is_set() and error.reason.startswith("status 5"):
                # Servers of text-only models fail this way on an image.
                raise RunFailed("failed", "bad_request", detail=error.reason) from None
            if accepted.is_set():
                raise RunFailed(
                    *("failed", "stream_cut"),
                    text=partial.text,
                    detail=error.reason,
                    acted=bool(partial.update().cards),
                ) from None
            raise
        if partial.status == "completed":
            written = (
                [ChatMessage("assistant", partial.text)]
                if partial.text or not partial.calls
                else []
            )
            self._remember(memory, [*given, *written])

    async def _ask(
        self,
        request: RunRequest,
        chat: list[ChatMessage],
        partial: PartialResponse,
        accepted: asyncio.Event,
    ) -> None:
        """Use the dialect of the server, which is detected by trying."""
        dialects = sorted(self._dialects, key=lambda dialect: dialect is not self._dialect)
        for dialect in dialects:
            try:
                await dialect.answer(request, chat, partial, accepted)
            except RunFailed as error:
                if error.reason != "endpoint_not_found":
                    self._dialect = dialect
                    raise
                self._dialect = None
                if dialect is dialects[-1]:
                    raise
                log.info("server_without_responses")
            except RateLimited:
                # A proxy may count the refused request towards its rate limit.
                self._dialect = dialect
                raise
            else:
                self._dialect = dialect
                return

    def _memory(self, conversation_id: str) -> _Memory:
        try:
            self._memories.move_to_end(conversation_id)
        except KeyError:
            raise ConversationGone(conversation_id) from None
        return self._memories[conversation_id]

    def _remember(self, memory: _Memory, chat: list[ChatMessage]) -> None:
        memory.chat += chat
        added = sum(message.size for message in chat)
        memory.size += added
        self._bytes += added
        if len(self._memories) <= MOST_CONVERSATIONS and self._bytes <= MOST_BYTES:
            return
        for conversation_id, oldest in list(self._memories.items()):
            if len(self._memories) <= MOST_CONVERSATIONS and self._bytes <= MOST_BYTES:
                return
            if not oldest.is_busy and oldest is not memory:
                self._bytes -= oldest.size
                del self._memories[conversation_id]


def _as_messages(record: Record) -> list[ChatMessage]:
    """A line of our record; the calls on the way to an answer come before it."""
    made = [ChatMessage("tool", output=output) for output in record.outputs]
    return [*made, ChatMessage(record.role, record.text, kept=record.files)]


def _given(request: RunRequest) -> list[ChatMessage]:
    """The messages that a request adds to its conversation."""
    if request.asked_by:
        return [ChatMessage("tool", output=output) for output in request.outputs]
    chat = [
        ChatMessage("user", message.text, tuple(request.files.get(message.ts, ())))
        for message in request.input
    ]
    return [*chat, *(ChatMessage("tool", output=output) for output in request.earlier)]


def _finish(work: _Work) -> Update:
    """The last update; missing usage is estimated."""
    partial = work.partial
    if work.task.cancelled():
        return Update("cancelled", partial.text, usage=_estimate(work))
    try:
        work.task.result()
        update = partial.finish(takes_calls=work.run.takes_calls)
    except RunFailed as error:
        if partial.text:
            error.usage = error.usage or _estimate(work)
        raise
    return replace(update, usage=_completed(update.usage, _estimate(work)))


def _completed(usage: Usage | None, estimate: Usage) -> Usage:
    """The server's usage, with an estimate of what it does not count."""
    if usage is None or (usage.input_tokens and usage.output_tokens):
        return usage or estimate
    written = usage.output_tokens or estimate.output_tokens
    read_in = usage.input_tokens or estimate.input_tokens
    estimated = read_in + written - usage.input_tokens - usage.output_tokens
    return replace(usage, input_tokens=read_in, output_tokens=written, estimated=estimated)


def _estimate(work: _Work) -> Usage:
    written = text_tokens(work.partial.text)
    tokens = work.input_tokens
    return Usage(input_tokens=tokens, output_tokens=written, estimated=tokens + written)


async def _wait(event: asyncio.Event, task: asyncio.Task[None], seconds: float) -> None:
    """Wait until the event is set, the task is done or the time is up."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({waiting, task}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
