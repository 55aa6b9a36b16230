"""The engine for servers that speak the Assistants protocol: threads, messages, runs.

OpenAI itself has retired it (August 2026); other servers go on with it. Here, and only here,
`thread` means the server's thread; the Slack thread is what it belongs to.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, cast

import openai
from openai import AsyncOpenAI, AsyncStream, Omit, omit
from openai.types.beta import AssistantStreamEvent
from openai.types.beta import Thread as ServerThread
from openai.types.beta.threads import Message as ServerMessage
from openai.types.beta.threads import Run as ServerRun

from bot.engines import RunRequest
from bot.engines.attachments import message_content
from bot.engines.client import LOOK, STREAMS, open_client
from bot.engines.errors import checked, vendor_errors
from bot.engines.polling import DeadlinePassed, cadence, error_backoff, poll
from bot.engines.retraction import find_place
from bot.engines.runs import WORKING, RunDraft, finish, text_of
from bot.engines.streams import UPDATE_SECONDS, LiveStream, LiveStreams, batches, patience
from bot.errors import BotError, ConfigError, ConversationGone, Retry, RunFailed
from bot.media import Attachment, FileKind
from bot.models import (
    Citation,
    Conversation,
    MadeFile,
    Message,
    Record,
    Run,
    Thread,
    Update,
)
from bot.settings import Settings

MESSAGES_PER_CALL = 20
NEWEST_MESSAGES = 20
NEWEST_RUNS = 5
NO_TEXT = "(a message without text)"


@asynccontextmanager
async def open_assistants(settings: Settings) -> AsyncIterator["AssistantsEngine"]:
    """Open the engine on the server that the settings name and close it in the end."""
    async with open_client(settings) as client:
        engine = AssistantsEngine(client, settings)
        try:
            yield engine
        finally:
            await engine.aclose()


class AssistantsEngine:
    """`bot.engines.Engine` over threads, messages and runs."""

    name = "assistants"
    appends = True
    reads: frozenset[FileKind] = frozenset({"image", "document", "text"})

    def __init__(
        self,
        client: AsyncOpenAI,
        settings: Settings,
        *,
        delays: Callable[[float], Iterator[float]] = cadence,
        errors: Callable[[], Iterator[float]] = error_backoff,
    ) -> None:
        if settings.openai_assistant_id is None:
            raise ConfigError("OPENAI_ASSISTANT_ID", "is not set")
        self._assistant_id = settings.openai_assistant_id
        self._client = client
        self._threads = client.beta.threads
        self._settings = settings
        self._delays = delays
        self._errors = errors
        self._streams = LiveStreams[AssistantStreamEvent, RunDraft](STREAMS)
        self._can_stream = settings.bot_streaming

    async def aclose(self) -> None:
        await self._streams.aclose()

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        messages: list[Any] = [
            {"role": record.role, "content": record.text or NO_TEXT} for record in history
        ]
        metadata = {
            "slack_team": thread.team_id,
            "slack_channel": thread.channel_id,
            "slack_thread_ts": thread.thread_ts,
            "slack_user": user_id,
            "created_at": str(int(time.time())),
        }
        with vendor_errors(missing="endpoint"):
            created = await self._threads.create(
                messages=messages[:MESSAGES_PER_CALL], metadata=metadata
            )
        thread_id = checked(ServerThread, created).id
        for message in messages[MESSAGES_PER_CALL:]:
            with vendor_errors():
                await self._threads.messages.create(thread_id, **message)
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
                return str(found.id)
        text = message.text or NO_TEXT
        content = await message_content(self._client, text, files) if files else {"content": text}
        with vendor_errors():
            created = await self._threads.messages.create(
                conversation.id,
                role="user",
                **content,
                metadata={"turn": turn_id, "slack_ts": message.ts, "slack_user": message.user_id},
            )
        return checked(ServerMessage, created).id

    async def start(self, request: RunRequest) -> Run:
        """With `again`, a run that was started for this turn is adopted, whatever became of it.

        While another run is active the server refuses: Retry.
        """
        conversation, options = request.conversation, request.options
        if request.again:
            found = await self._find_run(conversation, request.messages, request.turn_id)
            if found is not None:
                began = min(time.time(), float(found.created_at))
                return Run(found.id, conversation.id, began, found.status)
        started_at = time.time()
        with self._streams.room() as room:
            with vendor_errors():
                created = cast(
                    object,
                    await self._threads.runs.create(
                        conversation.id,
                        assistant_id=self._assistant_id,
                        model=self._override("openai_model", options.model),
                        instructions=self._override("bot_instructions", options.instructions),
                        metadata={"turn": request.turn_id},
                        stream=(room and self._can_stream) or omit,
                    ),
                )
            if not isinstance(created, AsyncStream):
                run = checked(ServerRun, created)
                return Run(run.id, conversation.id, started_at, run.status)
            live = self._streams.add(created)
        first = await self._read_first(live)
        return Run(first.id, conversation.id, started_at, first.status)

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        deadline = run.started_at + self._settings.bot_run_deadline
        live, draft = self._streams.take(run.id) or (None, RunDraft())
        if live is not None:
            async with aclosing(self._stream(live, draft, deadline)) as updates:
                async for update in updates:
                    yield update
        excused = False
        while True:
            async with aclosing(self._poll(run, draft, deadline)) as updates:
                async for update in updates:
                    yield update
            if draft.run is None or draft.status != "requires_action":
                break
            if excused:
                await self.cancel(run)
                raise RunFailed("requires_action", "requires_action", text=draft.text)
            draft.run = await self._excuse(run, draft.run)
            excused = True
        if draft.run is None:
            raise Retry("the run has no state")
        update = finish(draft.run, await self._answer(run), draft)
        yield replace(update, citations=await self._named(update.citations))

    async def cancel(self, run: Run) -> None:
        with vendor_errors(), suppress(openai.BadRequestError, openai.NotFoundError):
            await self._threads.runs.cancel(run.id, thread_id=run.conversation_id, timeout=LOOK)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        with vendor_errors(missing="file"):
            content = await self._client.files.content(file.id)
            return await content.aread()

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        place = find_place(history, ts)
        if place is None:
            return
        with vendor_errors():
            listed = self._threads.messages.list(
                conversation.id, order="asc", limit=100, timeout=LOOK
            )
            said: list[Any] = [message async for message in listed if message.role == "user"]
        marked = [message for message in said if _metadata(message).get("slack_ts") == ts]
        alike = [message for message in said if _words_of(message) == (place.text or NO_TEXT)]
        gone = marked[0] if marked else place.among(alike, again=again)
        if gone is not None:
            with vendor_errors(), suppress(openai.NotFoundError):
                await self._threads.messages.delete(gone.id, thread_id=conversation.id)

    async def delete(self, conversation_id: str) -> None:
        with vendor_errors(), suppress(openai.NotFoundError):
            await self._threads.delete(conversation_id)

    def _override(self, field: str, given: str) -> str | Omit:
        """What the assistant's own model or instructions are replaced with, if with anything."""
        default = Settings.model_fields[field].default
        if given and given != default:
            return given
        if field in self._settings.model_fields_set:
            return str(getattr(self._settings, field))
        return omit

    async def _find_message(self, conversation: Conversation, message: Message) -> Any | None:
        """What became of a message of this turn. Its words decide only where metadata is not kept:
        the same words may stand in the history.
        """
        listed = [m for m in await self._messages_of_turn(conversation) if m.role == "user"]
        for found in listed:
            if _metadata(found).get("slack_ts") == message.ts:
                return found
        alike = [m for m in listed if not _metadata(m) and text_of(m.content[0]) == message.text]
        if not alike:
            return None
        with vendor_errors():
            thread = await self._threads.retrieve(conversation.id, timeout=LOOK)
        return None if _metadata(thread) else alike[-1]

    async def _messages_of_turn(self, conversation: Conversation) -> list[Any]:
        """What came since the last turn that is known to have succeeded, or the newest twenty."""
        after = conversation.last_item_id
        if after:
            with suppress(RunFailed, ConversationGone), vendor_errors():
                page = await self._threads.messages.list(
                    conversation.id, order="asc", after=after, limit=100, timeout=LOOK
                )
                return page.data
        with vendor_errors():
            page = await self._threads.messages.list(
                conversation.id, order="desc", limit=NEWEST_MESSAGES, timeout=LOOK
            )
        return page.data[::-1]

    async def _find_run(
        self, conversation: Conversation, messages: Sequence[Message], turn_id: str
    ) -> ServerRun | None:
        """The run of this turn. Where the server keeps no metadata: one that is not older than
        the turn's last message, since no message can be added while a run is active.
        """
        with vendor_errors():
            page = await self._threads.runs.list(
                conversation.id, order="desc", limit=NEWEST_RUNS, timeout=LOOK
            )
        for run in page.data:
            if _metadata(run).get("turn") == turn_id:
                return run
        if not page.data or not messages or _metadata(page.data[0]):
            return None
        last = await self._find_message(conversation, messages[-1])
        newest = max(page.data, key=lambda run: run.created_at)
        return newest if last is not None and newest.created_at >= last.created_at else None

    async def _read_first(self, live: LiveStream[AssistantStreamEvent]) -> ServerRun:
        """The run, as soon as the stream names it; the rest of the stream is for `follow`."""
        draft = RunDraft()
        try:
            while draft.run is None:
                event = await live.first()
                if event is None:
                    self._can_stream = False
                    raise Retry("a stream without a beginning")
                draft.take(event)
        except BaseException:
            await live.aclose()
            raise
        self._streams.keep(draft.run.id, live, draft)
        return draft.run

    async def _stream(
        self, live: LiveStream[AssistantStreamEvent], draft: RunDraft, deadline: float
    ) -> AsyncGenerator[Update, None]:
        """Read the stream as long as it goes; there is no way to take it up again."""
        news = batches(aiter(live), interval=UPDATE_SECONDS, silence=patience(deadline))
        with suppress(Retry):
            async with aclosing(live), aclosing(news):
                async for events in news:
                    for event in events:
                        draft.take(event)
                    if draft.status in WORKING:
                        yield draft.update()

    async def _poll(
        self, run: Run, draft: RunDraft, deadline: float
    ) -> AsyncGenerator[Update, None]:
        if draft.run is not None and draft.status not in WORKING:
            return
        states = poll(
            lambda: self._fetch(run),
            lambda state: state.status not in WORKING,
            delays=self._delays(time.time() - run.started_at),
            errors=self._errors,
            deadline=deadline,
        )
        try:
            async with aclosing(states):
                async for state in states:
                    draft.run = state
                    if state.status in WORKING:
                        yield draft.update()
        except DeadlinePassed:
            await self._give_up(run, draft)

    async def _give_up(self, run: Run, draft: RunDraft) -> None:
        """Cancel a run that is past its deadline, unless it completes in this very moment."""
        with suppress(BotError):
            await self.cancel(run)
            draft.run = await self._fetch(run)
        if draft.status != "completed":
            raise RunFailed("expired", "deadline", text=draft.text)

    async def _fetch(self, run: Run) -> ServerRun:
        with vendor_errors():
            state = await self._threads.runs.retrieve(
                run.id, thread_id=run.conversation_id, timeout=LOOK
            )
        return checked(ServerRun, state)

    async def _excuse(self, run: Run, state: ServerRun) -> ServerRun:
        """Tell the model that its tools are not there, so that it answers without them."""
        action = state.required_action
        calls = action.submit_tool_outputs.tool_calls if action is not None else []
        with vendor_errors():
            return await self._threads.runs.submit_tool_outputs(
                run.id,
                thread_id=run.conversation_id,
                tool_outputs=[
                    {"tool_call_id": call.id, "output": "error: this tool is not available"}
                    for call in calls
                ],
            )

    async def _named(self, citations: Sequence[Citation]) -> tuple[Citation, ...]:
        """The citations with the names of their files, which the server tells only when asked."""
        names: dict[str, str] = {}
        for file_id in dict.fromkeys(citation.file_id for citation in citations):
            with suppress(BotError), vendor_errors(missing="file"):
                if file_id:
                    found = await self._client.files.retrieve(file_id, timeout=LOOK)
                    names[file_id] = found.filename
        return tuple(replace(c, filename=names.get(c.file_id or "")) for c in citations)

    async def _answer(self, run: Run) -> list[Any]:
        """The messages that the run has written, in order."""
        with vendor_errors():
            listed = self._threads.messages.list(
                run.conversation_id, run_id=run.id, order="asc", limit=100, timeout=LOOK
            )
            messages: list[Any] = [message async for message in listed]
        # Some servers ignore `run_id`, or do not tell of which run a message is.
        asked = max((i for i, m in enumerate(messages) if m.role == "user"), default=-1)
        return [
            message
            for index, message in enumerate(messages)
            if message.role == "assistant"
            and (message.run_id == run.id or (not message.run_id and index > asked))
        ]


def _words_of(message: Any) -> str:
    return text_of(message.content[0]) if message.content else ""


def _metadata(thing: Any) -> dict[str, str]:
    """Its metadata; at one server they are found under another name."""
    return thing.metadata or getattr(thing, "metadata_", None) or {}
