"""The outcome of a turn, by the error that ended its attempt."""

import pytest

from bot.errors import ConversationGone, DependencyDown, RateLimited, Retry, Undeliverable
from bot.timing import WorkerTiming
from bot.worker.outcomes import (
    ComeBack,
    GiveUp,
    History,
    Outcome,
    RetryLimits,
    Settle,
    apology_outcome,
    backoff,
    outcome_of,
)

TIMING = WorkerTiming()
LIMITS = RetryLimits(max_attempts=5, outage_patience=3600)
FIRST, LAST, LATE = History(0, 0.0), History(4, 20.0), History(4, 901.0)


def down(*, after: float | None = None, counts: bool = False) -> DependencyDown:
    error = DependencyDown("status 503", dependency="ai:x", after=after)
    error.counts = counts
    return error


@pytest.mark.parametrize(
    ("error", "history", "outcome"),
    [
        (Undeliverable("is_archived"), FIRST, Settle("is_archived")),
        (Undeliverable("is_archived"), LAST, Settle("is_archived")),
        (Retry("status 409"), FIRST, ComeBack("status 409", 1.0, counts=True)),
        (Retry("status 409", after=7), FIRST, ComeBack("status 409", 7, counts=True)),
        (Retry("status 409", after=7200), FIRST, ComeBack("status 409", 900, counts=True)),
        (Retry("status 409"), LAST, GiveUp("status 409")),
        (RateLimited("rate limit", after=3), LAST, ComeBack("rate limit", 3, counts=False)),
        (RateLimited("rate limit", after=3), LATE, GiveUp("rate limit")),
        (down(), FIRST, ComeBack("status 503", 1.0, False, "ai:x")),
        (down(), History(4, 3599.0), ComeBack("status 503", 30.0, False, "ai:x")),
        (down(after=7), LAST, ComeBack("status 503", 7, False, "ai:x")),
        (down(), History(0, 3601.0), GiveUp("status 503", "ai:x")),
        (down(), History(0, 90000.0, True), ComeBack("status 503", 30.0, False, "ai:x")),
        (down(counts=True), FIRST, ComeBack("status 503", 1.0, counts=True)),
        (down(counts=True), LAST, GiveUp("status 503")),
        (KeyError("text"), FIRST, ComeBack("bug:KeyError", 1.0, counts=True)),
        (KeyError("text"), LAST, GiveUp("bug:KeyError")),
        (ConversationGone("thread_1"), LAST, GiveUp("bug:ConversationGone")),
    ],
)
def test_an_error_becomes_an_outcome(error: Exception, history: History, outcome: Outcome) -> None:
    assert outcome_of(error, history, LIMITS, TIMING) == outcome


@pytest.mark.parametrize(
    ("error", "waited", "outcome"),
    [
        (Retry("slack_503"), 0.0, ComeBack("slack_503", 1.0, counts=False)),
        (Retry("slack_503"), 899.0, ComeBack("slack_503", 30.0, counts=False)),
        (RateLimited("slack_rate_limited", after=9), 5.0, ComeBack("slack_rate_limited", 9, False)),
        (down(), 3599.0, ComeBack("status 503", 30.0, False, "ai:x")),
        (down(), 3601.0, GiveUp("status 503", "ai:x")),
        (Retry("slack_503"), 900.0, GiveUp("slack_503")),
        (Undeliverable("is_archived"), 0.0, GiveUp("is_archived")),
        (KeyError("text"), 0.0, GiveUp("KeyError")),
    ],
)
def test_an_apology_is_repeated_while_slack_may_take_it(
    error: Exception, waited: float, outcome: Outcome
) -> None:
    assert apology_outcome(error, History(0, waited), LIMITS, TIMING) == outcome


@pytest.mark.parametrize(
    ("attempt", "waited", "seconds"), [(0, 0, 1), (3, 14, 8), (0, 60, 15), (0, 800, 30)]
)
def test_pauses_grow_with_failures_and_with_time(
    attempt: int, waited: float, seconds: float
) -> None:
    assert backoff(History(attempt, waited), TIMING) == seconds
