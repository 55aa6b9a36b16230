"""One attempt at a turn, and what follows from its outcome."""

import time

from bot.errors import OutOfOrder, StoreUnavailable, Superseded
from bot.models import Answer, Thread
from bot.settings import Settings
from bot.store import Claim, Turn, current_turn
from bot.store.claims import InterruptReason
from bot.store.step_values import GivenUp, Waits
from bot.store.steps import ANSWER, GIVEN_UP, WAITS, approval_step
from bot.telemetry import metrics, timeline
from bot.telemetry.log import log
from bot.telemetry.timeline import Timeline
from bot.texts.answers import UNAVAILABLE
from bot.timing import WorkerTiming
from bot.turn.record import asked
from bot.turn.reordering import begin_again
from bot.turn.services import Services
from bot.turn.turn import give_up, take_turn
from bot.worker.active import ActiveThread
from bot.worker.attempt_log import (
    PEOPLE,
    answer_fields,
    asked_at,
    facts_of,
    latency_of,
    log_delay,
    log_taken,
    record_answer,
    span_of,
    waited_for_people,
)
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


class Attempts:
    """Makes attempts at turns for one worker."""

    __slots__ = ("_circuits", "_inbox", "_limits", "_services", "_slow_answer", "_timing")

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
        thread.permitted = self._permitted
        current_turn.set(turn.id)
        log_taken(claim)
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

    async def _permitted(self, thread: Thread, reason: InterruptReason) -> InterruptReason | None:
        return await permitted(self._inbox, self._services.rights, thread, reason)

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
        await self._circuits.park(waits.dependency, turn.claim.thread, asked_at(turn.claim))
        return True

    async def make(self, thread: ActiveThread) -> None:
        """Answer the turn's messages; or postpone the turn, settle it or give it up.

        The turn begins again with each older message that arrives. Raises StoreUnavailable and
        Superseded.
        """
        claim, spent = thread.known_turn.claim, timeline.begin()
        answer: Answer | None = None
        late: OutOfOrder | None = None
        try:
            with span_of(claim):
                while answer is None:
                    try:
                        if late:
                            await self._begin_again(thread, late)
                        answer = await take_turn(
                            thread.known_turn, self._services, thread.interrupt
                        )
                    except OutOfOrder as error:
                        late = error.with_traceback(None)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            await self._fail(thread.known_turn, claim, spent, error)
        else:
            metrics.count_turn(answer, time.time() - spent.began, float(claim.messages[-1].ts))
            self._log_answer(thread.known_turn, answer, spent)

    async def _begin_again(self, thread: ActiveThread, late: OutOfOrder) -> None:
        turns, engine = self._services.store.turns, self._services.engine
        thread.begin(await begin_again(turns, engine, thread.known_turn, late))

    async def _fail(self, turn: Turn, claim: Claim, spent: Timeline, error: Exception) -> None:
        """Decide what follows from an error, and do it."""
        await turn.flush()
        waited = time.time() - claim.taken_at - waited_for_people(turn, spent.began)
        answered = turn.recall(ANSWER) is not None
        history = History(claim.attempt, waited, answered)
        outcome = outcome_of(error, history, self._limits, self._timing)
        if outcome.reason.startswith("bug:"):
            log.exception("turn_failed", error=type(error).__name__, **facts_of(turn))
        await self._apply(turn, outcome, probed=getattr(error, "probed", False))

    def _log_answer(self, turn: Turn, answer: Answer, spent: Timeline) -> None:
        times = latency_of(turn.claim, turn.recall(WAITS), spent, time.time())
        log.info("turn_answered", **facts_of(turn), **answer_fields(answer), **times)
        if answer.outcome != "job":
            record_answer(turn, answer)
        if times["total"] - times["waited_for"].get(PEOPLE, 0.0) > self._slow_answer:
            log.warning("slow_answer", **facts_of(turn), **times)

    async def _apply(self, turn: Turn, outcome: Outcome, *, probed: bool = False) -> None:
        match outcome:
            case Settle(reason):
                log.warning("turn_undeliverable", reason=reason, **facts_of(turn))
                metrics.turns.labels("undeliverable").inc()
                await self._inbox.settle(turn.claim, records=asked(turn))
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
        log.info("turn_suspended", waits=waits, **facts_of(turn))

    async def _come_back(self, turn: Turn, outcome: ComeBack, *, probed: bool = False) -> None:
        dependency = outcome.dependency
        metrics.retries.labels(metrics.kind(outcome.reason), dependency or "none").inc()
        log_delay(turn, outcome)
        await self._note_wait(turn, dependency)
        after = outcome.after
        if dependency:
            await self._show_notice(turn, dependency)
            after = min(after, self._circuits.timing.notice_after)
        await self._inbox.release(turn.claim, after, outcome.reason, counts=outcome.counts)
        if dependency and self._circuits.is_open(dependency):
            # A failed probe goes to the end of the list: its message may be the cause.
            position = time.time() if probed else asked_at(turn.claim)
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
