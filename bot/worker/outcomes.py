"""What becomes of a turn that ended with an error: a pure mapping, without Redis or Slack."""

from dataclasses import dataclass

from bot.errors import BotError, Retry, Undeliverable
from bot.timing import WorkerTiming

MAX_CRASHES = 25
"""Workers that may die over one turn before its messages are given up."""


@dataclass(frozen=True, slots=True)
class Settle:
    """The turn is over: nothing more can be done for it."""

    reason: str


@dataclass(frozen=True, slots=True)
class ComeBack:
    """Another attempt in `after` seconds; `counts`: this one used up an attempt."""

    reason: str
    after: float
    counts: bool


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The messages become a dead letter, and the person gets an apology."""

    reason: str


Outcome = Settle | ComeBack | GiveUp


@dataclass(frozen=True, slots=True)
class History:
    """The attempts at one turn so far."""

    attempt: int
    """Failures that counted."""
    waited: float
    """Seconds since the first attempt."""


def outcome_of(
    error: Exception, history: History, *, max_attempts: int, timing: WorkerTiming
) -> Outcome:
    """Map the error of an attempt to what happens next.

    A server that asks us to wait may do so for `timing.patience`; after that its requests count
    like failures. An error that is none of ours is a bug and counts, too.
    """
    if isinstance(error, Undeliverable):
        return Settle(error.reason)
    if not isinstance(error, Retry):
        error = Retry(f"bug:{type(error).__name__}")
    counts = error.counts or history.waited > timing.patience
    if counts and history.attempt + 1 >= max_attempts:
        return GiveUp(error.reason)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), counts)


def apology_outcome(error: Exception, history: History, timing: WorkerTiming) -> Outcome:
    """What happens next when the apology itself could not be posted."""
    if not isinstance(error, Retry) or history.waited >= timing.patience:
        return GiveUp(str(error)[:100] if isinstance(error, BotError) else type(error).__name__)
    pause = backoff(history, timing) if error.after is None else error.after
    return ComeBack(error.reason, min(pause, timing.patience), counts=False)


def backoff(history: History, timing: WorkerTiming) -> float:
    """Seconds until the next attempt; they grow with the failures, or else with the time."""
    by_attempts = timing.retry_first * 2.0**history.attempt
    return max(by_attempts, min(history.waited / 4, timing.retry_longest))
