"""Any order of deliveries, claims, crashes and rescues, against a simple model of the inbox."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from bot.errors import Superseded
from bot.models import Thread
from bot.store import Claim, Entry, Interrupt, Store, ThreadState
from bot.store.steps import Step
from tests.redis_server import RedisServer, open_clean_store
from tests.store.builders import TTL, message, stamps, thread
from tests.store.model import InboxModel, ThreadModel

T = TypeVar("T")

THREADS = [thread(name) for name in ("1.0", "2.0")]
WORKERS = ["anna", "bert"]

threads = st.sampled_from(THREADS)
workers = st.sampled_from(WORKERS)
ts = st.sampled_from([f"{number}.5" for number in range(10, 30)])
reasons = st.sampled_from(["stop", "reset"])
steps = st.sampled_from(["begin", "run", "answer"])
seldom = st.sampled_from([False, False, False, False, True])
# Which entry or claim is used, counted from the newest; the older ones are those of workers that
# hung and woke up late.
ages = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5])


@dataclass(frozen=True)
class Read:
    """An entry that a worker has read; void once its thread was moved."""

    entry: Entry
    worker: str
    moves: int


class Machine(RuleBasedStateMachine):
    """Drives a real store and the model side by side."""

    url = ""

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.opened = open_clean_store(self.url)
        self.store: Store = self.do(self.opened.__aenter__())
        self.model = InboxModel({where: ThreadModel() for where in THREADS})
        self.reads: list[Read] = []
        self.claims: list[Claim] = []

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # What people do

    @rule(where=threads, ts=ts, is_reset=seldom)
    def deliver(self, where: Thread, ts: str, is_reset: bool) -> None:
        sent = message(ts, of=where, kind="reset" if is_reset else "message")
        delivery = self.do(self.store.inbox.deliver(sent))

        assert delivery.new == self.model.deliver(sent)
        model = self.model.threads[where]
        assert delivery.waiting == len(model.messages) - len(model.taken)
        assert delivery.active == bool(model.taken)

    @rule(where=threads, ts=ts)
    def revise(self, where: Thread, ts: str) -> None:
        model, edited = self.model.threads[where], message(ts, "edited", of=where)
        outcome = self.do(self.store.inbox.revise(edited))

        assert outcome == model.amendment(ts)
        if outcome == "waiting":
            model.messages[ts] = edited

    @rule(where=threads, ts=ts)
    def withdraw(self, where: Thread, ts: str) -> None:
        model = self.model.threads[where]
        outcome = self.do(self.store.inbox.withdraw(where, ts))

        assert outcome == model.amendment(ts)
        if outcome == "waiting":
            model.withdraw(ts)

    @rule(where=threads, reason=reasons)
    def interrupt(self, where: Thread, reason: Interrupt) -> None:
        model = self.model.threads[where]

        assert self.do(self.store.inbox.interrupt(where, reason)) == bool(model.taken)
        if model.taken:
            model.interrupt = "reset" if model.interrupt == "reset" else reason
            self.fall_due_in_model(where)

    # What workers do

    @rule(worker=workers, count=st.integers(1, 2))
    def claim(self, worker: str, count: int) -> None:
        entries = self.do(self.store.inbox.claim(worker, count, 0))

        assert [entry.thread for entry in entries] == self.model.read(worker, count)
        for entry in entries:
            self.reads.append(Read(entry, worker, self.model.threads[entry.thread].moves))

    @rule(worker=workers)
    def claim_and_take(self, worker: str) -> None:
        before = len(self.reads)
        self.claim(worker, 2)
        for age in range(len(self.reads) - before):
            self.take(age)

    @precondition(lambda self: self.reads)
    @rule(age=ages, together=st.booleans())
    def take(self, age: int, together: bool = False) -> None:
        read = self.reads[-1 - age % len(self.reads)]
        model = self.model.threads[read.entry.thread]
        if together:
            claims = self.do(self.store.inbox.take_all([read.entry], read.worker))
            claim = claims.get(read.entry.id)
        else:
            claim = self.do(self.store.inbox.take(read.entry, read.worker))
        if read.moves != model.moves:
            assert claim is None
        elif not model.messages:
            assert claim is None
            self.model.move(read.entry.thread, "idle")
        else:
            assert claim is not None
            self.check_claim(claim, model)
            self.claims.append(claim)

    def check_claim(self, claim: Claim, model: ThreadModel) -> None:
        if not model.taken:
            model.begin_turn(claim.turn_id)
        model.fence = claim.fence
        assert stamps(claim) == model.taken
        assert list(claim.messages) == [model.messages[ts] for ts in model.taken]
        assert claim.turn_id == model.turn_id
        assert (claim.attempt, claim.crashes) == (model.attempt, model.crashes)
        assert set(claim.steps) == set(model.steps)
        assert claim.intents == model.intents

    @precondition(lambda self: self.claims)
    @rule(age=ages, step=steps, crash=seldom)
    def once(self, age: int, step: str, crash: bool) -> None:
        claim, told = self.claim_of(age), []
        model, turn = self.model.threads[claim.thread], self.store.turns.open(claim)

        async def work(again: bool) -> str:
            told.append(again)
            if crash:
                raise SystemError
            return f"{step} of {claim.fence}"

        if step in claim.steps or (self.is_valid(claim) and step in model.steps):
            recorded = self.do(turn.once(Step(step, str), work))
            assert recorded == (turn.recall(Step(step, str)) or model.steps[step])
            assert told == []
        elif not self.is_valid(claim):
            with pytest.raises(Superseded):
                self.do(turn.once(Step(step, str), work))
            assert told == []
        else:
            if crash:
                with pytest.raises(SystemError):
                    self.do(turn.once(Step(step, str), work))
            else:
                model.steps[step] = self.do(turn.once(Step(step, str), work))
            assert told == [step in model.intents]
            model.intents.add(step)

    @precondition(lambda self: self.claims)
    @rule(age=ages, is_poison=seldom)
    def settle(self, age: int, is_poison: bool) -> None:
        claim, inbox = self.claim_of(age), self.store.inbox
        if self.accepts(
            claim, inbox.dead_letter(claim, "bad") if is_poison else inbox.settle(claim)
        ):
            self.model.threads[claim.thread].end_turn()
            self.model.go_on(claim.thread)

    @precondition(lambda self: self.claims)
    @rule(age=ages, after=st.sampled_from([0, 600]), counts=st.booleans())
    def release(self, age: int, after: float, counts: bool) -> None:
        claim = self.claim_of(age)
        if self.accepts(claim, self.store.inbox.release(claim, after, "429", counts=counts)):
            self.model.threads[claim.thread].attempt += counts
            self.model.move(claim.thread, "later" if after else "ready")

    def claim_of(self, age: int) -> Claim:
        return self.claims[-1 - age % len(self.claims)]

    def is_valid(self, claim: Claim) -> bool:
        return self.model.threads[claim.thread].fence == claim.fence

    def accepts(self, claim: Claim, write: Coroutine[Any, Any, object]) -> bool:
        if self.is_valid(claim):
            self.do(write)
            return True
        with pytest.raises(Superseded):
            self.do(write)
        return False

    @rule(worker=workers)
    def hand_over(self, worker: str) -> None:
        mine = self.model.of(worker)

        assert self.do(self.store.workers.hand_over(worker)) == len(mine)
        for where in mine:
            self.model.move(where, "ready")

    @rule(worker=workers, knows=st.booleans())
    def find_strays(self, worker: str, knows: bool) -> None:
        mine = self.model.of(worker)
        held = [read.entry.id for read in self.reads] if knows else []

        moved = self.do(self.store.workers.rescue_own(worker, held, idle=0))
        assert moved == (0 if knows else len(mine))
        for where in mine[:moved]:
            self.model.move(where, "ready")

    # What time does

    @rule(worker=workers)
    def beat(self, worker: str) -> None:
        heard = self.do(self.store.workers.beat(worker, TTL)).interrupts

        threads = self.model.threads.items()
        assert heard == {w.key: model.interrupt for w, model in threads if model.interrupt}
        self.model.wake()

    @rule(where=threads)
    def fall_due(self, where: Thread) -> None:
        self.do(_make_due(self.store, where))
        self.fall_due_in_model(where)

    def fall_due_in_model(self, where: Thread) -> None:
        if self.model.threads[where].place == "later":
            self.model.due.add(where)

    @rule(worker=workers)
    def die(self, worker: str) -> None:
        for other in WORKERS:
            self.do(self.store.workers.beat(other, 0 if other == worker else TTL))
        self.do(self.store.workers.beat("judge", 0))
        self.model.wake()
        mine = self.model.of(worker)

        assert self.do(self.store.workers.rescue("judge")) == len(mine)
        for where in mine:
            self.model.threads[where].crashes += bool(self.model.threads[where].fence)
            self.model.move(where, "ready")

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        for where, model in self.model.threads.items():
            state = self.do(self.store.inbox.state(where))
            assert replace(state, reason="") == model.state

    def teardown(self) -> None:
        try:
            self.answer_everything()
        finally:
            self.do(self.opened.__aexit__(None, None, None))
            self.runner.close()

    def answer_everything(self) -> None:
        """Whatever happened: in the end each message has been answered, once."""
        for where in THREADS:
            self.do(_make_due(self.store, where))
        for worker in WORKERS:
            self.do(self.store.workers.hand_over(worker))
        self.do(self.store.workers.beat("last", TTL))
        while entries := self.do(self.store.inbox.claim("last", 10, 0)):
            for entry in entries:
                if claim := self.do(self.store.inbox.take(entry, "last")):
                    self.model.threads[entry.thread].done += stamps(claim)
                    self.do(self.store.inbox.settle(claim))
        for where, model in self.model.threads.items():
            assert sorted(model.done) == sorted(ts for w, ts in self.model.seen if w == where)
            assert self.do(self.store.inbox.state(where)) == ThreadState("idle")
        depth = self.do(self.store.inbox.depth())
        assert (depth.waiting, depth.claimed, depth.later) == (0, 0, 0)


async def _make_due(store: Store, where: Thread) -> None:
    await store.redis.zadd(store.keys.later, {where.key: 0}, xx=True)


def test_any_order_of_events_keeps_the_promises(redis_server: RedisServer) -> None:
    machine = type("Machine", (Machine,), {"url": redis_server.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=80,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
