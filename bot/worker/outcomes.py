"""Maps the error of a turn to what happens next. Pure: no Redis, no Slack."""

from dataclasses import dataclass

from bot.errors import (
    NOT_THE_PROTOCOL,
    BotError,
    DependencyDown,
    Retry,
    Suspended,
    Undeliverable,
)
from bot.store.step_values import GivenUp
from bot.timing import WorkerTiming

MAX_CRASHES = 25
"""How many workers may die during one turn before its messages are given up."""


@dataclass(frozen=True, slots=True)
class Settle:
    """End the turn: nothing more can be done."""

    reason: str


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Retry in `after` seconds; `counts`: this failure counts as an attempt.

    `dependency` is the dependency that is down, if any: the turn is retried sooner once it
    recovers.
    """

    reason: str
    after: float
    counts: bool
    dependency: str = ""


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Turn the messages into a dead letter and apologize to the person.

    If a `dependency` was the cause, the letter is retried once that recovers.
    """

    reason: str
    dependency: str = ""


@dataclass(frozen=True, slots=True)
class Suspend:
    """A person has to decide first. The turn is resumed after that; no attempt is counted."""

    reason: str


Outcome = Settle | ComeBack | GiveUp | Suspend


@dataclass(frozen=True, slots=True)
class History:
    """The history of one turn."""

    attempt: int
    """Failures that counted."""
    waited: float
    """Seconds since the first attempt."""
    answered: bool = False
    """The model has produced the answer, but Slack has not accepted all of it."""


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """When a turn is given up."""

    max_attempts: int
    outage_patience: float
    """The longest wait for a dependency that is down, in seconds."""


def outcome_of(
    error: Exception, history: History, limits: RetryLimits, timing: WorkerTiming
) -> Outcome:
    """Map the error of an attempt to what happens next.

    A server may ask us to wait for up to `timing.patience`; after that its rate limits count as
    failures. An unknown error is a bug and counts, too.
    """
    if isinstance(error, Undeliverable):
        return Settle(error.reason)
    if isinstance(error, Suspended):
        return Suspend(str(error))
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
    error: DependencyDown, history: History, limits: RetryLimits, timing: WorkerTiming
) -> Outcome:
    """A finished answer waits without a limit: nothing can replace it."""
    if history.waited > limits.outage_patience and not history.answered:
        return GiveUp(error.reason, error.dependency)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), False, error.dependency)


def apology_outcome(
    error: Exception, history: History, limits: RetryLimits, timing: WorkerTiming
) -> Outcome:
    """Map the error of posting the apology to what happens next."""
    if isinstance(error, DependencyDown):
        return _wait_for(error, history, limits, timing)
    if not isinstance(error, Retry) or history.waited >= timing.patience:
        return GiveUp(str(error)[:100] if isinstance(error, BotError) else type(error).__name__)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), counts=False)


def apology_reason(given_up: GivenUp) -> str:
    """The key of the text for a person whose message was given up."""
    if given_up.dependency:
        return "unavailable"
    return "no_ai_server" if given_up.reason.startswith(NOT_THE_PROTOCOL) else "dead"


def backoff(history: History, timing: WorkerTiming) -> float:
    """Seconds until the next attempt, growing with the failures or the waited time."""
    by_attempts = timing.retry_first * 2.0**history.attempt
    return max(by_attempts, min(history.waited / 4, timing.retry_longest))
