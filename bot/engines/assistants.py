"""The engine for servers that speak the Assistants protocol: threads, messages, runs.

OpenAI itself has retired it (August 2026); other servers still support it. Only in this module
`thread` means the server's thread, which belongs to a Slack thread.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from bot.calls import FunctionOutput
from bot.engines import RunRequest
from bot.engines.api import Api, EventStream, Json
from bot.engines.attachments import message_content
from bot.engines.client import ASSISTANTS, STREAMS, open_client
from bot.engines.following import Following
from bot.engines.functions import nested_tool_fields, render_outputs
from bot.engines.items import Item, fields, listed, text
from bot.engines.retraction import find_place
from bot.engines.runs import (
    PAUSED,
    WORKING,
    RunDraft,
    finish,
    read,
    text_of_message,
    waiting_calls,
)
from bot.engines.streams import LiveStream, LiveStreams
from bot.engines.watch import Watch
from bot.errors import BotError, ConfigError, ConversationGone, Retry, RunFailed
from bot.media import Attachment, FileKind
from bot.models import Citation, Conversation, MadeFile, Message, Record, Run, Thread, Update
from bot.settings import Settings
from bot.telemetry.log import log
from bot.timing import EngineTiming

MESSAGES_PER_CALL = 20
NEWEST_MESSAGES = 20
NEWEST_RUNS = 5
NO_TEXT = "(a message without text)"


LOST = frozenset({"expired", "failed", "cancelled", "cancelling", "incomplete"})
"""Statuses of a run that takes no outputs any more."""
OWN_TOOLS_SECONDS = 300.0
BUILT_IN = frozenset({"code_interpreter", "file_search"})
"""The built-in tools of this protocol."""
MOST_SEARCHABLE = 10_000
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
        self._streams = LiveStreams[RunDraft](STREAMS, api.timing)
        self._can_stream = settings.bot_streaming
        self._known_tools: list[Json] = []
        self._own_tools_until = 0.0
        self._searchable: dict[str, None] = {}
        """Threads that have their vector store, oldest first."""

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
        thread_id = text(_with_id(created).get("id"))
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
            found = await self._find_message(conversation, message)
            if found is not None:
                return text(found.get("id"))
        words = message.text or NO_TEXT
        content = await message_content(self._api, words, files) if files else {"content": words}
        metadata = {"turn": turn_id, "slack_ts": message.ts, "slack_user": message.user_id}
        body = {"role": "user", **content, "metadata": metadata}
        created = await self._api.post("threads", conversation.id, "messages", body=body)
        return text(_with_id(created).get("id"))

    async def start(self, request: RunRequest) -> Run:
        """With `again`, a run that was started for this turn is adopted, whatever its status.

        While another run is active the server refuses: Retry. Outputs continue the run that asked
        for them; where it has ended meanwhile, another one gets all results as instructions.
        """
        if request.asked_by:
            run = await self._give_outputs(request, request.asked_by)
        else:
            run = await self._start_run(request, request.earlier)
        return replace(run, takes_calls=request.takes_calls)

    async def _start_run(self, request: RunRequest, known: Sequence[FunctionOutput]) -> Run:
        conversation, asked_by = request.conversation, request.asked_by
        if request.again:
            found = await self._find_run(request)
            if found is not None and not (asked_by and found.get("id") == asked_by.id):
                return _as_run(found, conversation, min(time.time(), _created_at(found)))
        body = self._body(request) | await self._tool_fields(request)
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
                return _as_run(_with_id(created), conversation, started_at)
            live = self._streams.add(created)
        return _as_run(await self._read_first(live), conversation, started_at)

    async def _tool_fields(self, request: RunRequest) -> Json:
        """Our functions and built-in tools, besides the assistant's own tools, which they would
        replace."""
        fields = nested_tool_fields(request)
        tools = [{"type": tool["type"]} for tool in request.hosted if tool["type"] in BUILT_IN]
        if tools:
            await self._attach_stores(request)
        tools += fields.get("tools", [])
        if tools:
            own = [tool for tool in await self._own_tools() if {"type": tool["type"]} not in tools]
            fields["tools"] = [*own, *tools]
        return fields

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

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        live, draft = self._streams.take(run.id) or (None, RunDraft())
        following = self._following(run, draft)
        try:
            async with aclosing(following.updates(live)) as updates:
                async for update in updates:
                    yield update
        except RunFailed as error:
            if error.reason != "run_lost":
                raise
            error.acted = await self._used_tools(run, draft)
            yield await self._salvage(run, draft, error)
            return
        if draft.status == PAUSED and run.takes_calls:
            yield await self._calls(run, draft)
            return
        if draft.status == PAUSED:
            draft.run = await self._excuse(run, fields(draft.run))
            async with aclosing(following.poll()) as updates:
                async for update in updates:
                    yield update
        if draft.status == PAUSED:
            await self.cancel(run)
            raise RunFailed(PAUSED, PAUSED, text=draft.text)
        if draft.run is None:
            raise Retry("the run has no state")
        failed = draft.status in ("failed", "expired")
        acted = failed and await self._used_tools(run, draft)
        update = finish(draft.run, await self._answer(run), draft, acted=acted)
        yield replace(update, citations=await self._named(update.citations))

    async def _salvage(self, run: Run, draft: RunDraft, error: RunFailed) -> Update:
        """The answer of a run that the server has lost, where its thread holds it; else `error`."""
        messages = await self._answer(run)
        whole = [each for each in messages if each.get("status") in (None, "completed")]
        if not any(text_of_message(each).strip() for each in whole):
            raise error
        state = {**fields(draft.run), "status": "completed"}
        return finish(state, whole, RunDraft(state))

    async def _used_tools(self, run: Run, draft: RunDraft) -> bool:
        """Whether a run may have used the assistant's own tools."""
        if not fields(draft.run).get("tools"):
            return False
        path = ("threads", run.conversation_id, "runs", run.id, "steps")
        try:
            done = await self._api.all(*path, order="asc")
        except BotError:
            return True
        return any(step.get("type") == "tool_calls" for step in done)

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
        place = find_place(history, ts)
        if place is None:
            return
        path = ("threads", conversation.id, "messages")
        said = [m for m in await self._api.all(*path, order="asc") if m.get("role") == "user"]
        marked = [message for message in said if _metadata(message).get("slack_ts") == ts]
        alike = [m for m in said if text_of_message(m) == (place.text or NO_TEXT)]
        gone = marked[0] if marked else place.among(alike, again=again)
        if gone is not None:
            await self._delete_message(*path, text(gone.get("id")))

    async def _delete_message(self, *path: str) -> None:
        """Raises RunFailed if the message still exists, whatever the server answered."""
        try:
            await self._api.delete(*path, missing="message")
        except RunFailed as error:
            if error.reason != "message_not_found":
                raise
        try:
            await self._api.get(*path, missing="message")
        except RunFailed:
            return
        raise RunFailed("failed", "not_deleted")

    async def delete_run(self, run_id: str) -> None:
        """Nothing is left of a run once its conversation is deleted."""

    async def delete(self, conversation_id: str) -> None:
        with suppress(ConversationGone):
            await self._api.delete("threads", conversation_id)
        try:
            await self._api.get("threads", conversation_id)
        except (ConversationGone, RunFailed):
            return
        raise RunFailed("failed", "not_deleted")  # the 200 or 404 was wrong

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

    def _following(self, run: Run, draft: RunDraft) -> Following:
        async def cancel() -> Item:
            await self.cancel(run)
            return await self._fetch(run)

        async def reopen() -> None:
            """The protocol has no way to resume a stream."""

        return Following(
            draft,
            run.started_at,
            run.started_at + self._settings.bot_run_deadline,
            WORKING,
            fetch=lambda: self._fetch(run),
            cancel=cancel,
            reopen=reopen,
            timing=self._api.timing,
            watch=Watch(self._api.timing.lost_after, run.doubtful),
        )

    async def _find_message(self, conversation: Conversation, message: Message) -> Item | None:
        """The server's copy of a message of this turn. Its text decides only if metadata is not
        stored: the same text may occur in the history.
        """
        found = await self._messages_of_turn(conversation)
        said = [entry for entry in found if entry.get("role") == "user"]
        for entry in said:
            if _metadata(entry).get("slack_ts") == message.ts:
                return entry
        alike = [m for m in said if not _metadata(m) and text_of_message(m) == message.text]
        if not alike:
            return None
        thread = await self._api.get("threads", conversation.id)
        return None if _metadata(thread) else alike[-1]

    async def _messages_of_turn(self, conversation: Conversation) -> list[Json]:
        """The messages since the last successful turn, or the newest twenty."""
        path, after = ("threads", conversation.id, "messages"), conversation.last_item_id
        if after:
            with suppress(RunFailed, ConversationGone):
                page = await self._api.get(*path, order="asc", after=after, limit=100)
                return _data(page)
        page = await self._api.get(*path, order="desc", limit=NEWEST_MESSAGES)
        return _data(page)[::-1]

    async def _find_run(self, request: RunRequest) -> Json | None:
        """The run of this turn. Without stored metadata: one that is not older than the turn's last
        message, since no message can be added while a run is active.
        """
        path = ("threads", request.conversation.id, "runs")
        listed_runs = _data(await self._api.get(*path, order="desc", limit=NEWEST_RUNS))
        runs = [run for run in listed_runs if text(run.get("id")) not in request.failed]
        for run in runs:
            if _metadata(run).get("turn") == request.turn_id:
                return run
        if not runs or not request.messages or _metadata(runs[0]):
            return None
        last = await self._find_message(request.conversation, request.messages[-1])
        newest = max(runs, key=_created_at)
        is_ours = last is not None and _created_at(newest) >= _created_at(last)
        return newest if is_ours else None

    async def _read_first(self, live: LiveStream) -> Item:
        """The run, as soon as the stream names it; the rest of the stream is for `follow`."""
        draft = RunDraft()
        try:
            while draft.run is None:
                event = await live.first(self._api.timing.create_timeout)
                if event is None:
                    self._can_stream = False
                    raise Retry("a stream without a beginning")
                draft.take(event)
        except BaseException:
            await live.aclose()
            raise
        self._streams.keep(text(draft.run.get("id")), live, draft)
        return draft.run

    async def _fetch(self, run: Run) -> Json:
        path = ("threads", run.conversation_id, "runs", run.id)
        return _with_id(await self._api.get(*path))

    async def _calls(self, run: Run, draft: RunDraft) -> Update:
        """The calls of a run that waits, and what it has written by now."""
        messages = await self._answer(run)
        written, citations = read(messages)
        return Update(
            PAUSED,
            written,
            steps=tuple(draft.steps.values()),
            citations=await self._named(citations),
            last_item_id=text(messages[-1].get("id")) if messages else run.after,
            calls=waiting_calls(fields(draft.run)),
        )

    async def _excuse(self, run: Run, state: Item) -> Item:
        """Submit outputs for unavailable tools, so that the model continues without them."""
        outputs = [
            {"tool_call_id": call.id, "output": "error: this tool is not available"}
            for call in waiting_calls(state)
        ]
        path = ("threads", run.conversation_id, "runs", run.id, "submit_tool_outputs")
        return _with_id(await self._api.post(*path, body={"tool_outputs": outputs}))

    async def _named(self, citations: Sequence[Citation]) -> tuple[Citation, ...]:
        """The citations with the names of their files, which must be fetched."""
        names: dict[str, str] = {}
        for file_id in dict.fromkeys(citation.file_id for citation in citations):
            if file_id:
                with suppress(BotError):
                    found = await self._api.get("files", file_id, missing="file")
                    names[file_id] = text(found.get("filename"))
        return tuple(replace(c, filename=names.get(c.file_id or "")) for c in citations)

    async def _answer(self, run: Run) -> list[Item]:
        """The messages of the run, in order."""
        path = ("threads", run.conversation_id, "messages")
        messages = await self._api.all(*path, run_id=run.id, order="asc")
        # Some servers ignore `run_id`, or do not report the run of a message.
        asked = max((i for i, m in enumerate(messages) if m.get("role") == "user"), default=-1)
        ours: list[Item] = [
            message
            for index, message in enumerate(messages)
            if message.get("role") == "assistant"
            and (message.get("run_id") == run.id or (not message.get("run_id") and index > asked))
        ]
        before = [index for index, message in enumerate(ours) if message.get("id") == run.after]
        return ours[before[0] + 1 :] if run.after and before else ours


def _content(record: Record) -> str | list[Json]:
    """The text, and as a separate part what is kept of the files."""
    words = record.text or NO_TEXT
    if not record.files:
        return words
    return [{"type": "text", "text": text} for text in (words, record.files)]


def _with_id(answer: Json) -> Json:
    """The response, if it is an object of the protocol; otherwise raises Retry."""
    if text(answer.get("id")):
        return answer
    raise Retry("not an answer of the protocol")


def _wants(state: Item, outputs: Sequence[FunctionOutput]) -> bool:
    """Whether a run waits for these outputs."""
    wanted = {call.id for call in waiting_calls(state)}
    return bool(wanted) and wanted == {output.call.id for output in outputs}


def _as_run(run: Item, conversation: Conversation, started_at: float) -> Run:
    status: Any = text(run.get("status")) or "queued"
    return Run(text(run.get("id")), conversation.id, started_at, status)


def _created_at(thing: Item) -> float:
    value = thing.get("created_at")
    return float(value) if isinstance(value, int | float) else 0.0


def _data(page: Json) -> list[Json]:
    return [entry for entry in listed(page.get("data")) if isinstance(entry, dict)]


def _metadata(thing: Item) -> Item:
    """Its metadata; one server uses another name for it."""
    return fields(thing.get("metadata") or thing.get("metadata_"))
