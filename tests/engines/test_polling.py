import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice, repeat
from typing import Any

import pytest

from bot.concurrency.timers import STEP
from bot.engines.polling import Cadence, DeadlinePassed, Polls, SharedSleeps, error_backoff
from bot.errors import Retry, RunFailed


@dataclass
class Time:
    """A clock that only advances by sleeping, and records the sleeps."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


def answers(*script: str | Exception) -> Callable[[], Awaitable[str]]:
    """A fetch that returns the entries of a script one by one, the last one repeatedly."""
    waiting = list(script)

    async def fetch() -> str:
        given = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(given, Exception):
            raise given
        return given

    return fetch


async def run_poll(
    time: Time,
    fetch: Callable[[], Awaitable[str]],
    *,
    delays: Iterator[float] | None = None,
    deadline: float = 5000.0,
) -> list[str]:
    states = Polls(
        fetch,
        lambda state: state == "done",
        delays=delays or iter(doubling(1.0)),
        errors=lambda: doubling(10.0),
        deadline=deadline,
        sleep=time.sleep,
        clock=time.clock,
    )
    return [state async for state in states]


def doubling(first: float) -> Iterator[float]:
    while True:
        yield first
        first *= 2


def test_the_cadence_grows_to_its_cap() -> None:
    delays = list(islice(Cadence(jitter=0), 7))
    assert delays == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert list(islice(Cadence(20.0, jitter=0), 3)) == pytest.approx([0.0, 3.0, 3.45])
    assert list(islice(Cadence(300.0, jitter=0), 3)) == [0.0, 20.0, 20.0]


@pytest.mark.parametrize(
    ("age", "delays"),
    [
        (0.9, [1.0, 1.0, 1.0, 1.0]),
        (1.0, [0.0, 1.0, 1.0, 1.0]),
        (40.0, [0.0, 6.0, 6.9, 7.935]),
        (5000.0, [0.0, 20.0, 20.0, 20.0]),
    ],
)
def test_a_late_poller_polls_immediately_and_then_at_the_cadence_of_the_runs_age(
    age: float, delays: list[float]
) -> None:
    assert list(islice(Cadence(age, jitter=0), 4)) == pytest.approx(delays)


def test_the_cadence_has_jitter() -> None:
    firsts = {next(Cadence()) for _ in range(200)}
    assert len(firsts) > 100
    assert all(0.85 <= first <= 1.15 for first in firsts)


def test_the_cadence_keeps_the_lag_within_a_sixth_of_the_run_s_time() -> None:
    for seconds in (10, 30, 60, 600):
        elapsed = 0.0
        for delay in Cadence():
            elapsed += delay
            if elapsed >= seconds:
                break
        assert elapsed - seconds <= min(0.18 * seconds, 23)


def test_the_error_backoff_doubles_to_half_a_minute() -> None:
    delays = list(islice(error_backoff(), 8))
    wanted = [1, 2, 4, 8, 16, 30, 30, 30]
    assert all(0.75 * most <= delay <= most for delay, most in zip(delays, wanted, strict=True))


async def test_every_state_is_seen_and_the_last_one_ends_it() -> None:
    time = Time()
    assert await run_poll(time, answers("queued", "working", "done")) == [
        "queued",
        "working",
        "done",
    ]
    assert time.slept == [1, 2, 4]


async def test_error_backoff_does_not_reset_the_cadence() -> None:
    time = Time()
    script = answers("working", Retry("a"), Retry("b"), "working", Retry("c"), "done")
    await run_poll(time, script)
    assert time.slept == [1, 2, 10, 20, 4, 10]


async def test_a_longer_retry_after_is_honoured() -> None:
    time = Time()
    await run_poll(time, answers(Retry("rate", after=77.0), Retry("rate", after=3.0), "done"))
    assert time.slept == [1, 77, 20]


async def test_other_errors_end_the_poll() -> None:
    with pytest.raises(RunFailed):
        await run_poll(Time(), answers("working", RunFailed("failed", "authentication")))


async def test_past_the_deadline_it_gives_up_after_one_last_poll() -> None:
    time = Time()
    with pytest.raises(DeadlinePassed):
        await run_poll(time, answers("working"), delays=repeat(4.0), deadline=1010.0)
    assert time.slept == [4, 4, 2]


async def test_no_error_wait_outlasts_the_deadline() -> None:
    time = Time()
    with pytest.raises(DeadlinePassed):
        await run_poll(time, answers(Retry("down", after=60.0)), deadline=1010.0)
    assert time.now == 1010.0


async def test_a_run_that_ended_long_ago_is_found_after_the_deadline() -> None:
    time = Time(now=9000.0)
    assert await run_poll(time, answers("done")) == ["done"]
    assert time.slept == [0]


class Timers:
    """A loop whose time stands still, and which only records its timers."""

    def __init__(self) -> None:
        self.set: list[tuple[float, Callable[[], None]]] = []
        self.create_future = asyncio.get_running_loop().create_future

    def time(self) -> float:
        return 1000.01

    def call_at(self, when: float, wake: Callable[[int], None], step: int) -> None:
        self.set.append((when, lambda: wake(step)))


async def test_the_sleeps_of_many_polls_share_a_few_timers() -> None:
    timers: Any = Timers()
    steps = SharedSleeps(timers)
    seconds = [1.0 + number / 1000 for number in range(200)]
    sleeps = [steps.sleep(each) for each in seconds]
    sleeps[0].cancel()
    woken_at: dict[int, float] = {}
    for when, wake in timers.set:
        wake()
        for number, sleep in enumerate(sleeps):
            if sleep.done():
                woken_at.setdefault(number, when)
    assert len(timers.set) <= 6
    late = [woken_at[number] - 1000.01 - each for number, each in enumerate(seconds)]
    assert all(-1e-6 <= each <= STEP for each in late)
