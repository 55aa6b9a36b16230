"""Circuit breakers: one per dependency, shared by all workers through Redis.

A circuit opens when its dependency fails. While it is open, only single probes are sent, at growing
intervals. The first answer closes it, and the threads parked on it resume in order.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from bot.errors import CircuitOpen, DependencyDown, Retry
from bot.models import Thread
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.telemetry import metrics, timeline
from bot.telemetry.log import log

PARKED_SECONDS = 7 * 86400
REMEMBERED_FAILURES = 5000

current_turn: ContextVar[str] = ContextVar("current_turn", default="")
"""The id of the turn that calls a dependency; failures are counted by turn."""


@dataclass(frozen=True, slots=True)
class OpenCircuit:
    """An open circuit as this process knows it; `retry_at` in seconds of `time.monotonic`."""

    reason: str
    retry_at: float


@dataclass(frozen=True, slots=True)
class Resumed:
    """The threads that `resume` removed from the list; `healthy`: the dependency has fully
    recovered."""

    threads: tuple[Thread, ...]
    healthy: bool


class Circuits:
    """All circuits. Calls of a dependency go through `guard`."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self.timing = connection.timing.circuits
        self._connection = connection
        self._keys = keys
        self._open: dict[str, OpenCircuit] = {}
        self._suspects: dict[str, set[str]] = {}
        """Turns whose calls failed since the dependency last answered."""
        self._answered: dict[str, OrderedDict[str, float]] = {}
        """The last two turns that a dependency answered, with the times."""
        self._failed_at: OrderedDict[tuple[str, str], float] = OrderedDict()

    def is_open(self, dependency: str) -> bool:
        """Whether a call would be refused now, as far as this process knows."""
        circuit = self._open.get(dependency)
        return circuit is not None and time.monotonic() < circuit.retry_at

    def guard(self, dependency: str, *, ongoing: bool = False, timed: bool = True) -> "Guard":
        """Make one call of a dependency inside the block. Guards may be nested: a failure belongs
        to the innermost, and only one of them is `timed`.

        Raises CircuitOpen without running the block while the circuit is open, unless the call
        is `ongoing`. DependencyDown from the block is recorded as a failure; any other error counts
        as an answer.
        """
        return Guard(self, dependency, ongoing=ongoing, timed=timed)

    async def settle(self, dependency: str, error: BaseException | None, *, probing: bool) -> None:
        """Record how a call of a dependency ended."""
        if isinstance(error, DependencyDown):
            if not error.dependency:
                error.dependency = dependency
                error.probed = probing
                await self._failed(error)
        elif error is None or (isinstance(error, Exception) and not isinstance(error, Retry)):
            await self._succeeded(dependency)

    async def admit(self, dependency: str) -> bool:
        """Whether this call is the probe of an open circuit."""
        circuit = self._open.get(dependency)
        if circuit is None:
            return False
        now = time.monotonic()
        wait = circuit.retry_at - now
        if wait <= 0:
            wait = float(
                await self._connection.run(
                    "circuit_probe", name=dependency, seconds=self.timing.probe_timeout
                )
            )
            if wait < 0:
                self._close(dependency)
                return False
            # By now another call may be the probe and end before this one does.
            seconds = min(wait, self.timing.first_pause) or self.timing.probe_timeout
            self._open[dependency] = OpenCircuit(circuit.reason, now + seconds)
        if wait:
            raise CircuitOpen(circuit.reason, dependency=dependency, after=wait)
        return True

    async def _failed(self, error: DependencyDown) -> None:
        """Open the circuit, unless a single turn fails: its message may be the cause.

        A failure counts against a turn if the dependency answered others in the meantime.
        """
        dependency, turn, now = error.dependency, current_turn.get(), time.monotonic()
        previous = self._failed_at.pop((dependency, turn), now - self.timing.recent)
        self._failed_at[dependency, turn] = now
        if len(self._failed_at) > REMEMBERED_FAILURES:
            self._failed_at.popitem(last=False)
        if not error.certain and dependency not in self._open:
            suspects = self._suspects.setdefault(dependency, set())
            suspects.add(turn)
            if len(suspects) == 1:
                error.counts = self._answered_others(dependency, turn, previous)
                return
        await self._trip(error)

    def _answered_others(self, dependency: str, turn: str, since: float) -> bool:
        answered = self._answered.get(dependency, OrderedDict())
        return any(other != turn and at > since for other, at in answered.items())

    async def _trip(self, error: DependencyDown) -> None:
        timing, dependency = self.timing, error.dependency
        opened, retry_in = await self._connection.run(
            "circuit_fail",
            name=dependency,
            reason=error.reason,
            first=timing.first_pause,
            longest=timing.longest_pause,
            asked=min(error.after or 0.0, timing.longest_retry_after),
            probed=int(error.probed),
        )
        self._note_open(dependency, error.reason, float(retry_in))
        if opened:
            metrics.circuits_opened.labels(dependency).inc()
            log.warning("circuit_opened", dependency=dependency, reason=error.reason)

    async def _succeeded(self, dependency: str) -> None:
        self._suspects.pop(dependency, None)
        answered = self._answered.setdefault(dependency, OrderedDict())
        turn = current_turn.get()
        answered[turn] = time.monotonic()
        answered.move_to_end(turn)
        if len(answered) > 2:
            answered.popitem(last=False)
        if dependency in self._open:
            seconds = float(await self._connection.run("circuit_close", name=dependency))
            self._close(dependency)
            if seconds >= 0:
                log.warning("circuit_closed", dependency=dependency, seconds=round(seconds, 1))

    def _note_open(self, dependency: str, reason: str, retry_in: float) -> None:
        self._open[dependency] = OpenCircuit(reason, time.monotonic() + retry_in)
        metrics.circuit_open.labels(dependency).set(1)

    def _close(self, dependency: str) -> None:
        self._open.pop(dependency, None)
        metrics.circuit_open.labels(dependency).set(0)

    def refresh(self, circuits: Mapping[str, tuple[str, float]]) -> None:
        """Update the open circuits from Redis: by dependency the reason and the seconds until the
        next probe."""
        for dependency in set(self._open) - set(circuits):
            self._close(dependency)
        for dependency, (reason, retry_in) in circuits.items():
            self._note_open(dependency, reason, retry_in)

    async def park(self, dependency: str, thread: Thread, position: float) -> None:
        """Queue a released thread until the dependency recovers, in order of `position`."""
        name = self._keys.parked(dependency)
        await self._connection.execute_many(
            [("ZADD", name, position, thread.key), ("EXPIRE", name, PARKED_SECONDS)]
        )

    async def resume(self, dependency: str, heartbeat: float) -> Resumed:
        """The parked threads to resume now: the next probe, or the next few after a recovery.

        All workers call this once per heartbeat; the pace is shared.
        """
        timing = self.timing
        healthy, *threads = await self._connection.run(
            "circuit_resume",
            keys={"parked": self._keys.parked(dependency)},
            name=dependency,
            most=max(1, round(timing.resumed_per_second * heartbeat)),
            gap=heartbeat * 0.8,
            healthy_after=timing.healthy_after,
        )
        return Resumed(tuple(Thread.parse(name) for name in threads), bool(healthy))

    async def forget(self, dependency: str) -> None:
        """Drop the circuit of a dependency that is healthy."""
        await self._connection.execute("HDEL", self._keys.circuits, dependency)


class Guard:
    """The block of `Circuits.guard`. A class, because a generator takes three times the memory, and
    thousands of turns wait inside."""

    __slots__ = ("_circuits", "_clock", "_dependency", "_ongoing", "_probing")

    def __init__(self, circuits: Circuits, dependency: str, *, ongoing: bool, timed: bool) -> None:
        self._circuits = circuits
        self._dependency = dependency
        self._ongoing = ongoing
        self._probing = False
        self._clock = timeline.calling(dependency.partition(":")[0]) if timed else None

    async def __aenter__(self) -> None:
        self._probing = not self._ongoing and await self._circuits.admit(self._dependency)
        if self._clock:
            self._clock.__enter__()

    async def __aexit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if self._clock:
            self._clock.__exit__()
        await self._circuits.settle(self._dependency, error, probing=self._probing)
