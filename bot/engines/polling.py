"""Polling: the cadence, the backoff, and the deadline.

The cadence of a healthy run and the backoff after errors are independent: an error does not slow
the polls that follow it, and a slow run does not lengthen the wait after an error.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from typing import TypeVar

from bot.errors import DependencyDown, Retry
from bot.telemetry import metrics

T = TypeVar("T")

MAX_FAILURES = 4


class DeadlinePassed(Exception):
    """The run did not end in time."""


def cadence(
    age: float = 0.0,
    *,
    first: float = 1.0,
    growth: float = 0.15,
    longest: float = 20.0,
    jitter: float = 0.15,
) -> Iterator[float]:
    """Seconds between two polls, without end: `growth` of the run's age, at least `first`.

    The delay of an answer is therefore proportional to its duration. Each pause varies by up to
    `jitter` in both directions, so that runs that began together do not poll together. A run with
    an `age` of `first` seconds or more, because it was streamed or polled elsewhere before, is
    polled immediately, and then at the cadence of its age.
    """
    if age >= first:
        yield 0.0
    while True:
        delay = min(max(first, growth * age), longest)
        delay *= random.uniform(1 - jitter, 1 + jitter)
        age += delay
        yield delay


def error_backoff(first: float = 1.0, factor: float = 2.0, cap: float = 30.0) -> Iterator[float]:
    """Seconds to wait after the first error in a row, the second, and so on, without end."""
    delay = first
    while True:
        yield delay * random.uniform(0.75, 1)
        delay = min(delay * factor, cap)


async def poll(
    fetch: Callable[[], Awaitable[T]],
    done: Callable[[T], bool],
    *,
    delays: Iterator[float],
    errors: Callable[[], Iterator[float]] = error_backoff,
    deadline: float,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.time,
) -> AsyncGenerator[T, None]:
    """Yield what `fetch` returns, repeatedly; `done` is true of the last.

    `fetch` is repeated after Retry (not sooner than its `after`). Any other error ends the poll,
    and so does DependencyDown the fourth time in a row: the caller then waits for the dependency.
    `deadline` is in seconds of `clock`. After it one last poll is made, which finds a run that
    ended unobserved; then DeadlinePassed is raised.
    """
    for delay in delays:
        await sleep(max(0.0, min(delay, deadline - clock())))
        backoff, failures = errors(), 0
        while True:
            try:
                state = await fetch()
                break
            except Retry as error:
                metrics.polls.labels("error").inc()
                failures += isinstance(error, DependencyDown)
                if failures == MAX_FAILURES:
                    raise
                await _pause(max(next(backoff), error.after or 0), deadline, sleep, clock)
        is_done = done(state)
        metrics.polls.labels("done" if is_done else "working").inc()
        yield state
        del state  # thousands wait here at the same time: free the last state
        if is_done:
            return
        if clock() >= deadline:
            raise DeadlinePassed


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
