"""The engine for servers that speak Conversations and Responses.

A Slack thread is a conversation; a turn is one background response on it, whose input has the
turn's messages. The server stores input and output together once the response has completed.
"""

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from bot.calls import FunctionOutput
from bot.engines import RunRequest, conversations
from bot.engines.adopted import PREFIX as ADOPTED
from bot.engines.adopted import AdoptedRuns
from bot.engines.answer import WORKING, PartialResponse, update_of
from bot.engines.api import Api, with_id
from bot.engines.client import STREAMS
from bot.engines.events import EventStream
from bot.engines.following import Following
from bot.engines.foreground import ForegroundRuns, is_lost
from bot.engines.functions import answered_call, answered_calls, with_calls
from bot.engines.items import Item, is_message, read_image, text
from bot.engines.kept import Kept, find_kept, input_of
from bot.engines.overtaken import overtaken
from bot.engines.requests import Requests, response_body
from bot.engines.retraction import find_place
from bot.engines.sent_with_run import SentWithRun
from bot.engines.streams import LiveStream, LiveStreams
from bot.engines.watch import Watch
from bot.errors import ConversationGone, Retry, RunFailed
from bot.media import FileKind
from bot.models import Conversation, Json, MadeFile, Record, Run, Thread, Update
from bot.settings import Settings
from bot.telemetry.log import log

REPAIRS = 3
"""Tries to open a response: the first one, and one for each kind of mismatch of calls."""
REOPENED_AT_ONCE = 8
"""Streams that are reopened concurrently: a worker that takes over a thousand runs polls all of
them before most streams begin."""
LOST = frozenset({"run_not_found", "run_lost"})
"""Reasons of failures after which the conversation may still hold the answer."""
NOT_CANCELLABLE = frozenset({400, 404, 409})


class ResponsesEngine(SentWithRun):
    """`bot.engines.Engine` over Conversations and Responses."""

    name = "responses"
    reads: frozenset[FileKind] = frozenset({"image", "document", "audio", "text"})

    def __init__(self, api: Api, settings: Settings, *, streams: int = STREAMS) -> None:
        self._api = api
        self._settings = settings
        self._streams = LiveStreams[PartialResponse](streams, api.timing)
        self._reopening = asyncio.Semaphore(REOPENED_AT_ONCE)
        self._requests = Requests(api, "responses")
        self._adopted = AdoptedRuns(api)
        self._foreground = ForegroundRuns()

    async def aclose(self) -> None:
        await self._streams.aclose()

    async def begin(self, thread: Thread, user_id: str, history: Sequence[Record] = ()) -> str:
        """Raises RunFailed("endpoint_not_found") on a server without conversations."""
        return await conversations.create(self._api, thread, user_id, history)

    async def start(self, request: RunRequest) -> Run:
        """Send along what the conversation is owed. With `again`, an answer that is already there
        is adopted, and what is already there is not sent a second time. While the server is working
        on an attempt whose id was lost it refuses another one: Retry, until its answer can be
        adopted.
        """
        if request.restarted and not (request.again or request.asked_by):
            await self._check_clean(request.conversation)
        kept = await self._kept(request)
        if adopted := _adopted(request, kept):
            return adopted
        run = await self._send(request, input_of(request, kept))
        if request.again and (adopted := await self._withdraw(request, run)):
            return adopted
        return replace(run, takes_calls=request.takes_calls)

    async def _withdraw(self, request: RunRequest, run: Run) -> Run | None:
        """The run of an earlier attempt, if it ended between the look and the request."""
        if run.id.startswith(ADOPTED) or request.asked_by:
            return None
        end = functools.partial(self._end, run)
        question = await overtaken(self._api, request, lambda: self._fetch(run.id), end)
        return _run_after(question, request) if question else None

    async def _end(self, run: Run) -> None:
        """Cancel a run that no one follows."""
        if kept := self._streams.take(run.id):
            await kept[0].aclose()
        await self.cancel(run)

    async def _check_clean(self, conversation: Conversation) -> None:
        """Raise ConversationGone if a cancelled response left something."""
        if await conversations.items_of_turn(self._api, conversation):
            raise ConversationGone(conversation.id)

    async def _kept(self, request: RunRequest) -> Kept:
        """The part of a request that the conversation may already hold."""
        has_input = not request.asked_by and (request.messages or request.earlier)
        owed = not request.asked_by and request.conversation.owed
        again = request.again or request.failed
        if owed or (again and (has_input or request.outputs)):
            items = await conversations.items_of_turn(self._api, request.conversation)
            return find_kept(items, request)
        return Kept()

    async def _send(self, request: RunRequest, given: list[Json]) -> Run:
        """Create the response; a conversation whose calls and outputs do not match is repaired."""
        conversation = request.conversation
        body = response_body(request, self._settings)
        body |= {"conversation": conversation.id, "background": True, "store": True}
        for _ in range(REPAIRS):
            try:
                return await self._open(conversation, body, given)
            except RunFailed as error:
                if error.reason == "unanswered_call":
                    # The run of an earlier attempt may have ended since the items were read.
                    if adopted := _adopted(request, await self._kept(request)):
                        return adopted
                    given = await self._with_missing_outputs(conversation, given)
                elif error.reason == "unknown_call":
                    given = with_calls(given, request.outputs)
                else:
                    raise
        log.warning("conversation_not_repaired", conversation=conversation.id)
        raise ConversationGone(conversation.id)

    async def _with_missing_outputs(
        self, conversation: Conversation, given: list[Json]
    ) -> list[Json]:
        missing = await conversations.missing_outputs(self._api, conversation.id)
        known = answered_calls(given)
        return [*(item for item in missing if answered_call(item) not in known), *given]

    async def close_calls(
        self, conversation: Conversation, run: Run, outputs: Sequence[FunctionOutput]
    ) -> None:
        await conversations.close_calls(self._api, conversation.id, outputs)

    async def follow(self, run: Run, conversation: Conversation) -> AsyncGenerator[Update, None]:
        if run.id.startswith(ADOPTED):
            yield await self._adopted.answer(run)
            return
        live, partial = self._streams.take(run.id) or (None, PartialResponse())
        following = self._following(run, partial)
        updates = following.updates(live)
        del live  # its polls may continue for long after the stream
        try:
            async with following:
                async for update in updates:
                    if update is not None:
                        yield update
        except RunFailed as error:
            if error.reason not in LOST:
                raise
            if run.id in self._foreground:
                raise ConversationGone(run.id) from None
            yield await self._salvage(run, conversation, error)
            return
        finally:
            self._foreground.discard(run.id)
        if is_lost(partial.ended):
            raise ConversationGone(run.id)
        yield partial.finish(takes_calls=run.takes_calls)

    async def cancel(self, run: Run) -> None:
        if not run.id.startswith(ADOPTED) and not self._foreground.stop(run.id):
            await self._cancel(run.id)

    async def fetch(self, run: Run, file: MadeFile) -> bytes:
        if file.container_id:
            return await self._api.file_content(file.id, file.container_id)
        if run.id.startswith(ADOPTED):
            return read_image(await self._adopted.items(run), file.id)
        output: Any = (await self._fetch(run.id)).get("output")
        return read_image(output or (), file.id)

    async def retract(
        self, conversation: Conversation, history: Sequence[Record], ts: str, *, again: bool
    ) -> None:
        place = find_place(history, ts)
        if place is not None:
            await conversations.retract(self._api, conversation.id, place, again=again)

    async def delete(self, conversation_id: str) -> None:
        await conversations.erase(self._api, conversation_id)

    async def delete_run(self, run_id: str) -> None:
        with suppress(ConversationGone):
            await self._api.delete("responses", run_id)
        try:
            await conversations.check_deleted(self._api, "responses", run_id)
        except Retry:  # not confirmed; the conversation is tried next
            raise RunFailed("failed", "not_deleted") from None

    def _following(self, run: Run, partial: PartialResponse) -> Following:
        return Following(
            partial,
            run.started_at,
            run.started_at + self._settings.bot_run_deadline,
            WORKING,
            _Source(self, run, partial),
            timing=self._api.timing,
            watch=Watch(self._api.timing.lost_after, run.doubtful),
        )

    async def _open(self, conversation: Conversation, body: Json, given: list[Json]) -> Run:
        """Create the response; returns as soon as its id is known."""
        started_at = time.time()
        if given:
            body = {**body, "input": given}
        with self._room() as room:
            created = await self._requests.create({**body, "stream": True} if room else body)
            if not isinstance(created, EventStream):
                response, status = with_id(created), created.get("status")
                started: Any = text(status) or "queued"
                return Run(text(response.get("id")), conversation.id, started_at, started)
            live = self._streams.add(created)
        partial = await self._read_first(live)
        self._streams.keep(partial.id, live, partial)
        if self._requests.in_foreground:
            live.is_vital = True
            self._foreground.add(live, partial)
        return Run(partial.id, conversation.id, started_at, partial.status)

    async def _read_first(self, live: LiveStream) -> PartialResponse:
        """Read the stream until it names the response."""
        partial = PartialResponse()
        try:
            while not partial.id:
                event = await live.first(self._api.timing.create_timeout)
                if event is None:
                    raise Retry("a stream without a beginning")
                partial.take(event)
        except BaseException:
            await live.aclose()
            raise
        return partial

    @contextmanager
    def _room(self, *, displacing: bool = True) -> Iterator[bool]:
        """Whether to stream: wanted, understood, and not too many already."""
        if not self._settings.bot_streaming or self._requests.refuses("stream"):
            yield False
            return
        with self._streams.room(displacing=displacing) as room:
            yield room

    async def _reopen(self, run: Run, partial: PartialResponse) -> LiveStream | None:
        """A stream of the events after those seen; None if none is available."""
        with self._room(displacing=False) as room:
            if not room:
                return None
            try:
                partial.take_state(await self._fetch(run.id))
                if partial.ended is not None or not await self._may_reopen():
                    return None
                try:
                    after = {"starting_after": partial.seen} if partial.seen >= 0 else {}
                    stream = await self._api.events("responses", run.id, **after)
                finally:
                    self._reopening.release()
            except (Retry, RunFailed, ConversationGone):
                return None
            return self._streams.add(stream)

    async def _may_reopen(self) -> bool:
        try:
            async with asyncio.timeout(self._api.timing.reopen_patience):
                return await self._reopening.acquire()
        except TimeoutError:
            return False

    async def _fetch(self, response_id: str) -> Item:
        return with_id(await self._api.get("responses", response_id, missing="run"))

    async def _cancel(self, response_id: str) -> Item | None:
        """The final response; None if the server cannot cancel it or does not know it."""
        path = ("responses", response_id, "cancel")
        ended = await self._api.attempt(*path, ignored=NOT_CANCELLABLE)
        return None if ended is None else with_id(ended)

    async def _salvage(self, run: Run, conversation: Conversation, error: RunFailed) -> Update:
        """The answer of a response that the server has already dropped: its items are kept
        longer."""
        items = await conversations.items_of_turn(self._api, conversation)
        asked = [index for index, item in enumerate(items) if is_message(item, "user")]
        if not asked:
            raise error
        return update_of(items[asked[-1] + 1 :], error, takes_calls=run.takes_calls)


@dataclass(frozen=True, slots=True)
class _Source:
    """A run at the server; `bot.engines.following.Source`."""

    engine: ResponsesEngine
    run: Run
    partial: PartialResponse

    def fetch(self) -> Awaitable[Item]:
        return self.engine._fetch(self.run.id)

    def cancel(self) -> Awaitable[Item | None]:
        return self.engine._cancel(self.run.id)

    def reopen(self) -> Awaitable[LiveStream | None]:
        return self.engine._reopen(self.run, self.partial)


def _adopted(request: RunRequest, kept: Kept) -> Run | None:
    """The run of an earlier attempt, if its answer or calls are in the conversation."""
    if not request.again or not kept.answered_after:
        return None
    return _run_after(kept.answered_after, request)


def _run_after(question: str, request: RunRequest) -> Run:
    """The adopted run whose items follow the item `question`."""
    run = Run(ADOPTED + question, request.conversation.id, time.time(), "completed")
    return replace(run, takes_calls=request.takes_calls)
