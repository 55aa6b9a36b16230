"""The circuit breakers: what opens one, which calls pass, what resumes when."""

import asyncio
import time
from collections.abc import AsyncIterator
from copy import copy
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from bot.errors import ConversationGone, DependencyDown
from bot.models import Thread
from bot.store import Store, current_turn, open_store
from bot.timing import CircuitTiming, StoreTiming

TIMING = CircuitTiming(
    first_pause=0.1, longest_pause=0.4, recent=0.5, healthy_after=0.3, resumed_per_second=30
)
AI = "ai:responses:gpt-5"


@pytest.fixture
async def store(redis_url: str, store: Store) -> AsyncIterator[Store]:
    """The store of one process."""
    async with open_own(redis_url, store.keys.prefix) as own:
        yield own


def open_own(url: str, prefix: str):  # type: ignore[no-untyped-def]  # a context manager of Store
    return open_store(url, prefix=prefix, timing=StoreTiming(circuits=TIMING))


@dataclass
class Server:
    """A dependency that notes when it is called."""

    error: Exception | None = None
    times: list[float] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return len(self.times)

    async def call(self, store: Store, turn: str) -> None:
        current_turn.set(turn)
        async with store.circuits.guard(AI):
            self.times.append(time.monotonic())
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
    while server.calls < 5:
        before = server.calls
        await asyncio.gather(*(server.failure(store, f"turn {n}") for n in range(20)))
        assert server.calls - before <= 1
        await asyncio.sleep(0.02)
    gaps = [later - earlier for earlier, later in pairwise(server.times)]
    assert all(gap >= pause for gap, pause in zip(gaps, (0.1, 0.2, 0.4, 0.4), strict=True)), gaps


async def test_the_first_answer_closes_the_circuit_for_all_processes(
    store: Store, redis_url: str
) -> None:
    server = Server(down())
    async with open_own(redis_url, store.keys.prefix) as other:
        await server.failure(store, "a")
        other.circuits.refresh((await other.workers.beat("w", 5)).open_circuits)
        assert other.circuits.is_open(AI)
        await server.failure(other, "b")
        assert server.calls == 1
        server.error = None
        await asyncio.sleep(0.15)
        await server.call(store, "a")
        assert not store.circuits.is_open(AI)
        other.circuits.refresh((await other.workers.beat("w", 5)).open_circuits)
        await server.call(other, "b")
    assert server.calls == 3


async def test_two_processes_have_one_probe_between_them(store: Store, redis_url: str) -> None:
    server = Server(down())
    async with open_own(redis_url, store.keys.prefix) as other:
        await server.failure(store, "a")
        other.circuits.refresh((await other.workers.beat("w", 5)).open_circuits)
        await asyncio.sleep(0.15)
        await asyncio.gather(*(server.failure(s, "b") for s in (store, other, store, other)))
    assert server.calls == 2


async def test_a_pause_that_the_dependency_asks_for_is_kept(store: Store) -> None:
    server = Server(down(after=30))
    await server.failure(store, "a")
    await asyncio.sleep(0.3)
    error = await server.failure(store, "b")
    assert server.calls == 1
    assert error.after is not None
    assert 25 < error.after <= 30


async def test_an_answer_that_is_a_refusal_shows_that_the_dependency_is_up(store: Store) -> None:
    server = Server(down())
    await server.failure(store, "a")
    await asyncio.sleep(0.15)
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
    server = Server(down())
    for number in (3, 1, 2, 5, 4, 6, 7):
        await store.circuits.park(AI, thread(number), number)
    await server.failure(store, "a")
    assert not (await store.circuits.resume(AI, 0.1)).threads
    await asyncio.sleep(0.15)
    assert (await store.circuits.resume(AI, 0.1)).threads == (thread(1),)  # the probe
    server.error = None
    await server.call(store, "1")
    await asyncio.sleep(0.1)
    assert (await store.circuits.resume(AI, 0.1)).threads == (thread(2), thread(3), thread(4))
    assert not (await store.circuits.resume(AI, 0.1)).threads  # another worker, too soon
    await asyncio.sleep(0.1)
    assert (await store.circuits.resume(AI, 0.1)).threads == (thread(5), thread(6), thread(7))


async def test_a_healthy_circuit_is_dropped_after_a_while(store: Store) -> None:
    server = Server(down())
    await server.failure(store, "a")
    server.error = None
    await asyncio.sleep(0.15)
    await server.call(store, "a")
    assert not (await store.circuits.resume(AI, 0.1)).healthy
    await asyncio.sleep(0.35)
    assert (await store.circuits.resume(AI, 0.1)).healthy
    await store.circuits.forget(AI)
    assert (await store.workers.beat("w", 5)).circuits == {}


@pytest.mark.parametrize(
    "value",
    ["", "nonsense", "[]", "7", "null", '{"state": 1}', "{}", '{"state": "open", "failures": 1}'],
)
async def test_a_corrupt_circuit_counts_as_closed(store: Store, value: str) -> None:
    await store.redis.hset(store.keys.circuits, AI, value)
    store.circuits.refresh((await store.workers.beat("w", 5)).open_circuits)
    server = Server()
    await server.call(store, "a")
    assert server.calls == 1
    server.error = down()
    await server.failure(store, "a")
    assert store.circuits.is_open(AI)
