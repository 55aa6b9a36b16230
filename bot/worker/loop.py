"""Claims threads and runs their turns side by side; settles, retries, gives up, hands over.

A worker is alive as long as its heartbeat is; the entries of a dead one are taken up by the others.
"""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from functools import partial
from typing import Any

from structlog.contextvars import bind_contextvars

from bot.engines.polling import error_backoff
from bot.errors import BotError, Retry, StoreUnavailable, Superseded, Undeliverable
from bot.models import Answer, Message, Usage
from bot.settings import Settings
from bot.store import Claim, Entry, Turn
from bot.store.steps import GIVEN_UP, GivenUp
from bot.telemetry import metrics, trace
from bot.telemetry.log import log
from bot.timing import WorkerTiming
from bot.turn.turn import Desk, Interrupt, give_up, take_turn

MOST_CRASHES = 25
"""Workers that may die over one batch of messages before it is taken for poison."""


class Worker:
    """One worker of one process."""

    def __init__(
        self, desk: Desk, settings: Settings, timing: WorkerTiming = WorkerTiming()
    ) -> None:
        self.name = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(3)}"
        self._desk = desk
        self._inbox = desk.store.inbox
        self._workers = desk.store.workers
        self._settings = settings
        self._timing = timing
        self._work: dict[str, _Work] = {}
        self._batches: set[_Batch] = set()
        self._freed = asyncio.Event()
        self._leaving = asyncio.Event()
        self._bereft: list[Message] = []
        """Messages that we were answering when Redis lost its data: to be delivered again."""
        self._left: list[Message] = []
        """Messages of turns that Redis refused or was not there for: others answer them, unless the
        next heartbeat tells that Redis has lost them."""
        self._beaten_at = 0.0
        self._clock: asyncio.TimerHandle | None = None

    @property
    def busy(self) -> int:
        """How many threads are being answered."""
        return len(self._work)

    @property
    def room(self) -> int:
        """How many more threads may be claimed now."""
        beginning = sum(work.is_beginning for work in self._work.values())
        free = self._settings.bot_concurrency - self.busy
        return min(free, self._timing.starting_at_once - beginning)

    @property
    def is_alive(self) -> bool:
        """Whether Redis heard of us lately: else the others take our threads for abandoned."""
        return time.monotonic() - self._beaten_at < self._timing.lifetime

    async def run(self) -> None:
        """Work until `leave` is called; then hand over what is unfinished, and return."""
        await self._begin_to_beat()
        beats = asyncio.create_task(self._keep_beating())
        self._look_at_the_clock()
        try:
            await self._keep_claiming()
            await self._finish_last_words()
        finally:
            await _end([beats])
            if self._clock is not None:
                self._clock.cancel()
            await _end([work.task for work in self._work.values()])
            await _end(self._batches)
            await self._hand_over()

    def leave(self) -> None:
        """Stop taking work (SIGTERM)."""
        self._leaving.set()

    async def _keep_claiming(self) -> None:
        backoff = error_backoff()
        while not self._leaving.is_set():
            if (room := self.room) <= 0:
                self._freed.clear()
                await _first(
                    self._freed.wait(), self._leaving.wait(), asyncio.sleep(self._timing.recheck)
                )
                continue
            try:
                entries = await self._claim(room)
                backoff = error_backoff()
            except StoreUnavailable as error:
                log.error("redis_unavailable", error=str(error))
                await _first(asyncio.sleep(next(backoff)), self._leaving.wait())
                continue
            except Exception as error:
                log.exception("claim_failed", error=type(error).__name__)
                await _first(asyncio.sleep(next(backoff)), self._leaving.wait())
                continue
            self._begin(entries)

    async def _claim(self, most: int) -> list[Entry]:
        """Wait for ready threads, no longer than until we leave (`_hand_over` finds the rest)."""
        claim = asyncio.create_task(self._inbox.claim(self.name, most, self._timing.claim_block))
        leaving = asyncio.create_task(self._leaving.wait())
        await asyncio.wait([claim, leaving], return_when=asyncio.FIRST_COMPLETED)
        await _end([leaving] if claim.done() else [leaving, claim])
        return [] if claim.cancelled() else claim.result()

    def _begin(self, entries: Sequence[Entry]) -> None:
        """Turns that were begun before are taken together: a thousand come when a worker leaves."""
        begun = [entry for entry in entries if entry.begun]
        together = asyncio.create_task(self._inbox.take_all(begun, self.name)) if begun else None
        if together:
            self._batches.add(together)
            together.add_done_callback(self._batches.discard)
        for entry in entries:
            work = _Work(entry)
            work.task = asyncio.create_task(self._take(work, together if entry.begun else None))
            self._work[entry.id] = work
            metrics.turns_active.inc()
            work.task.add_done_callback(partial(self._end, entry))

    def _end(self, entry: Entry, _: object) -> None:
        del self._work[entry.id]
        metrics.turns_active.dec()
        self._freed.set()

    async def _take(self, work: "_Work", together: "_Batch | None") -> None:
        """One claim, from the entry to the settlement."""
        entry = work.entry
        bind_contextvars(thread=entry.thread.key)  # for all that this task logs
        try:
            work.claim = await self._claim_to(entry, together)
            if work.claim is None:
                return
            metrics.queue_seconds.observe(max(0.0, time.time() - entry.since))
            work.turn = self._desk.store.turns.open(work.claim)
            await self._carry_out(work.turn, work.interrupt)
        except Superseded:
            self._left += work.messages
            log.info("claim_superseded", thread=entry.thread.key)
        except StoreUnavailable as error:
            # The entry stays ours in Redis and is rescued when Redis is back.
            self._left += work.messages
            log.error("turn_left", thread=entry.thread.key, error=str(error))
        except Exception as error:
            # Left in Redis likewise, for one who can read it: a newer version, after a deploy.
            log.exception("thread_unreadable", error=type(error).__name__)

    async def _claim_to(self, entry: Entry, together: "_Batch | None") -> Claim | None:
        if together:
            try:
                return (await asyncio.shield(together)).get(entry.id)
            except StoreUnavailable:
                raise
            except Exception:
                log.exception("not_taken_together")  # each on its own, then
        else:
            await asyncio.sleep(self._time_to_gather(entry))
        return await self._inbox.take(entry, self.name)

    def _time_to_gather(self, entry: Entry) -> float:
        """Wait for what was said at the same moment and may arrive a little later."""
        gather = self._settings.bot_gather_seconds
        return min(gather, max(0.0, entry.since + gather - time.time()))

    async def _carry_out(self, turn: Turn, interrupt: Interrupt) -> None:
        claim, began = turn.claim, time.monotonic()
        facts = {"thread": claim.thread.key, "turn": turn.id, "messages": len(claim.messages)}
        log.debug(
            "turn_taken",
            thread=claim.thread.key,
            turn=turn.id,
            messages=[message.ts for message in claim.messages],
            attempt=claim.attempt,
            crashes=claim.crashes,
        )
        if given_up := turn.recall(GIVEN_UP):
            await self._bury(turn, given_up)
            return
        if claim.crashes > MOST_CRASHES:
            await self._give_up(turn, "crashed")
            return
        try:
            with _span_of(claim):
                answer = await take_turn(turn, self._desk, interrupt)
        except Undeliverable as error:
            log.warning("turn_undeliverable", reason=error.reason, **facts)
            metrics.turns.labels("undeliverable").inc()
            await self._inbox.settle(claim)
        except Retry as error:
            await self._come_back(turn, error)
            return
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            log.exception("turn_broke", error=type(error).__name__, **facts)
            await self._come_back(turn, Retry(f"bug:{type(error).__name__}"))
            return
        else:
            seconds = time.monotonic() - began
            metrics.count_turn(answer, seconds, float(claim.messages[-1].ts))
            log.info("turn_answered", **facts, **account(answer), **_times(claim, seconds))

    async def _come_back(self, turn: Turn, error: Retry) -> None:
        """Leave the thread for a while, or give its messages up after too many failures."""
        claim = turn.claim
        waited = time.time() - claim.taken_at
        counts = error.counts or waited > self._timing.patience
        if counts and claim.attempt + 1 >= self._settings.bot_attempts:
            await self._give_up(turn, error.reason)
            return
        await self._release(
            turn, error, backoff(claim.attempt, waited, self._timing), counts=counts
        )

    async def _release(self, turn: Turn, error: Retry, pace: float, *, counts: bool) -> None:
        claim = turn.claim
        after = min(error.after if error.after is not None else pace, self._timing.patience)
        metrics.retries.labels(metrics.kind(error.reason)).inc()
        log.warning(
            "turn_delayed",
            thread=claim.thread.key,
            turn=turn.id,
            reason=error.reason,
            after=after,
            attempt=claim.attempt,
        )
        await self._inbox.release(claim, after, error.reason, counts=counts)

    async def _give_up(self, turn: Turn, reason: str) -> None:
        given_up = GivenUp(reason, time.time())
        await turn.note(GIVEN_UP, given_up)
        await self._bury(turn, given_up)

    async def _bury(self, turn: Turn, given_up: GivenUp) -> None:
        """Apologize, as soon as Slack takes it, and put the messages to the dead letters."""
        claim, facts = turn.claim, {"thread": turn.claim.thread.key, "turn": turn.id}
        try:
            await give_up(turn, self._desk)
        except (StoreUnavailable, Superseded):
            raise
        except Exception as error:
            waited = time.time() - given_up.at
            if isinstance(error, Retry) and waited < self._timing.patience:
                await self._release(turn, error, backoff(0, waited, self._timing), counts=False)
                return
            log.error("apology_undelivered", error=str(error)[:100], **facts)
        log.error("messages_dead", reason=given_up.reason, **facts)
        metrics.turns.labels("dead").inc()
        await self._inbox.bury(claim, given_up.reason)

    async def _beat(self) -> None:
        began, left = time.monotonic(), list(self._left)
        beat = await self._workers.beat(self.name, self._timing.lifetime)
        self._beaten_at = began
        del self._left[: len(left)]
        if beat.data_lost:
            self._bereft += left + self._messages()
            log.error("redis_lost_its_data", saved=len(self._bereft))
            await _end([work.task for work in self._work.values()])
        while self._bereft:
            await self._inbox.deliver(self._bereft[0])
            del self._bereft[0]
        if beat.late:
            log.error("heartbeat_late")
            await self._let_go_of_lost_claims()
        for work in list(self._work.values()):
            reason = beat.interrupts.get(work.entry.thread.key)
            if reason:
                work.interrupt.set(reason)

    def _messages(self) -> list[Message]:
        """What we are answering."""
        return [message for work in self._work.values() for message in work.messages]

    async def _begin_to_beat(self) -> None:
        """Nothing is claimed before the first beat, or we would be taken for dead."""
        for delay in error_backoff():
            try:
                await self._beat()
                return
            except StoreUnavailable as error:
                log.error("heartbeat_missed", error=str(error))
                await _first(asyncio.sleep(delay), self._leaving.wait())
            if self._leaving.is_set():
                return

    async def _keep_beating(self) -> None:
        beats = 0
        while True:
            await asyncio.sleep(self._timing.heartbeat)
            try:
                await self._beat()
                beats += 1
                if beats % self._timing.rescue_every == 0:
                    await self._rescue()
            except StoreUnavailable as error:
                log.error("heartbeat_missed", error=str(error))
            except Exception:
                log.exception("heartbeat_broke")

    def _look_at_the_clock(self) -> None:
        """Let all threads go when we may be taken for dead: Redis is away, or we were frozen.

        A timer of the event loop and no task: after a pause of the process the loop runs it before
        any turn goes on, so that a turn which others have by now writes nothing more.
        """
        if (
            self._work
            and time.monotonic() - self._beaten_at > self._timing.lifetime - self._timing.heartbeat
        ):
            log.error("turns_let_go", threads=len(self._work))
            self._left += self._messages()
            self._cancel(lambda _: True)
        self._clock = asyncio.get_running_loop().call_later(
            self._timing.heartbeat, self._look_at_the_clock
        )

    async def _rescue(self) -> None:
        """Take up what the dead have left, and what is ours in Redis's eyes only: threads that we
        let go when Redis was away, or that it gave us in a reply which never arrived."""
        rescued = await self._workers.rescue(self.name)
        rescued += await self._workers.rescue_own(
            self.name, set(self._work), self._timing.stray_after
        )
        if rescued:
            log.warning("threads_rescued", threads=rescued)

    async def _let_go_of_lost_claims(self) -> None:
        claims = [work.claim for work in self._work.values() if work.claim]
        held = {claim.entry for claim in await self._workers.held(claims)}
        self._cancel(lambda work: work.claim is not None and work.claim.entry not in held)

    def _cancel(self, which: Callable[["_Work"], bool]) -> None:
        for work in list(self._work.values()):
            if which(work):
                work.task.cancel()

    async def _finish_last_words(self) -> None:
        """Turns that wait for their run can go at once; the others finish their step."""
        deadline = time.monotonic() + self._timing.shutdown_grace
        while self._work and time.monotonic() < deadline:
            self._cancel(lambda work: work.claim is None or work.can_go)
            await asyncio.wait([w.task for w in self._work.values()], timeout=0.05)

    async def _hand_over(self) -> None:
        try:
            count = await self._workers.hand_over(self.name)
        except BotError as error:
            log.error("not_handed_over", error=str(error))
        else:
            log.info("handed_over", threads=count)


def _span_of(claim: Claim) -> AbstractContextManager[object]:
    """The turn, in the trace of the message that it answers last; the other ones are linked."""
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


def account(answer: Answer) -> dict[str, Any]:
    """What the log tells of an answer: how it ended and what it took, not what it says."""
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


def backoff(attempt: int, waited: float, timing: WorkerTiming) -> float:
    """Seconds until the next attempt, also where attempts do not count and only time goes by."""
    return max(timing.retry_first * 2.0**attempt, min(waited / 4, timing.retry_longest))


_Batch = asyncio.Task[dict[str, Claim]]


class _Work:
    """A thread that is being answered."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.interrupt = Interrupt()
        self.claim: Claim | None = None
        self.turn: Turn | None = None
        self.task: asyncio.Task[None]

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.claim.messages if self.claim else ()

    @property
    def is_beginning(self) -> bool:
        return not (self.interrupt.begun or self.interrupt.waiting)

    @property
    def can_go(self) -> bool:
        """Whether nothing is under way that would have to be looked up afterwards."""
        return self.interrupt.waiting and not (self.turn and self.turn.in_step)


async def _end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they are over: before Python 3.12 a cancellation can get lost in
    `asyncio.wait_for`, which redis-py uses."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.2)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    """Wait for whichever comes first."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
