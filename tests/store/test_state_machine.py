"""Any order of deliveries, claims, crashes and rescues, against a simple model of the inbox."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from bot.errors import Superseded
from bot.models import Message, Thread
from bot.store import Claim, Entry, Store, ThreadState
from tests.redis_server import RedisServer, open_clean_store
from tests.store.scenes import TTL, message, stamps, thread

T = TypeVar("T")

THREADS = [thread(name) for name in ("1.0", "2.0", "3.0")]
WORKERS = ["anna", "bert", "carl"]
STEPS = ["begin", "run", "answer"]

threads = st.sampled_from(THREADS)
workers = st.sampled_from(WORKERS)
stamp = st.sampled_from([f"{number}.5" for number in range(10, 22)])


@dataclass
class Model:
    """One thread as it ought to be. `place`: idle, ready, pending at a worker, or later."""

    place: str = "idle"
    worker: str = ""
    token: object = None
    """Changes whenever the thread is moved: an entry or claim that holds an old one is void."""
    held: bool = False
    waiting: dict[str, Message] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    intents: set[str] = field(default_factory=set)
    attempt: int = 0
    crashes: int = 0
    turn_id: str = ""
    interrupt: str = ""
    answered: list[str] = field(default_factory=list)

    def next_batch(self) -> list[str]:
        batch = sorted(self.waiting)
        resets = [i for i, ts in enumerate(batch) if self.waiting[ts].kind == "reset"]
        return batch[: resets[-1] + 1] if resets else batch

    def end_turn(self) -> None:
        for ts in self.taken:
            del self.waiting[ts]
        self.drop_turn()
        self.attempt = self.crashes = 0

    def drop_turn(self) -> None:
        self.taken, self.steps, self.intents = [], {}, set()
        self.turn_id = self.interrupt = ""


@dataclass(frozen=True)
class Read:
    """An entry that a worker has read, with what made it valid then."""

    entry: Entry
    worker: str
    token: object


@dataclass(frozen=True)
class Taken:
    """A claim that a worker has taken, with what made it valid then."""

    claim: Claim
    token: object


class Machine(RuleBasedStateMachine):
    """Drives a real store and the model side by side."""

    url = ""
    reads = Bundle("reads")
    claims = Bundle("claims")

    @initialize()
    def start(self) -> None:
        self.runner = asyncio.Runner()
        self.opened = open_clean_store(self.url)
        self.store: Store = self.do(self.opened.__aenter__())
        self.model = {where: Model() for where in THREADS}
        self.queue: list[Thread] = []
        self.pending: list[tuple[Thread, object, str]] = []
        self.seen: set[tuple[Thread, str]] = set()
        self.due: set[Thread] = set()
        self.holder: dict[Thread, str] = {}

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    # What people do

    @rule(where=threads, ts=stamp, is_reset=st.sampled_from([False] * 5 + [True]))
    def deliver(self, where: Thread, ts: str, is_reset: bool) -> None:
        sent = message(ts, of=where, kind="reset" if is_reset else "message")
        model, is_new = self.model[where], (where, ts) not in self.seen
        delivery = self.do(self.store.inbox.deliver(sent))
        assert delivery.new == is_new
        if is_new:
            self.seen.add((where, ts))
            model.waiting[ts] = sent
            if model.place == "idle":
                self.enqueue(where)
        assert delivery.waiting == len(model.waiting) - len(model.taken)
        assert delivery.active == bool(model.taken)

    @rule(where=threads, ts=stamp, edited=st.booleans())
    def amend(self, where: Thread, ts: str, edited: bool) -> None:
        model = self.model[where]
        new = message(ts, f"edited {time.monotonic()}", of=where)
        if edited:
            outcome = self.do(self.store.inbox.revise(new))
        else:
            outcome = self.do(self.store.inbox.withdraw(where, ts))
        begun = model.held or model.steps or model.intents
        if ts not in model.waiting:
            assert outcome == "absent"
        elif ts in model.taken and begun:
            assert outcome == "taken"
        else:
            assert outcome == "waiting"
            if edited:
                model.waiting[ts] = new
            else:
                del model.waiting[ts]
                self.seen_no_more(where, ts)

    def seen_no_more(self, where: Thread, ts: str) -> None:
        model = self.model[where]
        model.answered.append(ts)
        if ts in model.taken:
            model.drop_turn()

    @rule(where=threads, reason=st.sampled_from(["stop", "reset"]))
    def interrupt(self, where: Thread, reason: Any) -> None:
        model = self.model[where]
        assert self.do(self.store.inbox.interrupt(where, reason)) == bool(model.taken)
        if model.taken:
            model.interrupt = "reset" if "reset" in (model.interrupt, reason) else reason
            self.due.add(where)

    # What workers do

    @rule(target=reads, worker=workers, count=st.integers(1, 3))
    def claim(self, worker: str, count: int) -> Any:
        entries = self.do(self.store.inbox.claim(worker, count, 0))
        assert [entry.thread for entry in entries] == self.queue[:count]
        del self.queue[:count]
        for entry in entries:
            model = self.model[entry.thread]
            model.place, model.worker = "pending", worker
            self.pending.append((entry.thread, model.token, worker))
        return multiple(*(Read(entry, worker, self.model[entry.thread].token) for entry in entries))

    @rule(target=claims, read=reads)
    def take(self, read: Read) -> Any:
        model = self.model[read.entry.thread]
        claim = self.do(self.store.inbox.take(read.entry, read.worker))
        if model.token is not read.token:
            assert claim is None
            return multiple()
        if not model.waiting:
            assert claim is None
            model.drop_turn()
            self.rest(read.entry.thread)
            return multiple()
        assert claim is not None
        if not model.taken:
            model.taken, model.turn_id = model.next_batch(), claim.turn_id
        assert stamps(claim) == model.taken
        assert list(claim.messages) == [model.waiting[ts] for ts in model.taken]
        assert claim.turn_id == model.turn_id
        assert (claim.attempt, claim.crashes) == (model.attempt, model.crashes)
        assert set(claim.steps) == set(model.steps)
        assert claim.intents == model.intents
        # Taking an entry again makes the claim before it void, and not the entry.
        model.held = True
        self.holder[read.entry.thread] = claim.fence
        return Taken(claim, model.token)

    def is_valid(self, taken: Taken) -> bool:
        where = taken.claim.thread
        model = self.model[where]
        return model.held and self.holder.get(where) == taken.claim.fence

    @rule(taken=claims, step=st.sampled_from(STEPS), crash=st.booleans())
    def once(self, taken: Taken, step: str, crash: bool) -> None:
        model, told = self.model[taken.claim.thread], []

        async def work(again: bool) -> str:
            told.append(again)
            if crash:
                raise SystemError
            return f"{taken.claim.fence} {step}"

        turn = self.store.turns.open(taken.claim)
        turn_steps = dict(taken.claim.steps)
        if step in turn_steps:
            assert self.do(turn.once(step, str, work)) == turn.recall(step, str)
            assert told == []
            return
        if not self.is_valid(taken):
            with pytest.raises(Superseded):
                self.do(turn.once(step, str, work))
            assert told == []
            return
        if step in model.steps:
            assert self.do(turn.once(step, str, work)) == model.steps[step]
            assert told == []
            return
        known = step in model.intents
        model.intents.add(step)
        if crash:
            with pytest.raises(SystemError):
                self.do(turn.once(step, str, work))
        else:
            model.steps[step] = self.do(turn.once(step, str, work))
        assert told == [known]

    @rule(taken=claims)
    def settle(self, taken: Taken) -> None:
        self.end(taken, self.store.inbox.settle(taken.claim))

    @rule(taken=claims)
    def bury(self, taken: Taken) -> None:
        self.end(taken, self.store.inbox.bury(taken.claim, "poison"))

    def end(self, taken: Taken, work: Coroutine[Any, Any, None]) -> None:
        where, model = taken.claim.thread, self.model[taken.claim.thread]
        if not self.is_valid(taken):
            with pytest.raises(Superseded):
                self.do(work)
            return
        self.do(work)
        model.answered += model.taken
        model.end_turn()
        if model.waiting:
            self.enqueue(where)
        else:
            self.rest(where)

    @rule(taken=claims, at_once=st.booleans(), counts=st.booleans())
    def release(self, taken: Taken, at_once: bool, counts: bool) -> None:
        where, model = taken.claim.thread, self.model[taken.claim.thread]
        work = self.store.inbox.release(taken.claim, 0 if at_once else 600, "429", counts=counts)
        if not self.is_valid(taken):
            with pytest.raises(Superseded):
                self.do(work)
            return
        model.attempt += counts
        assert self.do(work) == model.attempt
        if at_once:
            self.enqueue(where)
        else:
            self.leave(where, "later")
            self.due.discard(where)

    @rule(where=threads)
    def fall_due(self, where: Thread) -> None:
        self.do(_make_due(self.store, where))
        self.due.add(where)

    @rule(worker=workers)
    def beat(self, worker: str) -> None:
        self.wake(worker)

    @rule(worker=workers)
    def hand_over(self, worker: str) -> None:
        mine = [(where, token) for where, token, owner in self.pending if owner == worker]
        assert self.do(self.store.workers.hand_over(worker)) == len(mine)
        for where, _ in mine:
            self.enqueue(where)

    @rule(worker=workers, lost=st.booleans())
    def find_strays(self, worker: str, lost: bool) -> None:
        mine = [where for where, _, owner in self.pending if owner == worker]
        held = [] if lost else [self.entry_of(where) for where in mine]
        moved = self.do(self.store.workers.rescue_own(worker, held, idle=0))
        assert moved == (len(mine) if lost else 0)
        for where in mine if lost else ():
            self.enqueue(where)

    # What happens to workers; their old entries and claims may still be used: they hang

    @rule(worker=workers)
    def die_and_be_rescued(self, worker: str) -> None:
        for other in WORKERS:
            self.do(self.store.workers.beat(other, 0 if other == worker else TTL))
        self.woken()
        mine = [where for where, _, owner in self.pending if owner == worker]
        self.do(self.store.workers.beat("judge", 0))
        self.woken()
        assert self.do(self.store.workers.rescue("judge")) == len(mine)
        for where in mine:
            self.model[where].crashes += self.model[where].held
            self.enqueue(where)

    # The model's own moves

    def entry_of(self, where: Thread) -> str:
        return str(self.do(_field(self.store, self.store.keys.thread(where), "entry")))

    def enqueue(self, where: Thread) -> None:
        self.leave(where, "ready")
        self.queue.append(where)

    def rest(self, where: Thread) -> None:
        self.leave(where, "idle")
        model = self.model[where]
        model.attempt = model.crashes = 0

    def leave(self, where: Thread, place: str) -> None:
        model = self.model[where]
        self.pending = [row for row in self.pending if row[0] != where]
        model.place, model.worker, model.held, model.token = place, "", False, object()
        self.holder.pop(where, None)

    def wake(self, worker: str) -> None:
        heard = self.do(self.store.workers.beat(worker, TTL)).interrupts
        assert heard == {w.key: m.interrupt for w, m in self.model.items() if m.interrupt}
        self.woken()

    def woken(self) -> None:
        for where in sorted(self.due, key=lambda where: where.key):
            if self.model[where].place == "later":
                self.enqueue(where)
        self.due.clear()

    @invariant()
    def redis_holds_what_the_model_holds(self) -> None:
        for where, model in self.model.items():
            state = self.do(self.store.inbox.state(where))
            place = {"pending": "claimed" if model.held else "ready"}.get(model.place, model.place)
            assert state == ThreadState(
                place,  # type: ignore[arg-type]
                waiting=tuple(sorted(set(model.waiting) - set(model.taken))),
                taken=tuple(model.taken),
                worker=model.worker if model.held else "",
                turn_id=model.turn_id,
                attempts=model.attempt,
                crashes=model.crashes,
                reason=state.reason,
                interrupt=model.interrupt,
            )

    def teardown(self) -> None:
        try:
            self.drain()
        finally:
            self.do(self.opened.__aexit__(None, None, None))
            self.runner.close()

    def drain(self) -> None:
        """Whatever happened: in the end every message has been answered, once."""
        for where in THREADS:
            self.do(_make_due(self.store, where))
        for worker in WORKERS:
            self.do(self.store.workers.hand_over(worker))
        self.do(self.store.workers.beat("last", TTL))
        while entries := self.do(self.store.inbox.claim("last", 10, 0)):
            for entry in entries:
                claim = self.do(self.store.inbox.take(entry, "last"))
                if claim is not None:
                    self.model[entry.thread].answered += stamps(claim)
                    self.do(self.store.inbox.settle(claim))
        for where, model in self.model.items():
            assert sorted(model.answered) == sorted(ts for w, ts in self.seen if w == where)
            assert self.do(self.store.inbox.state(where)) == ThreadState("idle")
        depth = self.do(self.store.inbox.depth())
        assert (depth.waiting, depth.claimed, depth.later) == (0, 0, 0)


async def _field(store: Store, key: str, name: str) -> Any:
    return await store.redis.hget(key, name)


async def _make_due(store: Store, where: Thread) -> None:
    await store.redis.zadd(store.keys.later, {where.key: 0}, xx=True)


def test_any_order_of_events_keeps_the_promises(redis_server: RedisServer) -> None:
    machine = type("Machine", (Machine,), {"url": redis_server.url})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=60,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
