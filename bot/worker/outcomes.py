"""What becomes of a turn that ended with an error: a pure mapping, without Redis or Slack."""

from dataclasses import dataclass

from bot.errors import BotError, DependencyDown, Retry, Undeliverable
from bot.timing import WorkerTiming

MAX_CRASHES = 25
"""Workers that may die over one turn before its messages are given up."""


@dataclass(frozen=True, slots=True)
class Settle:
    """The turn is over: nothing more can be done for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Another attempt in `after` seconds; `counts`: this one used up an attempt.

    `dependency` is what the turn waits for, where something is down: the turn comes back sooner
    once that has recovered.
    """

    reason: str
    after: float
    counts: bool
    dependency: str = ""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The messages become a dead letter, and the person gets an apology.

    Where a `dependency` was the cause, the letter returns once that has recovered.
    """

    reason: str
    dependency: str = ""


Outcome = Settle | ComeBack | GiveUp


@dataclass(frozen=True, slots=True)
class History:
    """The attempts at one turn so far."""

    attempt: int
    """Failures that counted."""
    waited: float
    """Seconds since the first attempt."""
    answered: bool = False
    """The model has produced the answer; Slack has not accepted all of it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a turn is given up."""

    max_attempts: int
    outage_patience: float
    """Seconds that a turn waits for a dependency that is down."""


def outcome_of(error: Exception, history: History, limits: Limits, timing: WorkerTiming) -> Outcome:
    """Map the error of an attempt to what happens next.

    A server that asks us to wait may do so for `timing.patience`; after that its requests count
    like failures. An error that is none of ours is a bug and counts, too.
    """
    if isinstance(error, Undeliverable):
        return Settle(error.reason)
    if isinstance(error, DependencyDown) and not error.counts:
        return _wait_for(error, history, limits, timing)
    if not isinstance(error, Retry):
        error = Retry(f"bug:{type(error).__name__}")
    counts = error.counts or history.waited > timing.patience
    if counts and history.attempt + 1 >= limits.max_attempts:
        return GiveUp(error.reason)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), counts)


def _wait_for(
    error: DependencyDown, history: History, limits: Limits, timing: WorkerTiming
) -> Outcome:
    """An answer that exists waits as long as it takes: nothing can be said in its place."""
    if history.waited > limits.outage_patience and not history.answered:
        return GiveUp(error.reason, error.dependency)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), False, error.dependency)


def apology_outcome(
    error: Exception, history: History, limits: Limits, timing: WorkerTiming
) -> Outcome:
    """What happens next when the apology itself could not be posted."""
    if isinstance(error, DependencyDown):
        return _wait_for(error, history, limits, timing)
    if not isinstance(error, Retry) or history.waited >= timing.patience:
        return GiveUp(str(error)[:100] if isinstance(error, BotError) else type(error).__name__)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), counts=False)


def backoff(history: History, timing: WorkerTiming) -> float:
    """Seconds until the next attempt; they grow with the failures, or else with the time."""
    by_attempts = timing.retry_first * 2.0**history.attempt
    return max(by_attempts, min(history.waited / 4, timing.retry_longest))
