"""Random sequences of deliveries, claims, crashes and rescues, against a simple model of the
inbox."""

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
from bot.models import Thread, decode, encode
from bot.store import Approval, Claim, Decision, Entry, Store, ThreadState, Turn
from bot.store.approvals import ApprovalVerdict
from bot.store.interrupting import Order
from bot.store.steps import Step, approval_step, decision_step
from tests.redis_server import RedisServer, open_clean_store
from tests.store.builders import TTL, approval, message, stamps, thread
from tests.store.model import InboxModel, ThreadModel

T = TypeVar("T")

THREADS = [thread(name) for name in ("1.0", "2.0")]
WORKERS = ["anna", "bert"]

threads = st.sampled_from(THREADS)
workers = st.sampled_from(WORKERS)
ts = st.sampled_from([f"{number}.5" for number in range(10, 30)])
reasons = st.sampled_from(["stop", "reset"])
people = st.sampled_from(["U1", "U2"])
steps = st.sampled_from(["begin", "run", "answer"])
calls = st.sampled_from(["call_1", "call_2"])
some_calls = st.sampled_from([["call_1"], ["call_2"], ["call_1", "call_2"]])
seldom = st.sampled_from([False, False, False, False, True])
# The entry or claim to use, counted from the newest; older ones belong to workers that were frozen
# and resumed late.
ages = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 5])


@dataclass(frozen=True)
class Read:
    """An entry that a worker has read; stale once its thread was moved."""

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

    # People

    @rule(where=threads, ts=ts, is_reset=seldom, by=people)
    def deliver(self, where: Thread, ts: str, is_reset: bool, by: str) -> None:
        sent = message(ts, of=where, kind="reset" if is_reset else "message", by=by)
        delivery = self.do(self.store.inbox.deliver(sent))

        assert delivery.new == self.model.deliver(sent)
        model = self.model.threads[where]
        assert delivery.waiting == len(model.messages) - len(model.taken)
        assert delivery.active == bool(model.taken)

    @rule(where=threads, ts=ts)
    def revise(self, where: Thread, ts: str) -> None:
        model, edited = self.model.threads[where], message(ts, "edited", of=where)
        outcome = self.do(self.store.inbox.revise(edited, edited=True))

        assert outcome == model.amendment(ts)
        if outcome == "waiting":
            model.messages[ts] = edited
        elif outcome == "taken" and model.requester:
            self.model.withdraw_approvals(where)

    @rule(where=threads, ts=ts)
    def withdraw(self, where: Thread, ts: str) -> None:
        model = self.model.threads[where]
        outcome = self.do(self.store.inbox.withdraw(where, ts))

        assert outcome == model.amendment(ts)
        if outcome == "waiting":
            model.withdraw(ts)
        elif outcome == "taken" and model.requester:
            self.model.withdraw_approvals(where)

    @rule(where=threads, reason=reasons)
    def interrupt(self, where: Thread, reason: Order) -> None:
        model = self.model.threads[where]

        assert self.do(self.store.inbox.interrupt(where, reason)) == bool(model.taken)
        if model.taken:
            model.interrupt = "reset" if model.interrupt == "reset" else reason
            self.fall_due_in_model(where)

    @rule(where=threads, id=calls, allow=st.booleans(), stale=seldom, changed=seldom)
    def decide(self, where: Thread, id: str, allow: bool, stale: bool, changed: bool) -> None:
        model = self.model.threads[where]
        verdict: ApprovalVerdict = "run" if allow else "denied"
        turn_id = "another turn" if stale else model.turn_id
        asked = approval(id, shown="other arguments" if changed else "")
        decision = Decision(verdict, "U1")
        outcome, found = self.do(self.store.approvals.decide(where, turn_id, asked, decision))

        assert outcome == model.decide(turn_id, id, verdict, changed=changed)
        if outcome in ("decided", "earlier"):
            assert found is not None
            assert found.verdict == model.approvals[id]
        if outcome == "decided":
            self.model.resume(where)

    # Workers

    @rule(worker=workers, count=st.integers(1, 2))
    def claim(self, worker: str, count: int) -> None:
        entries = self.do(self.store.inbox.read_ready(worker, count, 0))

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
        decided = {f"decision:{id}" for id, verdict in model.approvals.items() if verdict}
        asked = {f"approval:{id}" for id in model.approvals}
        withdrawn = {"withdrawn"} if model.withdrawn else set()
        assert set(claim.steps) == set(model.steps) | asked | decided | withdrawn
        assert claim.intents == model.intents

    @precondition(lambda self: self.claims)
    @rule(age=ages, step=steps, crash=seldom)
    def once(self, age: int, step: str, crash: bool) -> None:
        claim, reported = self.claim_of(age), []
        model, turn = self.model.threads[claim.thread], self.store.turns.open(claim)

        async def work(again: bool) -> str:
            reported.append(again)
            if crash:
                raise SystemError
            return f"{step} of {claim.fence}"

        if step in claim.steps or (self.is_valid(claim) and step in model.steps):
            recorded = self.do(turn.once(Step(step, str), work))
            assert recorded == (turn.recall(Step(step, str)) or model.steps[step])
            assert reported == []
        elif not self.is_valid(claim):
            with pytest.raises(Superseded):
                self.do(turn.once(Step(step, str), work))
            assert reported == []
        else:
            if crash:
                with pytest.raises(SystemError):
                    self.do(turn.once(Step(step, str), work))
            else:
                model.steps[step] = self.do(turn.once(Step(step, str), work))
            assert reported == [step in model.intents]
            model.intents.add(step)

    @precondition(lambda self: self.claims)
    @rule(age=ages, dropped=steps)
    def begin_again(self, age: int, dropped: str) -> None:
        claim, turns = self.claim_of(age), self.store.turns
        model, turn = self.model.threads[claim.thread], turns.open(claim)
        if not self.is_valid(claim):
            with pytest.raises(Superseded):
                self.do(turns.begin_again(turn, [dropped], {}))
            return
        again = self.do(turns.begin_again(turn, [dropped], {})).claim
        model.begin_again(dropped)
        self.check_claim(again, model)
        self.claims.append(again)

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

    @precondition(lambda self: self.claims)
    @rule(age=ages, ids=some_calls, suspends=st.booleans())
    def request_approvals(self, age: int, ids: list[str], suspends: bool) -> None:
        claim = self.claim_of(age)
        turn, model = self.store.turns.open(claim), self.model.threads[claim.thread]
        asked = self.store.approvals.request(turn, "U1", [approval(id) for id in ids])
        if not self.is_valid(claim):
            with pytest.raises(Superseded):
                self.do(asked)
            return
        found = self.do(asked)

        model.request("U1", ids)
        verdicts = [decision.verdict if decision else "" for _, decision in found.approvals]
        assert verdicts == [model.approvals[id] for id in ids]
        assert found.interrupt == model.interrupt
        if suspends:
            self.suspend(turn)

    @rule(worker=workers, ids=some_calls)
    def claim_and_suspend(self, worker: str, ids: list[str]) -> None:
        before = len(self.claims)
        self.claim_and_take(worker)
        for age in range(len(self.claims) - before):
            self.request_approvals(age, ids, True)

    @precondition(lambda self: self.claims)
    @rule(age=ages)
    def suspend_after_a_pause(self, age: int) -> None:
        self.suspend(self.store.turns.open(self.claim_of(age)))

    def suspend(self, turn: Turn) -> None:
        model, suspension = (
            self.model.threads[turn.claim.thread],
            self.store.approvals.suspend(turn),
        )
        if not self.is_valid(turn.claim):
            with pytest.raises(Superseded):
                self.do(suspension)
            return
        has_news = model.has_news(set(turn.family(decision_step(""))))

        assert self.do(suspension) != has_news
        self.model.move(turn.claim.thread, "ready" if has_news else "later")
        if not has_news and _due(turn) < 4e9:
            self.fall_due_in_model(turn.claim.thread)

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

    # Time

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

    @rule(where=threads, id=calls)
    def expire(self, where: Thread, id: str) -> None:
        if id in self.model.threads[where].approvals:
            self.do(_expire(self.store, where, id))
            self.model.threads[where].expired.add(id)

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
        """In the end each message has been answered once."""
        for where in THREADS:
            self.do(_make_due(self.store, where))
        for worker in WORKERS:
            self.do(self.store.workers.hand_over(worker))
        self.do(self.store.workers.beat("last", TTL))
        while entries := self.do(self.store.inbox.read_ready("last", 10, 0)):
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


def _due(turn: Turn) -> float:
    """When a suspended turn comes back, as far as the holder knows: at once with nothing open."""
    decided = turn.family(decision_step(""))
    asked = turn.family(approval_step("")).items()
    return min(
        (decode(Approval, text).expires for id, text in asked if id not in decided), default=0
    )


async def _expire(store: Store, where: Thread, id: str) -> None:
    expired = encode(approval(id, expires=1.0))
    await store.redis.hset(store.keys.turn(where), f"={approval_step(id).name}", expired)


def test_any_sequence_of_events_keeps_the_guarantees(redis_server: RedisServer) -> None:
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
