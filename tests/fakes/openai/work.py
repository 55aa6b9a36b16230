"""One unit of the model's work, from queued to its end: a response or a run."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from .answers import Answer, Json


@dataclass(frozen=True)
class Event:
    """One server-sent event: its name and its data."""

    name: str
    data: Json


@dataclass(frozen=True)
class Beat:
    """Events that come together; text comes piece by piece, everything else at once."""

    events: tuple[Event, ...]
    text: str = ""


class Work(ABC):
    """Drives an `Answer` in its own task; `body` is the object that the API shows.

    Tests and the control API call `finish`, `fail`, `cancel` and `expire`.
    """

    terminal: frozenset[str]

    def __init__(self, answer: Answer, body: Json, *, streams: bool) -> None:
        self.answer = answer
        self.body = body
        self.streams = streams
        self.polls = 0
        self.events: list[Event] = []
        self.said = ""
        self._beats: deque[Beat] = deque()
        self._beats_are_ready = False
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost = False

    @property
    def id(self) -> str:
        return str(self.body["id"])

    @property
    def status(self) -> str:
        return str(self.body["status"])

    @property
    def is_over(self) -> bool:
        return self.status in self.terminal

    @property
    def is_lost(self) -> bool:
        """Whether the server has forgotten that it works on it."""
        return self._lost

    @property
    def is_silent(self) -> bool:
        """Whether no more events will come."""
        return self.is_over or self._lost

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._drive())

    def poll(self) -> None:
        """Count a poll; the last one that the answer waits for finishes it."""
        self.polls += 1
        wanted = self.answer.polls
        if wanted is not None and self.polls > wanted and self.answer.hold is None:
            self.finish()

    def finish(self, answer: Answer | None = None) -> None:
        """Ends the work now, as its answer (or another one) says."""
        if self.is_over or (answer is None and self.is_silent):
            return
        if answer is not None:
            self.answer = answer
            self._beats.clear()
            self._beats_are_ready = bool(self.said)
        self._stop()
        self._begin()
        self._make_beats()
        while self._beats:
            self._emit_beat()
        self._end(self.answer)
        self._wake()

    def send_more(self) -> None:
        """Send as many chunks again as the answer is held after; it stays held."""
        if self._task is not None and self._task.done():
            self.start()

    def fail(self, code: str = "server_error", message: str = "Failed.") -> None:
        self.finish(Answer(status="failed", error_code=code, error_message=message))

    def expire(self) -> None:
        self.finish(Answer(status="expired"))

    def cancel(self) -> None:
        """Cancels the work; its text so far stays in the object."""
        self.finish(Answer(status="cancelled"))

    def lose(self) -> None:
        """Forget that this is being worked on: no more events come, and the status stays."""
        self._stop()
        self._lost = True
        self._wake()

    async def over(self) -> None:
        """Waits until no more events will come."""
        while not self.is_silent:
            await self._news.wait()

    async def follow(self, start: int = 0) -> AsyncIterator[Event]:
        """The events from number `start` on, including future ones."""
        async for batch in self.follow_batches(start):
            for event in batch:
                yield event

    async def follow_batches(self, start: int = 0) -> AsyncIterator[list[Event]]:
        """The same events; those that are there at one moment come together."""
        index = start
        while True:
            while batch := self.events[index:]:
                yield batch
                index += len(batch)
            if self.is_silent:
                return
            await self._news.wait()

    async def aclose(self) -> None:
        task = self._task
        self._stop()
        if task is not None:
            with suppress(asyncio.CancelledError):
                await task

    def emit(self, *events: Event) -> None:
        self.events.extend(events)
        self._wake()

    async def _drive(self) -> None:
        answer = self.answer
        await asyncio.sleep(answer.queued)
        self._begin()
        self._make_beats()
        pieces = sum(bool(beat.text) for beat in self._beats)
        if not pieces:
            await asyncio.sleep(answer.seconds)
        said, began = 0, time.monotonic()
        while self._beats:
            if self._beats[0].text:
                if said == answer.hold:
                    break
                said += 1
                # Until a time, not for a time: each sleep may be a little too long.
                due = began + answer.seconds * said / pieces
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._emit_beat()
        if answer.hold is None and (answer.polls is None or self.streams):
            self._task = None
            self.finish()

    def _emit_beat(self) -> None:
        beat = self._beats.popleft()
        self.said += beat.text
        self.emit(*beat.events)

    def _make_beats(self) -> None:
        if self.streams and not self._beats_are_ready:
            self._beats.extend(self._plan(self.answer))
        self._beats_are_ready = True

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    @abstractmethod
    def _begin(self) -> None:
        """Goes from queued to in_progress; does nothing later."""

    @abstractmethod
    def _plan(self, answer: Answer) -> list[Beat]:
        """The events between the beginning and the end of a streamed answer."""

    @abstractmethod
    def _end(self, answer: Answer) -> None:
        """Sets the final status, stores the output, emits the last events."""


def pieces(text: str, size: int) -> list[str]:
    return [text[start : start + size] for start in range(0, len(text), size)]
