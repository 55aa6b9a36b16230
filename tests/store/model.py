"""A model of the inbox in plain Python, for comparison with the real one."""

from dataclasses import dataclass, field
from typing import Literal

from bot.models import Message, Thread
from bot.store import ThreadState

Place = Literal["idle", "ready", "pending", "later"]


@dataclass
class ThreadModel:
    """One thread. `pending`: read by `worker`, and held by the claim with `fence`."""

    place: Place = "idle"
    worker: str = ""
    fence: str = ""
    moves: int = 0
    """An entry that was read before the last move is stale."""
    messages: dict[str, Message] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)
    turn_id: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    intents: set[str] = field(default_factory=set)
    interrupt: str = ""
    attempt: int = 0
    crashes: int = 0
    requester: str = ""
    withdrawn: bool = False
    approvals: dict[str, str] = field(default_factory=dict)
    """Verdicts by id; "" while open."""
    expired: set[str] = field(default_factory=set)
    done: list[str] = field(default_factory=list)

    def move(self, place: Place) -> None:
        self.place, self.worker, self.fence = place, "", ""
        self.moves += 1
        if place == "idle":
            self.attempt = self.crashes = 0
            self.requester = ""

    def begin_turn(self, turn_id: str) -> None:
        batch = sorted(self.messages)
        resets = [i for i, ts in enumerate(batch) if self.messages[ts].kind == "reset"]
        self.requester = ""
        self.taken = batch[: resets[-1] + 1] if resets else batch
        self.turn_id = turn_id

    def drop_turn(self) -> None:
        self.taken, self.turn_id, self.interrupt = [], "", ""
        self.steps, self.intents = {}, set()
        self.withdrawn, self.approvals, self.expired = False, {}, set()

    @property
    def older(self) -> list[str]:
        """What belongs before the turn's newest message and arrived after it was taken."""
        messages = self.messages.items()
        older = [ts for ts, m in messages if m.kind == "message" and ts < max(self.taken)]
        return sorted(set(older) - set(self.taken))

    def begin_again(self, dropped: str) -> None:
        self.taken = sorted([*self.taken, *self.older])
        self.steps.pop(dropped, None)
        self.intents.discard(dropped)
        if self.interrupt == "late":
            self.interrupt = ""

    def end_turn(self) -> None:
        self.done += self.taken
        for ts in self.taken:
            del self.messages[ts]
        self.drop_turn()
        self.attempt = self.crashes = 0
        self.requester = ""

    def request(self, requester: str, ids: list[str]) -> None:
        self.approvals = dict.fromkeys(ids, "") | self.approvals
        for id, verdict in self.approvals.items():
            if not verdict:
                if self.interrupt or self.withdrawn:
                    self.approvals[id] = "withdrawn"
                elif id in self.expired:
                    self.approvals[id] = "expired"
        self.requester = "" if all(self.approvals.values()) else requester

    def decide(self, turn_id: str, id: str, verdict: str, *, changed: bool) -> str:
        if not turn_id or turn_id != self.turn_id or id not in self.approvals:
            return "gone"
        if self.approvals[id]:
            return "earlier"
        if self.interrupt or self.withdrawn:
            return "gone"
        if changed or id in self.expired:
            return "changed" if changed else "expired"
        self.approvals[id] = verdict
        return "decided"

    def has_news(self, known: set[str]) -> bool:
        decided = {id for id, verdict in self.approvals.items() if verdict}
        return bool(self.interrupt) or self.withdrawn or bool(decided - known)

    def withdraw(self, ts: str) -> None:
        self.done.append(ts)
        del self.messages[ts]
        if ts in self.taken:
            self.drop_turn()

    def amendment(self, ts: str) -> str:
        if ts not in self.messages:
            return "absent"
        is_begun = self.fence or self.steps or self.intents or self.approvals
        return "taken" if ts in self.taken and is_begun else "waiting"

    @property
    def state(self) -> ThreadState:
        place = self.place
        return ThreadState(
            state=("claimed" if self.fence else "ready") if place == "pending" else place,
            waiting=tuple(sorted(set(self.messages) - set(self.taken))),
            taken=tuple(self.taken),
            worker=self.worker if self.fence else "",
            turn_id=self.turn_id,
            attempts=self.attempt,
            crashes=self.crashes,
            interrupt=self.interrupt,
            requester=self.requester,
        )


@dataclass
class InboxModel:
    """All threads, the queue of ready ones, and the entries that each worker has read."""

    threads: dict[Thread, ThreadModel]
    ready: list[Thread] = field(default_factory=list)
    pending: list[Thread] = field(default_factory=list)
    due: set[Thread] = field(default_factory=set)
    seen: set[tuple[Thread, str]] = field(default_factory=set)

    def move(self, where: Thread, place: Place) -> None:
        if where in self.pending:
            self.pending.remove(where)
        if place == "ready":
            self.ready.append(where)
        self.due.discard(where)
        self.threads[where].move(place)

    def deliver(self, message: Message) -> bool:
        mark = (message.thread, message.ts)
        if mark in self.seen:
            return False
        self.seen.add(mark)
        model = self.threads[message.thread]
        model.messages[message.ts] = message
        if model.place == "idle":
            self.move(message.thread, "ready")
        else:
            if model.taken and message.ts in model.older:
                model.interrupt = model.interrupt or "late"
            if model.requester == message.user_id:
                self.withdraw_approvals(message.thread)
        return True

    def withdraw_approvals(self, where: Thread) -> None:
        self.threads[where].withdrawn = True
        self.resume(where)

    def resume(self, where: Thread) -> None:
        if self.threads[where].place == "later":
            self.move(where, "ready")

    def read(self, worker: str, count: int) -> list[Thread]:
        read, self.ready = self.ready[:count], self.ready[count:]
        for where in read:
            self.threads[where].place = "pending"
            self.threads[where].worker = worker
            self.pending.append(where)
        return read

    def of(self, worker: str) -> list[Thread]:
        return [where for where in self.pending if self.threads[where].worker == worker]

    def wake(self) -> None:
        for where in sorted(self.due, key=lambda where: where.key):
            if self.threads[where].place == "later":
                self.move(where, "ready")
        self.due.clear()

    def go_on(self, where: Thread) -> None:
        self.move(where, "ready" if self.threads[where].messages else "idle")
