"""One attempt at a turn, and what follows from its outcome."""

import time
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from typing import Any

from bot.errors import OutOfOrder, StoreUnavailable, Superseded
from bot.models import Answer, Usage
from bot.settings import Settings
from bot.store import Claim, Turn, current_turn
from bot.store.step_values import GivenUp, Waits
from bot.store.steps import ANSWER, GIVEN_UP, WAITS, approval_step
from bot.telemetry import audit_log, metrics, timeline, trace
from bot.telemetry.log import log
from bot.telemetry.timeline import Timeline
from bot.texts.answers import UNAVAILABLE
from bot.timing import WorkerTiming
from bot.turn.reordering import begin_again
from bot.turn.rounds_so_far import rounds_of
from bot.turn.services import Services
from bot.turn.turn import give_up, take_turn
from bot.worker.active import ActiveThread
from bot.worker.outcomes import (
    MAX_CRASHES,
    ComeBack,
    GiveUp,
    History,
    Outcome,
    RetryLimits,
    Settle,
    Suspend,
    apology_outcome,
    apology_reason,
    outcome_of,
)
from bot.worker.stops import permitted

PEOPLE = "people"
"""The name of a wait for people in the log, among the names of dependencies."""


class Attempts:
    """Makes attempts at turns for one worker."""

    def __init__(self, services: Services, settings: Settings, timing: WorkerTiming) -> None:
        self._services = services
        self._inbox = services.store.inbox
        self._circuits = services.store.circuits
        self._limits = RetryLimits(settings.bot_attempts, settings.bot_outage_patience)
        self._timing = timing
        self._slow_answer = settings.bot_slow_answer

    async def begin(self, thread: ActiveThread, turn: Turn) -> bool:
        """Begin a turn; returns whether to make an attempt. A turn that waits is postponed, and one
        that was given up or crashed too often is ended.

        Raises StoreUnavailable and Superseded.
        """
        claim, interrupt = turn.claim, thread.begin(turn)
        thread.permitted = partial(permitted, self._inbox, self._services.rights, claim.thread)
        current_turn.set(turn.id)
        _log_taken(claim)
        if claim.interrupt:
            await thread.check(interrupt, claim.interrupt)
        if await self._is_waiting(thread, turn):
            return False
        if turn.family(approval_step("")):
            await self._look_for_interrupt(thread)  # it may have resumed the turn
        if given_up := turn.recall(GIVEN_UP):
            await self._apologize(turn, given_up)
            return False
        if claim.crashes > MAX_CRASHES:
            await self._apply(turn, GiveUp("crashed"))
            return False
        return True

    async def _look_for_interrupt(self, thread: ActiveThread) -> bool:
        """Read the pending interrupt of the turn; returns whether it has taken effect."""
        if reason := await self._inbox.interrupt_of(thread.entry.thread):
            await thread.check(thread.interrupt, reason)
        return thread.interrupt.raised.is_set()

    async def _is_waiting(self, thread: ActiveThread, turn: Turn) -> bool:
        """Release the turn again if it waits for a dependency that is still down."""
        waits = turn.recall(WAITS)
        if waits is None or not self._circuits.is_open(waits.dependency):
            return False
        if await self._look_for_interrupt(thread):
            return False
        await self._show_notice(turn, waits.dependency)
        await self._inbox.release(
            turn.claim, self._circuits.timing.recheck, f"waits for {waits.dependency}", counts=False
        )
        await self._circuits.park(waits.dependency, turn.claim.thread, _asked_at(turn.claim))
        return True

    async def make(self, thread: ActiveThread) -> None:
        """Answer the turn's messages; or postpone the turn, settle it or give it up.

        Raises StoreUnavailable and Superseded.
        """
        claim, spent = thread.known_turn.claim, timeline.begin()
        try:
            with _span_of(claim):
                answer = await self._take_turn(thread)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            turn = thread.known_turn
            await turn.flush()
            waited = time.time() - claim.taken_at - _waited_for_people(turn, spent.began)
            answered = turn.recall(ANSWER) is not None
            history = History(claim.attempt, waited, answered)
            outcome = outcome_of(error, history, self._limits, self._timing)
            if outcome.reason.startswith("bug:"):
                log.exception("turn_failed", error=type(error).__name__, **_facts(turn))
            await self._apply(turn, outcome, probed=getattr(error, "probed", False))
        else:
            turn = thread.known_turn
            metrics.count_turn(answer, time.time() - spent.began, float(claim.messages[-1].ts))
            self._log_answer(turn, answer, spent)

    async def _take_turn(self, thread: ActiveThread) -> Answer:
        """The answer of a turn, which begins again with each older message that arrives."""
        while True:
            turn = thread.known_turn
            try:
                return await take_turn(turn, self._services, thread.interrupt)
            except OutOfOrder as error:
                turns, engine = self._services.store.turns, self._services.engine
                thread.begin(await begin_again(turns, engine, turn, error))

    def _log_answer(self, turn: Turn, answer: Answer, spent: Timeline) -> None:
        times = latency_of(turn.claim, turn.recall(WAITS), spent, time.time())
        log.info("turn_answered", **_facts(turn), **answer_fields(answer), **times)
        if answer.outcome != "job":
            _record_answer(turn, answer)
        if times["total"] - times["waited_for"].get(PEOPLE, 0.0) > self._slow_answer:
            log.warning("slow_answer", **_facts(turn), **times)

    async def _apply(self, turn: Turn, outcome: Outcome, *, probed: bool = False) -> None:
        match outcome:
            case Settle(reason):
                log.warning("turn_undeliverable", reason=reason, **_facts(turn))
                metrics.turns.labels("undeliverable").inc()
                await self._inbox.settle(turn.claim)
            case ComeBack():
                await self._come_back(turn, outcome, probed=probed)
            case Suspend():
                await self._suspend(turn)
            case GiveUp(reason, dependency):
                given_up = GivenUp(reason, time.time(), dependency)
                await turn.note(GIVEN_UP, given_up)
                await self._apologize(turn, given_up)

    async def _suspend(self, turn: Turn) -> None:
        await self._note_wait(turn, PEOPLE)
        waits = await self._services.store.approvals.suspend(turn)
        log.info("turn_suspended", waits=waits, **_facts(turn))

    async def _come_back(self, turn: Turn, outcome: ComeBack, *, probed: bool = False) -> None:
        dependency = outcome.dependency
        metrics.retries.labels(metrics.kind(outcome.reason), dependency or "none").inc()
        write = log.info if dependency else log.warning  # `circuit_opened` is the warning then
        write(
            "turn_delayed",
            thread=turn.claim.thread.key,
            turn=turn.id,
            reason=outcome.reason,
            after=round(outcome.after, 3),
            attempt=turn.claim.attempt,
            dependency=dependency or None,
        )
        await self._note_wait(turn, dependency)
        after = outcome.after
        if dependency:
            await self._show_notice(turn, dependency)
            after = min(after, self._circuits.timing.notice_after)
        await self._inbox.release(turn.claim, after, outcome.reason, counts=outcome.counts)
        if dependency and self._circuits.is_open(dependency):
            # A failed probe goes to the end of the list: its message may be the cause.
            position = time.time() if probed else _asked_at(turn.claim)
            await self._circuits.park(dependency, turn.claim.thread, position)

    async def _note_wait(self, turn: Turn, dependency: str) -> None:
        waits, now = turn.recall(WAITS), time.time()
        if waits or dependency:
            totals = (waits or Waits()).total(now)
            await turn.note(WAITS, Waits(totals, dependency, now))

    async def _show_notice(self, turn: Turn, dependency: str) -> None:
        """Post the outage notice once the person has waited long enough."""
        waited = time.time() - turn.claim.taken_at
        notice = UNAVAILABLE.get(dependency.partition(":")[0])
        if waited < self._circuits.timing.notice_after or notice is None:
            return
        try:
            await self._services.notices.show(turn, notice)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            log.info("notice_not_posted", error=type(error).__name__)

    async def _apologize(self, turn: Turn, given_up: GivenUp) -> None:
        """Post the apology as soon as Slack accepts it, and store the dead letter."""
        facts = {"thread": turn.claim.thread.key, "turn": turn.id}
        try:
            await give_up(turn, self._services, apology_reason(given_up))
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            history = History(0, time.time() - given_up.at)
            outcome = apology_outcome(error, history, self._limits, self._timing)
            if isinstance(outcome, ComeBack):
                await self._come_back(turn, outcome)
                return
            log.error("apology_failed", error=outcome.reason, **facts)
        log.error("dead_letter_added", reason=given_up.reason, **facts)
        metrics.turns.labels("dead").inc()
        await self._inbox.dead_letter(turn.claim, given_up.reason, dependency=given_up.dependency)


def _log_taken(claim: Claim) -> None:
    log.debug(
        "turn_taken",
        thread=claim.thread.key,
        turn=claim.turn_id,
        messages=[message.ts for message in claim.messages],
        attempt=claim.attempt,
        crashes=claim.crashes,
    )


def _span_of(claim: Claim) -> AbstractContextManager[object]:
    """A span in the trace of the last message, linked to the traces of the others."""
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


def _record_answer(turn: Turn, answer: Answer) -> None:
    thread, usage = turn.claim.thread, answer.usage or Usage()
    calls = [call for each in rounds_of(turn) for call in each.asked.calls]
    audit_log.record(
        "answer",
        team=thread.team_id,
        channel=thread.channel_id,
        thread=thread.thread_ts,
        users=sorted({message.user_id for message in turn.claim.messages}),
        turn=turn.id,
        outcome=answer.outcome,
        reason=metrics.kind(answer.reason) if answer.reason else "",
        model=answer.model,
        tools=sorted({call.plain_name for call in calls}),
        **asdict(usage),
    )


def answer_fields(answer: Answer) -> dict[str, Any]:
    """The log fields of an answer: its outcome and usage, never its text."""
    usage = answer.usage or Usage()
    return {
        "outcome": answer.outcome,
        "reason": answer.reason or None,
        "model": answer.model or None,
        "run": answer.run_id or None,
        "characters": len(answer.text),
        **asdict(usage),
    }


def latency_of(claim: Claim, waits: Waits | None, spent: Timeline, now: float) -> dict[str, Any]:
    """The breakdown of an answer's latency, in seconds.

    `total`, since the person wrote, is the sum of `waited` (until the first worker took it),
    `waited_for` (by dependency that was down), `earlier` (earlier attempts and the pauses between
    them), `ai` and `slack` (calls in the last attempt), and `own` (the rest). The last
    attempt took `seconds`.
    """
    waited_for = waits.total(spent.began) if waits else {}
    total = max(0.0, now - _asked_at(claim))
    waited = max(0.0, claim.taken_at - _asked_at(claim))
    earlier = max(0.0, spent.began - claim.taken_at - sum(waited_for.values()))
    calls = sum(spent.seconds.values())
    parts = {
        "total": total,
        "waited": waited,
        "earlier": earlier,
        **spent.seconds,
        "own": max(0.0, now - spent.began - calls),
        "seconds": now - spent.began,
    }
    return {
        **{name: round(seconds, 3) for name, seconds in parts.items()},
        "waited_for": waited_for,
        "attempt": claim.attempt,
        "crashes": claim.crashes,
    }


def _waited_for_people(turn: Turn, until: float) -> float:
    """Seconds in which the turn was suspended."""
    waits = turn.recall(WAITS)
    return waits.total(until).get(PEOPLE, 0.0) if waits else 0.0


def _facts(turn: Turn) -> dict[str, Any]:
    return {
        "thread": turn.claim.thread.key,
        "turn": turn.id,
        "messages": len(turn.claim.messages),
    }


def _asked_at(claim: Claim) -> float:
    """When the person wrote the message, in epoch seconds."""
    return float(claim.messages[0].ts)
