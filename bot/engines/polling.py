"""Polling: the cadence, the backoff, and the deadline.

The cadence of a healthy run and the backoff after errors are independent: an error does not slow
the polls that follow it, and a slow run does not lengthen the wait after an error.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from bot.concurrency.timers import SHORT, PerLoop, SharedTimers
from bot.errors import DependencyDown, Retry
from bot.telemetry import metrics

T = TypeVar("T")

MAX_FAILURES = 4


class DeadlinePassed(Exception):
    """The run did not end in time."""


class Cadence:
    """Seconds between two polls, without end: `growth` of the run's age, at least `first`.

    The delay of an answer is therefore proportional to its duration. Each pause varies by up to
    `jitter` in both directions, so that runs that began together do not poll together. A run with
    an `age` of `first` seconds or more, because it was streamed or polled elsewhere before, is
    polled immediately, and then at the cadence of its age.
    """

    __slots__ = ("_age", "_first", "_growth", "_is_late", "_jitter", "_longest")

    def __init__(
        self,
        age: float = 0.0,
        *,
        first: float = 1.0,
        growth: float = 0.15,
        longest: float = 20.0,
        jitter: float = 0.15,
    ) -> None:
        self._age = age
        self._first, self._longest = first, longest
        self._growth, self._jitter = growth, jitter
        self._is_late = age >= first

    def __iter__(self) -> "Cadence":
        return self

    def __next__(self) -> float:
        if self._is_late:
            self._is_late = False
            return 0.0
        delay = min(max(self._first, self._growth * self._age), self._longest)
        delay *= random.uniform(1 - self._jitter, 1 + self._jitter)
        self._age += delay
        return delay


def error_backoff(first: float = 1.0, factor: float = 2.0, cap: float = 30.0) -> Iterator[float]:
    """Seconds to wait after the first error in a row, the second, and so on, without end."""
    delay = first
    while True:
        yield delay * random.uniform(0.75, 1)
        delay = min(delay * factor, cap)


def sleep_in_step(seconds: float) -> Awaitable[None]:
    """Sleep about this long: the sleeps of all polls end at the same moments, because waking the
    process for each costs as much as a poll. They share a timer.
    """
    if seconds < SHORT:
        return asyncio.sleep(seconds)
    return _sleeps().sleep(seconds)


class SharedSleeps(SharedTimers["asyncio.Future[None]"]):
    """The sleeps of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop, _wake)

    def sleep(self, seconds: float) -> asyncio.Future[None]:
        """A future that is done at the first step after these seconds."""
        loop = self._loop()
        assert loop is not None
        waking = loop.create_future()
        self.add(waking, seconds)
        return waking


def _wake(waking: asyncio.Future[None], _: float) -> None:
    if not waking.done():
        waking.set_result(None)


_sleeps = PerLoop(SharedSleeps)


class Polls(Generic[T]):
    """What `fetch` returns, repeatedly; `done` is true of the last.

    `fetch` is repeated after Retry (not sooner than its `after`). Any other error ends the polls,
    and so does DependencyDown the fourth time in a row: the caller then waits for the dependency.
    `deadline` is in seconds of `clock`. After it one last poll is made, which finds a run that
    ended unobserved; then DeadlinePassed is raised.

    A class, because a generator takes twice the memory, and thousands of runs wait here at the same
    time.
    """

    __slots__ = (
        *("_clock", "_deadline", "_delays", "_done", "_errors", "_fetch", "has_ended"),
        *("_is_last", "_sleep"),
    )

    def __init__(
        self,
        fetch: Callable[[], Awaitable[T]],
        done: Callable[[T], bool],
        *,
        delays: Iterator[float],
        errors: Callable[[], Iterator[float]] = error_backoff,
        deadline: float,
        sleep: Callable[[float], Awaitable[None]] = sleep_in_step,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetch, self._done = fetch, done
        self._delays, self._errors = delays, errors
        self._deadline, self._sleep, self._clock = deadline, sleep, clock
        self._is_last = self.has_ended = False

    def __aiter__(self) -> "Polls[T]":
        return self

    async def __anext__(self) -> T:
        if self.has_ended:
            raise StopAsyncIteration
        if self._is_last:
            raise DeadlinePassed
        await self._sleep(max(0.0, min(next(self._delays), self._deadline - self._clock())))
        state = await self._next()
        self.has_ended = self._done(state)
        metrics.polls.labels("done" if self.has_ended else "working").inc()
        self._is_last = self._clock() >= self._deadline
        return state

    async def _next(self) -> T:
        backoff: Iterator[float] | None = None
        failures = 0
        while True:
            try:
                return await self._fetch()
            except Retry as error:
                metrics.polls.labels("error").inc()
                failures += isinstance(error, DependencyDown)
                if failures == MAX_FAILURES:
                    raise
                backoff = backoff or self._errors()
                delay = max(next(backoff), error.after or 0)
                await _pause(delay, self._deadline, self._sleep, self._clock)


async def _pause(
    delay: float,
    deadline: float,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
) -> None:
    remaining = deadline - clock()
    if remaining <= 0:
        raise DeadlinePassed
    await sleep(min(delay, remaining))
