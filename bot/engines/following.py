"""Following a run in any protocol: stream while that works, then poll, until the deadline."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from traceback import clear_frames
from typing import Any, Protocol

from bot.engines.items import Item, text
from bot.engines.polling import DeadlinePassed, cadence, error_backoff, poll
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


@dataclass(frozen=True, slots=True)
class Following:
    """One run that is being followed into `partial`.

    `fetch` reads the run's state, `cancel` ends the run and reads its state if the server returns
    it, `reopen` opens a stream of the remaining events, or returns None.
    """

    partial: Partial
    started_at: float
    deadline: float
    working: frozenset[str]
    fetch: Callable[[], Awaitable[Item]]
    cancel: Callable[[], Awaitable[Item | None]]
    reopen: Callable[[], Awaitable[LiveStream | None]]
    timing: EngineTiming
    watch: Watch

    async def updates(self, live: LiveStream | None) -> AsyncGenerator[Update, None]:
        """Progress until the run has ended. `live` is an open stream.

        Raises RunFailed past the deadline or if the answer exceeds the bounds; the run is then
        cancelled. RunFailed("run_lost") means that the server has probably lost it.
        """
        streamed = self._stream(live)
        del live  # its polls may continue for long after the stream
        try:
            async with aclosing(streamed):
                async for update in streamed:
                    yield update
            del streamed
            async with aclosing(self.poll()) as polled:
                async for update in polled:
                    yield update
        except RunFailed as error:
            if error.reason == "answer_too_large":
                clear_frames(error.__traceback__)  # they hold all that the server sent
                with suppress(BotError):
                    await self.cancel()
            raise

    async def _stream(self, live: LiveStream | None) -> AsyncGenerator[Update, None]:
        """Read the run's events, over several streams if one breaks; ends when polling must take
        over."""
        partial, useless = self.partial, 0
        while useless < USELESS_STREAMS and time.time() < self.deadline:
            live = live or await self.reopen()
            if live is None:
                return
            events, opened = partial.events, time.monotonic()
            silence = patience(self.deadline, self.timing)
            news = progress(aiter(live), self._take, interval=UPDATE_SECONDS, silence=silence)
            try:
                async with aclosing(live), aclosing(news):
                    async for _ in news:
                        self.watch.see(partial)
                        if not partial.ended:
                            yield partial.update()
                        if time.time() >= self.deadline:
                            break
            except Retry:
                self.watch.doubt()
            is_displaced, live = live.is_displaced, None
            if partial.ended or self.watch.is_lost or is_displaced:
                return
            was_silent = time.monotonic() - opened >= silence
            if not was_silent:
                self.watch.doubt()  # the server ended the stream before the run
            useless = 0 if was_silent or partial.events > events else useless + 1

    def _take(self, events: Sequence[Any]) -> None:
        for event in events:
            self.partial.take(event)

    async def poll(self) -> AsyncGenerator[Update, None]:
        """Poll until the run has ended."""
        if self.partial.ended:
            return
        timing = self.timing
        states = poll(
            self._fetch,
            lambda state: text(state.get("status")) not in self.working,
            delays=cadence(
                time.time() - self.started_at,
                first=timing.poll_first,
                longest=timing.poll_longest,
            ),
            errors=lambda: error_backoff(timing.error_first),
            deadline=self.deadline,
        )
        try:
            async with aclosing(states):
                async for state in states:
                    self.partial.take_state(state)
                    if self.partial.ended:
                        metrics.observe_lag(_number(state.get("completed_at")))
                    del state  # as in `poll`
                    if not self.partial.ended:
                        self._check()
                        yield self.partial.update()
        except DeadlinePassed:
            await self._give_up()

    async def _fetch(self) -> Item:
        try:
            return await self.fetch()
        except DependencyDown as error:
            if error.certain or error.reason == "connection_lost":
                self.watch.doubt()  # a slow response or a single 500 is not a sign of a restart
            raise

    def _check(self) -> None:
        self.watch.see(self.partial)
        if self.watch.is_lost:
            raise RunFailed("failed", "run_lost", text=self.partial.text)

    async def _give_up(self) -> None:
        """Cancel a run past its deadline, unless it completes at this moment."""
        with suppress(BotError):
            state = await self.cancel()
            if state is not None:
                self.partial.take_state(state)
        if self.partial.status != "completed":
            raise RunFailed("expired", "deadline", text=self.partial.text)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
