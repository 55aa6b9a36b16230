"""The engine itself: what it asks of the server, and when."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from bot.calls import FunctionCall, FunctionOutput
from bot.engines import RunRequest
from bot.engines.api import Api, with_id
from bot.engines.assistants.answers import Answers
from bot.engines.assistants.deletion import delete_thread, retract
from bot.engines.assistants.lookup import NO_TEXT, Lookup, created_at
from bot.engines.assistants.tools import Tools
from bot.engines.attachments import message_content
from bot.engines.client import ASSISTANTS, STREAMS, open_client
from bot.engines.events import EventStream
from bot.engines.following import Following
from bot.engines.functions import render_outputs
from bot.engines.items import Item, fields, text
from bot.engines.runs import (
    PAUSED,
    WORKING,
    PartialRun,
    waiting_calls,
)
from bot.engines.streams import LiveStream, LiveStreams
from bot.engines.watch import Watch
from bot.errors import ConfigError, Retry, RunFailed
from bot.media import Attachment, FileKind
from bot.models import Conversation, Json, MadeFile, Message, Record, Run, Thread, Update
from bot.settings import Settings
from bot.telemetry.log import log
from bot.timing import EngineTiming

MESSAGES_PER_CALL = 20


LOST = frozenset({"expired", "failed", "cancelled", "cancelling", "incomplete"})
"""Statuses of a run that takes no outputs any more."""
NOT_CANCELLABLE = frozenset({400, 404})


@asynccontextmanager
async def open_assistants(
    settings: Settings, timing: EngineTiming = EngineTiming()
) -> AsyncIterator["AssistantsEngine"]:
    """Open the engine on the server that the settings name and close it in the end."""
    async with open_client(settings, timing, ASSISTANTS) as client:
        engine = AssistantsEngine(Api(client, timing, settings.openai_model), settings)
        try:
            yield engine
        finally:
            await engine.aclose()


class AssistantsEngine:
    """`bot.engines.Engine` over threads, messages and runs."""

    name = "assistants"
    appends = True
    reads: frozenset[FileKind] = frozenset({"image", "document", "text"})

    def __init__(self, api: Api, settings: Settings) -> None:
        if settings.openai_assistant_id is None:
            raise ConfigError("OPENAI_ASSISTANT_ID", "is not set")
        self._assistant_id = settings.openai_assistant_id
        self._api = api
        self._settings = settings
        self._streams = LiveStreams[PartialRun](STREAMS, api.timing)
        self._can_stream = settings.bot_streaming
        self._tools = Tools(api, settings.openai_assistant_id)
        self._lookup = Lookup(api)
        self._answers = Answers(api)

    async def aclose(self) -> None:
        await self._streams.aclose()

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        messages: list[Any] = [
            {"role": record.role, "content": _content(record)} for record in history
        ]
        metadata = {
            "slack_team": thread.team_id,
            "slack_channel": thread.channel_id,
            "slack_thread_ts": thread.thread_ts,
            "slack_user": user_id,
            "created_at": str(int(time.time())),
        }
        body = {"messages": messages[:MESSAGES_PER_CALL], "metadata": metadata}
        created = await self._api.post("threads", body=body, missing="endpoint")
        thread_id = text(with_id(created).get("id"))
        for message in messages[MESSAGES_PER_CALL:]:
            await self._api.post("threads", thread_id, "messages", body=message)
        return thread_id

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        if again:
            found = await self._lookup.find_message(conversation, message)
            if found is not None:
                return text(found.get("id"))
        words = message.text or NO_TEXT
        content = await message_content(self._api, words, files) if files else {"content": words}
        metadata = {"turn": turn_id, "slack_ts": message.ts, "slack_user": message.user_id}
        body = {"role": "user", **content, "metadata": metadata}
        created = await self._api.post("threads", conversation.id, "messages", body=body)
        return text(with_id(created).get("id"))

    async def start(self, request: RunRequest) -> Run:
        """With `again`, a run that was started for this turn is adopted, whatever its status.

        While another run is active the server refuses: Retry. Outputs continue the run that asked
        for them; if it has ended by now, another run gets all results as instructions.
        """
        if request.asked_by:
            run = await self._give_outputs(request, request.asked_by)
        else:
            run = await self._start_run(request, request.earlier)
        return replace(run, takes_calls=request.takes_calls)

    async def _start_run(self, request: RunRequest, known: Sequence[FunctionOutput]) -> Run:
        conversation, asked_by = request.conversation, request.asked_by
        if request.again:
            found = await self._lookup.find_run(request)
            if found is not None and not (asked_by and found.get("id") == asked_by.id):
                return _as_run(found, conversation, min(time.time(), created_at(found)))
        body = self._body(request) | await self._tools.fields_of(request)
        results = render_outputs(known)
        body |= {"additional_instructions": results} if results else {}
        return await self._open(conversation, ("threads", conversation.id, "runs"), body)

    async def _give_outputs(self, request: RunRequest, run: Run) -> Run:
        """Submit the outputs, once, as long as the run waits for them."""
        conversation = request.conversation
        path = ("threads", conversation.id, "runs", run.id, "submit_tool_outputs")
        outputs = [{"tool_call_id": each.call.id, "output": each.text} for each in request.outputs]
        if not request.again or _wants(await self._fetch(run), request.outputs):
            try:
                opened = await self._open(conversation, path, {"tool_outputs": outputs})
                return replace(opened, after=request.asked_after)
            except RunFailed as error:
                if error.reason != "bad_request":
                    raise
        state = await self._fetch(run)
        if _wants(state, request.outputs):
            raise RunFailed("failed", "bad_request")
        if text(state.get("status")) in LOST:
            log.info("run_lost_with_calls", run=run.id, status=state.get("status"))
            return await self._start_run(request, (*request.earlier, *request.outputs))
        return replace(_as_run(state, conversation, time.time()), after=request.asked_after)

    async def _open(self, conversation: Conversation, path: Sequence[str], body: Json) -> Run:
        """Begin or continue a run; returns as soon as the server names it."""
        started_at = time.time()
        with self._streams.room() as room:
            if not room or not self._can_stream:
                created: Any = await self._api.post(*path, body=body)
            else:
                created = await self._api.stream(*path, body=body)
            if not isinstance(created, EventStream):
                return _as_run(with_id(created), conversation, started_at)
            live = self._streams.add(created)
        return _as_run(await self._read_first(live), conversation, started_at)

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        live, partial = self._streams.take(run.id) or (None, PartialRun())
        following = self._following(run, partial)
        updates = following.updates(live)
        del live  # its polls may continue for long after the stream
        try:
            async with following:
                async for update in updates:
                    if update is not None:
                        yield update
        except RunFailed as error:
            if error.reason != "run_lost":
                raise
            error.acted = await self._answers.used_tools(run, partial)
            yield await self._answers.salvage(run, partial, error)
            return
        calls = waiting_calls(fields(partial.run))
        if calls and run.takes_calls:
            yield await self._answers.with_calls(run, partial)
            return
        if calls:
            partial.run = await self._answer_unavailable_tools(run, calls) or partial.run
            async with following:
                async for polled in following.polled():
                    if polled is not None:
                        yield polled
        yield await self._final(run, partial)

    async def _final(self, run: Run, partial: PartialRun) -> Update:
        """The last update of a run that has ended, or waits for calls that no one makes."""
        if partial.status == PAUSED:
            await self.cancel(run)
            raise RunFailed(PAUSED, PAUSED, text=partial.text)
        if partial.run is None:
            raise Retry("the run has no state")
        failed = partial.status in ("failed", "expired")
        acted = failed and await self._answers.used_tools(run, partial)
        return await self._answers.final(run, partial, partial.run, acted=acted)

    async def cancel(self, run: Run) -> None:
        path = ("threads", run.conversation_id, "runs", run.id, "cancel")
        await self._api.attempt(*path, ignored=NOT_CANCELLABLE)

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        """A run that waits for outputs keeps its thread locked; without it nothing is missing."""
        await self.cancel(run)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        return await self._api.file_content(file.id)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        await retract(self._api, conversation, history, ts, again=again)

    async def delete_run(self, run_id: str) -> None:
        """Nothing is left of a run once its conversation is deleted."""

    async def delete(self, conversation_id: str) -> None:
        await delete_thread(self._api, conversation_id)

    def _body(self, request: RunRequest) -> Json:
        body: Json = {
            "assistant_id": self._assistant_id,
            "metadata": {"turn": request.turn_id},
        }
        model = self._override("openai_model", request.options.model)
        instructions = self._override("bot_instructions", request.options.instructions)
        body |= {"model": model} if model else {}
        body |= {"instructions": instructions} if instructions else {}
        return body

    def _override(self, field: str, given: str) -> str:
        """Replacements of the assistant's own model or instructions, if any."""
        default = Settings.model_fields[field].default
        if given and given != default:
            return given
        is_set = field in self._settings.model_fields_set
        return str(getattr(self._settings, field)) if is_set else ""

    def _following(self, run: Run, partial: PartialRun) -> Following:
        return Following(
            partial,
            run.started_at,
            run.started_at + self._settings.bot_run_deadline,
            WORKING,
            _Source(self, run),
            timing=self._api.timing,
            watch=Watch(self._api.timing.lost_after, run.doubtful),
        )

    async def _read_first(self, live: LiveStream) -> Item:
        """The run, as soon as the stream names it; the rest of the stream is for `follow`."""
        partial = PartialRun()
        try:
            while partial.run is None:
                event = await live.first(self._api.timing.create_timeout)
                if event is None:
                    self._can_stream = False
                    raise Retry("a stream without a beginning")
                partial.take(event)
        except BaseException:
            await live.aclose()
            raise
        self._streams.keep(text(partial.run.get("id")), live, partial)
        return partial.run

    async def _fetch(self, run: Run) -> Json:
        path = ("threads", run.conversation_id, "runs", run.id)
        return with_id(await self._api.get(*path))

    async def _answer_unavailable_tools(
        self, run: Run, calls: Sequence[FunctionCall]
    ) -> Item | None:
        """Submit outputs for unavailable tools, so that the model continues without them; None if
        they are refused, which leaves the run as it is."""
        outputs = [
            {"tool_call_id": call.id, "output": "error: this tool is not available"}
            for call in calls
        ]
        path = ("threads", run.conversation_id, "runs", run.id, "submit_tool_outputs")
        try:
            return with_id(await self._api.post(*path, body={"tool_outputs": outputs}))
        except RunFailed as error:
            log.warning("outputs_refused", run=run.id, reason=error.reason)
            return None


@dataclass(frozen=True, slots=True)
class _Source:
    """A run at the server; `bot.engines.following.Source`."""

    engine: AssistantsEngine
    run: Run

    def fetch(self) -> Awaitable[Item]:
        return self.engine._fetch(self.run)

    async def cancel(self) -> Item:
        await self.engine.cancel(self.run)
        return await self.engine._fetch(self.run)

    async def reopen(self) -> None:
        """The protocol has no way to resume a stream."""


def _content(record: Record) -> str | list[Json]:
    """The text, and as a separate part what is kept of the files."""
    words = record.text or NO_TEXT
    if not record.files:
        return words
    return [{"type": "text", "text": text} for text in (words, record.files)]


def _wants(state: Item, outputs: Sequence[FunctionOutput]) -> bool:
    """Whether a run waits for these outputs."""
    wanted = {call.id for call in waiting_calls(state)}
    return bool(wanted) and wanted == {output.call.id for output in outputs}


def _as_run(run: Item, conversation: Conversation, started_at: float) -> Run:
    status: Any = text(run.get("status")) or "queued"
    return Run(text(run.get("id")), conversation.id, started_at, status)
