"""The engine for servers that speak Conversations and Responses.

A Slack thread is a conversation; a turn is one background response on it, which carries the turn's
messages with it. The server keeps input and output together once the response has completed.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream, omit
from openai.types.responses import Response, ResponseStreamEvent

from bot.engines import RunRequest, conversations
from bot.engines.answer import (
    WORKING,
    Draft,
    Item,
    is_message,
    made_files,
    read,
    read_image,
)
from bot.engines.client import CREATE, LOOK, STREAMS, open_client
from bot.engines.errors import checked, vendor_errors
from bot.engines.polling import DeadlinePassed, cadence, error_backoff, poll
from bot.engines.replay import PREFIX as REPLAYED
from bot.engines.replay import Replay
from bot.engines.requests import Requests, as_item
from bot.engines.retraction import find_place
from bot.engines.streams import UPDATE_SECONDS, LiveStream, LiveStreams, batches, patience
from bot.errors import BotError, Retry, RunFailed
from bot.media import Attachment, FileKind
from bot.models import Conversation, MadeFile, Message, Record, Run, Thread, Update
from bot.settings import Settings
from bot.telemetry.log import log

ADOPTED = "item:"
"""Begins the id of a run of which only its items in the conversation are known."""

USELESS_STREAMS = 3
REOPENED_AT_ONCE = 8
"""Streams that are opened again at the same time: who takes up a thousand runs looks at all of them
before most streams begin."""
REOPEN_PATIENCE = 5.0
"""Seconds to wait for that. Then a run is polled."""


@asynccontextmanager
async def open_responses(settings: Settings) -> AsyncIterator["ResponsesEngine"]:
    """Open the engine on the server that the settings name and close it in the end."""
    Response.model_rebuild()  # else the SDK does it at the first answer, and all others wait
    async with open_client(settings) as client:
        engine = ResponsesEngine(client, settings)
        try:
            yield engine
        finally:
            await engine.aclose()


class ResponsesEngine:
    """`bot.engines.Engine` over Conversations and Responses."""

    name = "responses"
    appends = False
    reads: frozenset[FileKind] = frozenset({"image", "document", "audio", "text"})

    def __init__(
        self,
        client: AsyncOpenAI,
        settings: Settings,
        *,
        delays: Callable[[float], Iterator[float]] = cadence,
        errors: Callable[[], Iterator[float]] = error_backoff,
    ) -> None:
        self._client = client
        self._responses = client.responses  # named now: the SDK imports it at this moment
        self._settings = settings
        self._delays = delays
        self._errors = errors
        self._streams = LiveStreams[ResponseStreamEvent, Draft](STREAMS)
        self._reopening = asyncio.Semaphore(REOPENED_AT_ONCE)
        self._requests = Requests(client, settings)
        self._replay = Replay(self._requests, settings)
        self._server_remembers = True

    async def aclose(self) -> None:
        await self._streams.aclose()
        await self._replay.aclose()

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        """On a server without conversations this process keeps them: see `bot.engines.replay`."""
        if self._server_remembers:
            try:
                return await conversations.create(self._client, thread, user_id, history)
            except RunFailed as error:
                if error.reason != "endpoint_not_found":
                    raise
            log.info("conversations_kept_here")
            self._server_remembers = False
        return self._replay.begin(history)

    async def append(
        self,
        conversation: Conversation,
        message: Message,
        *,
        turn_id: str,
        again: bool,
        files: Sequence[Attachment] = (),
    ) -> str:
        """The messages go with the run."""
        return ""

    async def start(self, request: RunRequest) -> Run:
        """What the conversation is owed goes along. With `again`, an answer that is already there
        is adopted, and messages that are already there are not sent a second time. While the server
        is at work on an attempt of which the id was lost it refuses another one: Retry, until its
        answer can be adopted.
        """
        conversation = request.conversation
        if conversation.id.startswith(REPLAYED):
            return self._replay.start(request)
        said, again = request.input, request.again
        kept = 0
        if (again and request.messages) or conversation.owed:
            items = await conversations.items_of_turn(self._client, conversation)
            kept, last = conversations.find_messages(items, said)
            if again and 0 < kept == len(said) and read(items[last + 1 :])[0]:
                return Run(ADOPTED + items[last].id, conversation.id, time.time(), "completed")
        given = [as_item(message, request.files.get(message.ts, ())) for message in said[kept:]]
        body = self._requests.body(request)
        body |= {"conversation": conversation.id, "background": True, "store": True}
        try:
            return await self._open(conversation, body, given)
        except RunFailed as error:
            if error.reason != "unanswered_call":
                raise
        excuses = await conversations.excuses(self._client, conversation.id)
        return await self._open(conversation, body, [*excuses, *given])

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        if run.id.startswith(REPLAYED):
            async with aclosing(self._replay.follow(run)) as updates:
                async for update in updates:
                    yield update
            return
        if run.id.startswith(ADOPTED):
            yield await self._read_adopted(run)
            return
        deadline = run.started_at + self._settings.bot_run_deadline
        live, draft = self._streams.take(run.id) or (None, Draft())
        async with aclosing(self._stream(run, live, draft, deadline)) as updates:
            async for update in updates:
                yield update
        try:
            async with aclosing(self._poll(run, draft, deadline)) as updates:
                async for update in updates:
                    yield update
        except RunFailed as error:
            if error.reason != "run_not_found":
                raise
            yield await self._salvage(conversation, error)
            return
        yield draft.finish()

    async def cancel(self, run: Run) -> None:
        if run.id.startswith(REPLAYED):
            self._replay.cancel(run)
        elif not run.id.startswith(ADOPTED):
            await self._cancel(run.id)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        if file.container_id:
            with vendor_errors(missing="file"):
                content = await self._client.containers.files.content.retrieve(
                    file.id, container_id=file.container_id
                )
                return await content.aread()
        if run.id.startswith(REPLAYED):
            return read_image(self._replay.items(run), file.id)
        if run.id.startswith(ADOPTED):
            last = run.id.removeprefix(ADOPTED)
            items = await conversations.items_after(self._client, run.conversation_id, last)
            return read_image(items, file.id)
        return read_image((await self._fetch(run.id)).output, file.id)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        place = find_place(history, ts)
        if place is None:
            return
        if conversation.id.startswith(REPLAYED):
            self._replay.retract(conversation.id, place, again=again)
        else:
            await conversations.retract(self._client, conversation.id, place, again=again)

    async def delete(self, conversation_id: str) -> None:
        if conversation_id.startswith(REPLAYED):
            self._replay.delete(conversation_id)
        else:
            await conversations.erase(self._client, conversation_id)

    async def _open(
        self, conversation: Conversation, body: dict[str, Any], given: list[dict[str, Any]]
    ) -> Run:
        """Create the response; returns as soon as its id is known."""
        started_at = time.time()
        if given:
            body = {**body, "input": given}
        with self._room() as room:
            created = await self._requests.create({**body, "stream": True} if room else body)
            if not isinstance(created, AsyncStream):
                response = checked(Response, created)
                return Run(response.id, conversation.id, started_at, response.status or "queued")
            live = self._streams.add(created)
        draft = Draft()
        try:
            while not draft.id:
                event = await live.first()
                if event is None:
                    raise Retry("a stream without a beginning")
                draft.take(event)
        except BaseException:
            await live.aclose()
            raise
        self._streams.keep(draft.id, live, draft)
        return Run(draft.id, conversation.id, started_at, draft.status)

    @contextmanager
    def _room(self) -> Iterator[bool]:
        """Whether to stream: wanted, understood, and not too many already."""
        if not self._settings.bot_streaming or self._requests.refuses("stream"):
            yield False
            return
        with self._streams.room() as room:
            yield room

    async def _stream(
        self,
        run: Run,
        live: LiveStream[ResponseStreamEvent] | None,
        draft: Draft,
        deadline: float,
    ) -> AsyncGenerator[Update, None]:
        """Read the run's events, over as many streams as it takes; ends where polling has to do."""
        useless = 0
        while useless < USELESS_STREAMS:
            live = live or await self._reopen(run, draft, deadline)
            if live is None:
                return
            seen, opened = draft.seen, time.monotonic()
            silence = patience(deadline)
            news = batches(aiter(live), interval=UPDATE_SECONDS, silence=silence)
            with suppress(Retry):
                async with aclosing(live), aclosing(news):
                    async for events in news:
                        for event in events:
                            draft.take(event)
                        if draft.ended is None:
                            yield draft.update()
            live = None
            if draft.ended is not None:
                return
            was_silent = time.monotonic() - opened >= silence
            useless = 0 if was_silent or draft.seen > seen else useless + 1

    async def _reopen(
        self, run: Run, draft: Draft, deadline: float
    ) -> LiveStream[ResponseStreamEvent] | None:
        """A stream of what comes after the events seen; None where there is none to be had."""
        if time.time() >= deadline:
            return None
        with self._room() as room, suppress(Retry, RunFailed):
            if not room:
                return None
            draft.take_state(await self._fetch(run.id))
            if draft.ended is not None:
                return None
            if not await self._may_reopen():
                return None
            try:
                with vendor_errors(missing="run"):
                    stream = await self._responses.retrieve(
                        run.id,
                        stream=True,
                        starting_after=draft.seen if draft.seen >= 0 else omit,
                        timeout=CREATE,
                    )
            finally:
                self._reopening.release()
            return self._streams.add(stream)
        return None

    async def _may_reopen(self) -> bool:
        try:
            async with asyncio.timeout(REOPEN_PATIENCE):
                return await self._reopening.acquire()
        except TimeoutError:
            return False

    async def _poll(self, run: Run, draft: Draft, deadline: float) -> AsyncGenerator[Update, None]:
        if draft.ended is not None:
            return
        states = poll(
            lambda: self._fetch(run.id),
            lambda response: response.status not in WORKING,
            delays=self._delays(time.time() - run.started_at),
            errors=self._errors,
            deadline=deadline,
        )
        try:
            async with aclosing(states):
                async for response in states:
                    draft.take_state(response)
                    del response  # as in `poll`
                    if draft.ended is None:
                        yield draft.update()
        except DeadlinePassed:
            await self._give_up(run, draft)

    async def _give_up(self, run: Run, draft: Draft) -> None:
        """Cancel a run that is past its deadline, unless it completes in this very moment."""
        with suppress(BotError):
            response = await self._cancel(run.id)
            if response is not None:
                draft.take_state(response)
        if draft.status != "completed":
            raise RunFailed("expired", "deadline", text=draft.text)

    async def _fetch(self, response_id: str) -> Response:
        with vendor_errors(missing="run"):
            response = await self._responses.retrieve(response_id, timeout=LOOK)
        return checked(Response, response)

    async def _cancel(self, response_id: str) -> Response | None:
        """The response as it ended; None where the server will not cancel or does not know it."""
        with vendor_errors(missing="run"):
            try:
                response = await self._responses.cancel(response_id, timeout=LOOK)
            except (openai.BadRequestError, openai.ConflictError, openai.NotFoundError):
                return None
        return checked(Response, response)

    async def _salvage(self, conversation: Conversation, error: RunFailed) -> Update:
        """The answer of a response that the server has dropped already: the items stay longer."""
        items = await conversations.items_of_turn(self._client, conversation)
        asked = [item for item in items if is_message(item, "user")]
        if not asked:
            raise error
        return _update_of(items[items.index(asked[-1]) + 1 :], error)

    async def _read_adopted(self, run: Run) -> Update:
        last = run.id.removeprefix(ADOPTED)
        items = await conversations.items_after(self._client, run.conversation_id, last)
        return _update_of(items, RunFailed("failed", "run_not_found"))


def _update_of(items: Sequence[Item], otherwise: RunFailed) -> Update:
    """The last update of a run of which these are the items; without a text in them `otherwise`."""
    text, citations = read(items)
    if not text:
        raise otherwise
    if any(getattr(item, "status", None) == "incomplete" for item in items):
        raise RunFailed("incomplete", "incomplete", text=text)
    files = made_files(items)
    return Update("completed", text, citations=citations, files=files, last_item_id=items[-1].id)
