"""Workers that die, freeze, leave, or lose Redis lose no messages."""

import time

import pytest

from bot.errors import Superseded
from bot.store import Store
from bot.store.steps import Step
from tests.store.builders import (
    TTL,
    claim_entries,
    deliver,
    die,
    keys_of,
    message,
    rescue,
    stamps,
    take_all,
    take_one,
    thread,
)


async def test_another_worker_resumes_the_turn_of_a_dead_one(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store, "anna")
    await store.turns.open(claim).note(Step("run", str), "run_1")
    await deliver(store, "2.0")
    await die(store, "anna")
    assert await rescue(store) == 1

    again = await take_one(store, "bert")
    assert (again.turn_id, again.taken_at) == (claim.turn_id, claim.taken_at)
    assert (stamps(again), again.crashes, again.attempt) == (["1.0"], 1, 0)
    assert store.turns.open(again).recall(Step("run", str)) == "run_1"


async def test_a_worker_whose_lease_expired_is_refused(store: Store) -> None:
    await deliver(store, "1.0")
    old = await take_one(store, "anna")
    await die(store, "anna")
    await rescue(store)

    for stage in ("ready", "claimed"):
        assert (await store.inbox.state(thread())).state == stage
        with pytest.raises(Superseded):
            await store.turns.open(old).note(Step("run", str), "run_2")
        with pytest.raises(Superseded):
            await store.inbox.settle(old)
        with pytest.raises(Superseded):
            await store.inbox.dead_letter(old, "broke")
        assert await store.workers.held([old]) == []
        await take_all(store, "bert")


async def test_the_threads_of_a_live_worker_are_not_rescued(store: Store) -> None:
    await store.workers.beat("anna", TTL)
    await deliver(store, "1.0")
    claim = await take_one(store, "anna")

    assert await rescue(store) == 0
    assert await store.workers.held([claim]) == [claim]


async def test_a_worker_that_never_beat_counts_as_dead(store: Store) -> None:
    await deliver(store, "1.0")
    await take_one(store, "anna")

    assert await rescue(store) == 1


async def test_entries_that_were_read_but_not_taken_are_rescued_without_counting_a_crash(
    store: Store,
) -> None:
    await deliver(store, "1.0")
    await claim_entries(store, "anna")
    assert await rescue(store) == 1

    assert (await take_one(store, "bert")).crashes == 0


async def test_no_worker_is_declared_dead_right_after_a_server_outage(store: Store) -> None:
    await deliver(store, "1.0")
    await take_one(store, "anna")
    await die(store, "anna")
    await store.redis.hincrbyfloat(store.keys.pulse, "heard", -TTL)
    await store.workers.beat("bert", TTL)

    assert await store.workers.rescue("bert") == 0


async def test_a_new_worker_may_rescue_if_others_sent_heartbeats_all_the_time(store: Store) -> None:
    await store.workers.beat("carl", 0)
    await deliver(store, "1.0")
    await take_one(store, "anna")
    await die(store, "anna")
    await store.workers.beat("bert", TTL)

    assert await store.workers.rescue("bert") == 1


async def test_rescue_works_in_batches_and_removes_dead_workers(store: Store) -> None:
    for number in range(7):
        await deliver(store, "1.0", of=thread(f"{number}.0"))
    await take_all(store, "anna")
    await die(store, "anna")
    await store.workers.beat("bert", 0)

    assert [await store.workers.rescue("bert", limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert len(await take_all(store, "bert")) == 7
    assert await _consumers(store) == ["bert"]


async def test_a_worker_without_work_that_dies_is_forgotten(store: Store) -> None:
    await claim_entries(store, "anna")
    await die(store, "anna")
    await rescue(store)

    assert await _consumers(store) == []


async def test_all_dead_workers_are_rescued(store: Store) -> None:
    for worker in ("anna", "carl", "dora"):
        await deliver(store, "1.0", of=thread(f"{worker}"))
        await take_one(store, worker)

    assert await rescue(store) == 3


async def test_entries_lost_in_a_reply_are_requeued(store: Store) -> None:
    for name in ("1.0", "2.0", "3.0"):
        await deliver(store, "9.0", of=thread(name))
    claims = await take_all(store, "anna")
    held = {claims[0].entry, claims[1].entry}

    assert await store.workers.rescue_own("anna", held, idle=0) == 1
    assert await store.workers.held(claims) == claims[:2]
    again = await take_one(store, "anna")
    assert (again.turn_id, again.crashes) == (claims[2].turn_id, 0)
    assert await store.workers.rescue_own("anna", held | {again.entry}, idle=0) == 0


async def test_recent_entries_are_not_requeued(store: Store) -> None:
    await deliver(store, "1.0")
    await claim_entries(store, "anna")

    assert await store.workers.rescue_own("anna", ()) == 0
    assert await store.workers.rescue_own("bert", ()) == 0


async def test_a_thousand_turns_are_handed_over_at_once(store: Store) -> None:
    for number in range(1000):
        await deliver(store, "1.0", of=thread(f"{number}.0"))
    claims = await take_all(store, "anna")
    began = time.process_time()
    assert await store.workers.hand_over("anna") == 1000
    took = time.process_time() - began

    again = await take_all(store, "bert")
    assert {c.turn_id for c in again} == {c.turn_id for c in claims}
    assert {(c.attempt, c.crashes) for c in again} == {(0, 0)}
    assert await store.workers.held(claims) == []
    assert await _consumers(store) == ["bert"]
    assert took < 1  # of CPU: one call, not one for each turn


async def test_a_leaving_worker_can_finish_what_it_keeps(store: Store) -> None:
    for name in ("1.0", "2.0"):
        await deliver(store, "9.0", of=thread(name))
    first, second = await take_all(store, "anna")

    assert await store.workers.hand_over("anna", keep={first.entry}) == 1
    assert await store.workers.held([first, second]) == [first]
    await store.inbox.settle(first)
    assert await store.workers.hand_over("anna") == 0
    assert (await take_one(store, "bert")).turn_id == second.turn_id


async def test_an_idle_worker_leaves_no_trace(store: Store) -> None:
    assert await store.workers.hand_over("anna") == 0
    await store.workers.beat("anna", TTL)
    await claim_entries(store, "anna")
    assert await store.workers.hand_over("anna") == 0

    assert (await store.inbox.depth()).workers == 0


async def test_a_worker_learns_that_its_lease_expired(store: Store) -> None:
    assert not (await store.workers.beat("anna", TTL)).late
    assert not (await store.workers.beat("anna", 0)).late
    assert (await store.workers.beat("anna", TTL)).late
    assert not (await store.workers.beat("anna", TTL)).late


async def test_a_retired_worker_learns_that_its_lease_expired(store: Store) -> None:
    await claim_entries(store, "anna")
    await die(store, "anna")
    await rescue(store)

    assert (await store.workers.beat("anna", TTL)).late


async def test_a_thread_is_not_woken_twice(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.release(await take_one(store), 60, "429")
    await store.inbox.interrupt(thread(), "stop")
    await store.workers.beat("anna", TTL)
    await store.workers.beat("bert", TTL)

    assert len(await claim_entries(store)) == 1


async def test_delivery_continues_while_a_thread_is_moved(store: Store) -> None:
    await deliver(store, "1.0")
    await take_one(store, "anna")
    await store.workers.hand_over("anna")
    assert (await store.inbox.deliver(message("2.0"))).active

    claim = await take_one(store, "bert")
    assert stamps(claim) == ["1.0"]
    await store.inbox.settle(claim)
    assert stamps(await take_one(store, "bert")) == ["2.0"]


async def _consumers(store: Store) -> list[str]:
    [ready] = await keys_of(store, "ready")
    return [consumer["name"] for consumer in await store.redis.xinfo_consumers(ready, "workers")]


async def test_unattended_lists_queued_orphaned_and_retrying_threads(
    store: Store,
) -> None:
    names = ["1.0", "2.0", "3.0", "4.0"]
    for worker, name in zip(("anna", "bert", "carl"), names, strict=False):
        await store.workers.beat(worker, 60)
        await deliver(store, name, of=thread(name))
        claim = await take_one(store, worker)
    await store.inbox.release(claim, 30, "busy")
    await deliver(store, "4.0", of=thread("4.0"))
    await die(store, "bert")

    assert await store.inbox.unattended(0) == {
        thread("2.0"): "orphaned",
        thread("3.0"): "retrying",
        thread("4.0"): "queued",
    }
    assert await store.inbox.unattended(20) == {thread("3.0"): "retrying"}
    for worker in ("anna", "carl"):
        await die(store, worker)
    assert await store.inbox.unattended(0) == dict.fromkeys(map(thread, names), "no_worker")
