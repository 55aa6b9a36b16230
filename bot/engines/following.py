"""Following a run in any protocol: stream while that works, then poll, until the deadline."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from traceback import clear_frames
from typing import Any, Protocol

from bot.engines.items import Item, run_status
from bot.engines.polling import Cadence, DeadlinePassed, Polls, error_backoff
from bot.engines.streams import UPDATE_SECONDS, LiveStream, patience, progress
from bot.engines.watch import Watch
from bot.errors import BotError, DependencyDown, Retry, RunFailed
from bot.models import RunStatus, Update
from bot.telemetry import metrics
from bot.timing import EngineTiming

USELESS_STREAMS = 3
"""Streams in a row that end without an event before the run is polled instead."""


class Partial(Protocol):
    """The state of an answer in progress: `PartialResponse` or `PartialRun`."""

    events: int

    @property
    def ended(self) -> Any: ...
    @property
    def status(self) -> RunStatus: ...
    @property
    def text(self) -> str: ...
    def take(self, event: Any) -> None: ...
    def take_state(self, state: Item) -> None: ...
    def update(self) -> Update: ...
    def compact(self) -> None: ...


class RunSource(Protocol):
    """The run at its server."""

    def fetch(self) -> Awaitable[Item]:
        """Read the run's state."""
        ...

    def cancel(self) -> Awaitable[Item | None]:
        """End the run; returns its state if the server does."""
        ...

    def reopen(self) -> Awaitable[LiveStream | None]:
        """A stream of the remaining events, or None."""
        ...


@dataclass(slots=True)
class Following:
    """One run that is being followed into `partial`.

    Within its block, iterating `updates` yields progress, perhaps the same update again. None is no
    progress, but the last poll.
    """

    partial: Partial
    started_at: float
    deadline: float
    working: frozenset[str]
    source: RunSource
    timing: EngineTiming
    watch: Watch
    _update: Update | None = None
    _streamed: AsyncGenerator[Update, None] | None = None
    _polls: Polls[Update | None] | None = None

    async def __aenter__(self) -> None:
        """Begin the block in which the run is followed.

        The block raises RunFailed past the deadline or if the answer exceeds the bounds; the run is
        then cancelled. RunFailed("run_lost") means that the server has probably lost it.
        """

    async def __aexit__(self, kind: object, error: object, traceback: object) -> bool:
        streamed, self._streamed, self._polls = self._streamed, None, None
        if streamed is not None:
            await streamed.aclose()
        if isinstance(error, DeadlinePassed):
            await self._give_up()
            return True
        if isinstance(error, RunFailed) and error.reason == "answer_too_large":
            clear_frames(error.__traceback__)  # they hold all that the server sent
            with suppress(BotError):
                await self.source.cancel()
        return False

    def updates(self, live: LiveStream | None) -> AsyncIterator[Update | None]:
        """Progress by events as long as that works, then by polls. `live` is an open stream."""
        self._streamed = self.streamed(live)
        return self

    def __aiter__(self) -> AsyncIterator[Update | None]:
        return self

    def __anext__(self) -> Awaitable[Update | None]:
        """The next update. While the run is polled, this adds no coroutine to those that wait."""
        if self._streamed is not None:
            return self._next_streamed(self._streamed)
        if self._polls is None:
            self._polls = self.polled()
        return anext(self._polls)

    async def _next_streamed(self, streamed: AsyncGenerator[Update, None]) -> Update | None:
        if (update := await anext(streamed, None)) is not None:
            return update
        del streamed
        self._streamed = None
        self.partial.compact()
        return await anext(self)

    async def streamed(self, live: LiveStream | None) -> AsyncGenerator[Update, None]:
        """Progress by the run's events, over several streams if one breaks; ends when polling must
        take over. `live` is an open stream.
        """
        partial, useless = self.partial, 0
        while useless < USELESS_STREAMS and time.time() < self.deadline:
            live = live or await self.source.reopen()
            if live is None:
                return
            events, opened = partial.events, time.monotonic()
            silence = patience(self.deadline, self.timing)
            news = progress(aiter(live), self._take, interval=UPDATE_SECONDS, silence=silence)
            try:
                async with aclosing(live), aclosing(news):
                    async for _ in news:
                        newest = self._newest()
                        if not partial.ended:
                            yield newest
                        if time.time() >= self.deadline:
                            break
            except Retry:
                self.watch.note_failure()
            is_displaced, live = live.is_displaced, None
            if partial.ended or self.watch.is_lost or is_displaced:
                return
            was_silent = time.monotonic() - opened >= silence
            if not was_silent:
                self.watch.note_failure()  # the server ended the stream before the run
            useless = 0 if was_silent or partial.events > events else useless + 1

    def _take(self, events: Sequence[Any]) -> None:
        for event in events:
            self.partial.take(event)

    def _newest(self) -> Update:
        """The answer so far: the same object while nothing has changed."""
        if self.watch.see(self.partial) or self._update is None:
            self._update = self.partial.update()
        return self._update

    def polled(self) -> Polls[Update | None]:
        """Progress by polls until the run has ended, which is None. While nothing changes, the same
        update is repeated.
        """
        timing = self.timing
        delays = Cadence(
            time.time() - self.started_at, first=timing.poll_first, longest=timing.poll_longest
        )
        polls = Polls(
            self._poll, _is_over, delays=delays, errors=self._errors, deadline=self.deadline
        )
        polls.has_ended = bool(self.partial.ended)
        return polls

    def _errors(self) -> Iterator[float]:
        return error_backoff(self.timing.error_first)

    async def _poll(self) -> Update | None:
        """The answer so far, by the run's state; None if the run has ended.

        Raises RunFailed if the server has lost the run.
        """
        state = await self._fetch()
        self.partial.take_state(state)
        if run_status(state.get("status")) not in self.working:
            metrics.observe_lag(_number(state.get("completed_at")))
            return None
        newest = self._newest()
        if self.watch.is_lost:
            raise RunFailed("failed", "run_lost", text=self.partial.text)
        return newest

    async def _fetch(self) -> Item:
        try:
            return await self.source.fetch()
        except DependencyDown as error:
            if error.certain or error.reason == "connection_lost":
                # A slow response or a single 500 is not a sign of a restart.
                self.watch.note_failure()
            raise

    async def _give_up(self) -> None:
        """Cancel a run past its deadline, unless it completes at this moment."""
        with suppress(BotError):
            state = await self.source.cancel()
            if state is not None:
                self.partial.take_state(state)
        if self.partial.status != "completed":
            raise RunFailed("expired", "deadline", text=self.partial.text)


def _is_over(update: Update | None) -> bool:
    return update is None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
