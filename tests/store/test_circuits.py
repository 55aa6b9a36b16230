"""The circuit breakers: what opens one, which calls pass, what resumes when.

Pauses are minutes, and `later` lets them pass: no test depends on how fast the machine is.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from copy import copy
from dataclasses import dataclass

import pytest

from bot.errors import ConversationGone, DependencyDown
from bot.models import Thread
from bot.store import Store, current_turn, open_store
from bot.timing import CircuitTiming, StoreTiming

TIMING = CircuitTiming(
    first_pause=60, longest_pause=240, recent=300, healthy_after=180, resumed_per_second=0.05
)
HEARTBEAT = 60.0
AI = "ai:responses:gpt-5"


@pytest.fixture
async def store(redis_url: str, store: Store) -> AsyncIterator[Store]:
    """The store of one process."""
    async with open_own(redis_url, store.keys.prefix) as own:
        yield own


def open_own(url: str, prefix: str):  # type: ignore[no-untyped-def]  # a context manager of Store
    return open_store(url, prefix=prefix, timing=StoreTiming(circuits=TIMING))


async def later(seconds: float, *stores: Store) -> None:
    """Let time pass for the circuit in Redis; the processes learn of it with the next heartbeat."""
    redis, key = stores[0].redis, stores[0].keys.circuits
    circuit = json.loads(await redis.hget(key, AI) or "{}")
    for moment in {"since", "retry_at", "closed_at", "resumed_at"} & set(circuit):
        circuit[moment] -= seconds
    await redis.hset(key, AI, json.dumps(circuit))
    for store in stores:
        await hear(store)


async def hear(store: Store) -> None:
    """Give a process the state of the circuits, as each heartbeat does."""
    store.circuits.refresh((await store.workers.beat("w", 60)).open_circuits)


@dataclass
class Server:
    """A dependency that counts its calls."""

    error: Exception | None = None
    calls: int = 0

    async def call(self, store: Store, turn: str) -> None:
        current_turn.set(turn)
        async with store.circuits.guard(AI):
            self.calls += 1
            if self.error:
                raise copy(self.error)

    async def failure(self, store: Store, turn: str) -> DependencyDown:
        with pytest.raises(DependencyDown) as caught:
            await self.call(store, turn)
        return caught.value


def down(*, certain: bool = True, after: float | None = None) -> DependencyDown:
    return DependencyDown("status 503", certain=certain, after=after)


def thread(number: int) -> Thread:
    return Thread("T1", "C1", f"{number}.0")


async def test_an_open_circuit_lets_only_single_probes_through_at_growing_pauses(
    store: Store,
) -> None:
    server = Server(down())
    for number in range(200):
        await server.failure(store, f"turn {number}")
    assert server.calls == 1
    for pause in (60, 120, 240, 240):
        before = server.calls
        for calls in (0, 1):
            await later(0.6 * pause, store)
            await asyncio.gather(*(server.failure(store, f"turn {n}") for n in range(20)))
            assert server.calls - before == calls


async def test_the_first_answer_closes_the_circuit_for_all_processes(
    store: Store, redis_url: str
) -> None:
    server = Server(down())
    async with open_own(redis_url, store.keys.prefix) as other:
        await server.failure(store, "a")
        await hear(other)
        assert other.circuits.is_open(AI)
        await server.failure(other, "b")
        assert server.calls == 1
        server.error = None
        await later(61, store)
        await server.call(store, "a")
        assert not store.circuits.is_open(AI)
        await hear(other)
        await server.call(other, "b")
    assert server.calls == 3


async def test_two_processes_have_one_probe_between_them(store: Store, redis_url: str) -> None:
    server = Server(down())
    async with open_own(redis_url, store.keys.prefix) as other:
        await server.failure(store, "a")
        await hear(other)
        await later(61, store, other)
        await asyncio.gather(*(server.failure(s, "b") for s in (store, other, store, other)))
    assert server.calls == 2


async def test_a_pause_that_the_dependency_asks_for_is_kept(store: Store) -> None:
    server = Server(down(after=500))
    await server.failure(store, "a")
    await later(300, store)
    error = await server.failure(store, "b")
    assert server.calls == 1
    assert error.after is not None
    assert 100 < error.after <= 200


async def test_an_answer_that_is_a_refusal_shows_that_the_dependency_is_up(store: Store) -> None:
    server = Server(down())
    await server.failure(store, "a")
    await later(61, store)
    server.error = ConversationGone("gone")
    with pytest.raises(ConversationGone):
        await server.call(store, "a")
    assert not store.circuits.is_open(AI)


async def test_one_turn_alone_opens_no_circuit_and_two_do(store: Store) -> None:
    server = Server(down(certain=False))
    for _ in range(5):
        assert not (await server.failure(store, "a")).counts
    assert not store.circuits.is_open(AI)
    assert not (await server.failure(store, "b")).counts
    assert store.circuits.is_open(AI)


async def test_a_turn_that_fails_while_others_succeed_is_blamed(store: Store) -> None:
    good, bad = Server(), Server(down(certain=False))
    for _ in range(3):
        await good.call(store, "good")
        assert (await bad.failure(store, "bad")).counts
    assert not (await bad.failure(store, "bad")).counts  # no other turn succeeded since
    await good.call(store, "bad")
    assert not (await bad.failure(store, "bad")).counts  # its own success does not count
    assert not store.circuits.is_open(AI)


async def test_parked_threads_resume_in_order_and_paced(store: Store) -> None:
    async def resumed() -> tuple[Thread, ...]:
        return (await store.circuits.resume(AI, HEARTBEAT)).threads

    server = Server(down())
    for number in (3, 1, 2, 5, 4, 6, 7):
        await store.circuits.park(AI, thread(number), number)
    await server.failure(store, "a")
    assert not await resumed()
    await later(61, store)
    assert await resumed() == (thread(1),)  # the probe
    server.error = None
    await server.call(store, "1")
    await later(HEARTBEAT, store)
    assert await resumed() == (thread(2), thread(3), thread(4))
    assert not await resumed()  # another worker, too soon
    await later(HEARTBEAT, store)
    assert await resumed() == (thread(5), thread(6), thread(7))


async def test_a_healthy_circuit_is_dropped_after_a_while(store: Store) -> None:
    server = Server(down())
    await server.failure(store, "a")
    server.error = None
    await later(61, store)
    await server.call(store, "a")
    assert not (await store.circuits.resume(AI, HEARTBEAT)).healthy
    await later(181, store)
    assert (await store.circuits.resume(AI, HEARTBEAT)).healthy
    await store.circuits.forget(AI)
    assert (await store.workers.beat("w", 5)).circuits == {}


async def pauses_of(store: Store, server: Server, recovered_for: float) -> list[int]:
    """The pauses before four probes, in first pauses. Each probe closes the circuit, and a call
    `recovered_for` seconds later fails."""
    found = []
    for _ in range(4):
        server.error = down()
        await server.failure(store, "1")
        refused = await server.failure(store, "1")
        assert refused.after is not None
        found.append(round(refused.after / TIMING.first_pause))
        await later(refused.after + 1, store)
        server.error = None
        await server.call(store, "1")
        await later(recovered_for, store)
    return found


async def test_one_that_refuses_only_some_calls_is_probed_ever_less_often(store: Store) -> None:
    assert await pauses_of(store, Server(), 0) == [1, 2, 4, 4]


async def test_one_that_recovers_for_a_while_is_probed_at_the_first_pauses(store: Store) -> None:
    assert await pauses_of(store, Server(), TIMING.first_pause + 1) == [1, 1, 1, 1]


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", "[]", "7", "null", '{"state": 1}', "{}", '{"state": "open", "failures": 1}'],
)
async def test_a_corrupt_circuit_counts_as_closed(store: Store, value: str) -> None:
    await store.redis.hset(store.keys.circuits, AI, value)
    await hear(store)
    server = Server()
    await server.call(store, "a")
    assert server.calls == 1
    server.error = down()
    await server.failure(store, "a")
    assert store.circuits.is_open(AI)
