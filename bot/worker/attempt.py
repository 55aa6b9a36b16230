"""One attempt at a turn, and what follows from how it ended."""

import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from bot.errors import StoreUnavailable, Superseded
from bot.models import Answer, Usage
from bot.settings import Settings
from bot.store import Claim, Turn
from bot.store.steps import GIVEN_UP, GivenUp
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.timing import WorkerTiming
from bot.turn.interrupt import Interrupt
from bot.turn.services import Services
from bot.turn.turn import give_up, take_turn
from bot.worker.outcomes import (
    MAX_CRASHES,
    ComeBack,
    GiveUp,
    History,
    Outcome,
    Settle,
    apology_outcome,
    outcome_of,
)


class Attempts:
    """Makes attempts at turns for one worker."""

    def __init__(self, services: Services, settings: Settings, timing: WorkerTiming) -> None:
        self._services = services
        self._inbox = services.store.inbox
        self._max_attempts = settings.bot_attempts
        self._timing = timing

    async def make(self, turn: Turn, interrupt: Interrupt) -> None:
        """Answer the turn's messages, or put the turn off, settle it or give it up.

        Raises StoreUnavailable and Superseded.
        """
        claim = turn.claim
        _log_taken(claim)
        if given_up := turn.recall(GIVEN_UP):
            await self._apologize(turn, given_up)
        elif claim.crashes > MAX_CRASHES:
            await self._apply(turn, GiveUp("crashed"))
        else:
            await self._try(turn, interrupt)

    async def _try(self, turn: Turn, interrupt: Interrupt) -> None:
        claim, began = turn.claim, time.monotonic()
        try:
            with _span_of(claim):
                answer = await take_turn(turn, self._services, interrupt)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            history = History(claim.attempt, time.time() - claim.taken_at)
            outcome = outcome_of(
                error, history, max_attempts=self._max_attempts, timing=self._timing
            )
            if outcome.reason.startswith("bug:"):
                log.exception("turn_failed", error=type(error).__name__, **_facts(turn))
            await self._apply(turn, outcome)
        else:
            seconds = time.monotonic() - began
            metrics.count_turn(answer, seconds, float(claim.messages[-1].ts))
            fields = _facts(turn) | answer_fields(answer) | _times(claim, seconds)
            log.info("turn_answered", **fields)

    async def _apply(self, turn: Turn, outcome: Outcome) -> None:
        match outcome:
            case Settle(reason):
                log.warning("turn_undeliverable", reason=reason, **_facts(turn))
                metrics.turns.labels("undeliverable").inc()
                await self._inbox.settle(turn.claim)
            case ComeBack():
                await self._come_back(turn, outcome)
            case GiveUp(reason):
                given_up = GivenUp(reason, time.time())
                await turn.note(GIVEN_UP, given_up)
                await self._apologize(turn, given_up)

    async def _come_back(self, turn: Turn, outcome: ComeBack) -> None:
        metrics.retries.labels(metrics.kind(outcome.reason)).inc()
        fields = {"reason": outcome.reason, "after": outcome.after, "attempt": turn.claim.attempt}
        log.warning("turn_delayed", thread=turn.claim.thread.key, turn=turn.id, **fields)
        await self._inbox.release(turn.claim, outcome.after, outcome.reason, counts=outcome.counts)

    async def _apologize(self, turn: Turn, given_up: GivenUp) -> None:
        """Post the apology, as soon as Slack accepts it, and store the dead letter."""
        facts = {"thread": turn.claim.thread.key, "turn": turn.id}
        try:
            await give_up(turn, self._services)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            history = History(0, time.time() - given_up.at)
            outcome = apology_outcome(error, history, self._timing)
            if isinstance(outcome, ComeBack):
                await self._come_back(turn, outcome)
                return
            log.error("apology_failed", error=outcome.reason, **facts)
        log.error("dead_letter_added", reason=given_up.reason, **facts)
        metrics.turns.labels("dead").inc()
        await self._inbox.bury(turn.claim, given_up.reason)


def _log_taken(claim: Claim) -> None:
    log.debug(
        "turn_taken",
        thread=claim.thread.key,
        turn=claim.turn_id,
        messages=[message.ts for message in claim.messages],
        attempt=claim.attempt,
        crashes=claim.crashes,
    )


def _facts(turn: Turn) -> dict[str, Any]:
    return {
        "thread": turn.claim.thread.key,
        "turn": turn.id,
        "messages": len(turn.claim.messages),
    }


def _span_of(claim: Claim) -> AbstractContextManager[object]:
    """A span in the trace of the last message; the traces of the others are linked."""
    *others, last = (message.trace for message in claim.messages)
    return trace.span(
        "turn",
        parent=last,
        links=[other for other in others if other],
        kind="consumer",
        slack_thread=claim.thread.key,
        turn_id=claim.turn_id,
        turn_messages=len(claim.messages),
        turn_attempt=claim.attempt,
    )


def answer_fields(answer: Answer) -> dict[str, Any]:
    """What the log has of an answer: how it ended and what it took, not what it says."""
    usage = answer.usage or Usage()
    return {
        "outcome": answer.outcome,
        "reason": answer.reason or None,
        "model": answer.model or None,
        "run": answer.run_id or None,
        "characters": len(answer.text),
        **asdict(usage),
    }


def _times(claim: Claim, seconds: float) -> dict[str, Any]:
    """When and how long; `waited` is from the person's message to the first claim."""
    return {
        "waited": round(max(0.0, claim.taken_at - float(claim.messages[0].ts)), 3),
        "seconds": round(seconds, 3),
        "attempt": claim.attempt,
        "crashes": claim.crashes,
    }
