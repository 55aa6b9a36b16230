"""Concurrency: deliveries against settlements, workers against each other."""

import asyncio
import random
from collections import defaultdict

from bot.errors import Superseded
from bot.models import Thread
from bot.store import Store
from tests.store.builders import TTL, deliver, message, stamps, take_one, thread

Answers = dict[Thread, list[str]]


async def work(store: Store, worker: str, answers: Answers, expected: int) -> None:
    """Answer ready threads until everything is answered."""
    while sum(map(len, answers.values())) < expected:
        for entry in await store.inbox.read_ready(worker, 5, 0.02):
            claim = await store.inbox.take(entry, worker)
            if claim is not None:
                await asyncio.sleep(random.random() / 1000)
                answers[claim.thread] += stamps(claim)
                await store.inbox.settle(claim)


async def test_a_message_that_arrives_as_a_turn_ends_is_not_lost(store: Store) -> None:
    for number in range(1, 200):
        await deliver(store, f"{number}.0")
        claim = await take_one(store)
        await asyncio.gather(store.inbox.settle(claim), store.inbox.deliver(message(f"{number}.5")))
        claim = await take_one(store)
        assert stamps(claim) == [f"{number}.5"]
        await store.inbox.settle(claim)


async def test_many_workers_answer_everything_once_and_in_order(store: Store) -> None:
    threads = [thread(f"{number}.0") for number in range(20)]
    answers: Answers = defaultdict(list)

    async def talk(where: Thread) -> None:
        for number in range(30):
            await store.inbox.deliver(message(f"{1000 + number}.0", of=where))

    async with asyncio.TaskGroup() as group:
        for where in threads:
            group.create_task(talk(where))
        for worker in ("anna", "bert", "carl"):
            group.create_task(work(store, worker, answers, expected=20 * 30))

    said = [f"{1000 + number}.0" for number in range(30)]
    assert answers == dict.fromkeys(threads, said)
    assert (await store.inbox.depth()).claimed == 0


async def test_of_many_deliveries_of_one_message_one_counts(store: Store) -> None:
    deliveries = await asyncio.gather(*(store.inbox.deliver(message("1.0")) for _ in range(50)))

    assert [delivery.new for delivery in deliveries].count(True) == 1
    assert stamps(await take_one(store)) == ["1.0"]


async def test_of_two_workers_that_hold_a_thread_one_can_write(store: Store) -> None:
    await deliver(store, "1.0")
    [entry] = await store.inbox.read_ready("anna", 1, 0)
    claims = await asyncio.gather(*(store.inbox.take(entry, name) for name in ("anna", "bert")))
    outcomes = await asyncio.gather(
        *(store.inbox.settle(claim) for claim in claims if claim), return_exceptions=True
    )

    assert {type(outcome) for outcome in outcomes} == {type(None), Superseded}
    assert len(outcomes) == 2


async def test_two_rescuers_move_a_thread_once(store: Store) -> None:
    for number in range(50):
        await deliver(store, "1.0", of=thread(f"{number}.0"))
    await store.inbox.read_ready("anna", 100, 0)
    await asyncio.gather(*(store.workers.beat(worker, 0) for worker in ("bert", "carl")))
    moved = await asyncio.gather(*(store.workers.rescue(worker) for worker in ("bert", "carl")))

    assert sum(moved) == 50
    assert (await store.inbox.depth()).waiting == 50


async def test_two_beats_wake_a_thread_once(store: Store) -> None:
    for number in range(50):
        await deliver(store, "1.0", of=thread(f"{number}.0"))
        claim = await take_one(store)
        await store.inbox.release(claim, 600, "429")
        await store.inbox.interrupt(claim.thread, "stop")
    await asyncio.gather(*(store.workers.beat(worker, TTL) for worker in ("bert", "carl")))

    depth = await store.inbox.depth()
    assert (depth.waiting, depth.later) == (50, 0)


async def test_many_workers_can_start_at_once(store: Store) -> None:
    await deliver(store, "1.0")
    claims = [store.inbox.read_ready(f"worker {number}", 1, 0) for number in range(8)]

    assert sum(map(len, await asyncio.gather(*claims))) == 1


async def test_thousands_of_concurrent_calls_all_complete(store: Store) -> None:
    async def talk(number: int) -> None:
        for ts in ("1.0", "2.0", "3.0"):
            await deliver(store, ts, of=thread(f"{number}.0"))

    await asyncio.gather(*(talk(number) for number in range(1000)))
    assert (await store.inbox.depth()).waiting == 1000
