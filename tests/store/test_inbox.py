"""Delivery, claims, settlement: each message once, in order, one turn per thread at a time."""

import asyncio
from dataclasses import replace

import pytest

from bot.errors import Superseded
from bot.models import File, Message
from bot.store import ChannelSettings, Claim, DeliveryResult, Entry, Store, ThreadState
from bot.store.interrupting import MOST_ASKED, Asker
from bot.store.steps import Step
from tests.store.builders import (
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
from tests.world import wait_until


async def test_a_message_makes_its_thread_ready(store: Store) -> None:
    assert await store.inbox.deliver(message("1.0")) == DeliveryResult(
        True, waiting=1, active=False
    )

    [entry] = await claim_entries(store)
    assert entry.thread == thread()
    assert entry.since > 1_700_000_000


async def test_a_second_delivery_changes_nothing(store: Store) -> None:
    await deliver(store, "1.0")

    assert await store.inbox.deliver(message("1.0")) == DeliveryResult(
        False, waiting=1, active=False
    )
    assert stamps(await take_one(store)) == ["1.0"]


async def test_the_twin_of_a_message_is_known_by_its_ts(store: Store) -> None:
    twin = replace(message("1.0"), event_id="Ev:another")
    await deliver(store, "1.0")

    assert not (await store.inbox.deliver(twin)).new


async def test_a_message_that_slack_moved_is_known_by_its_event(store: Store) -> None:
    moved = replace(message("1.5"), event_id=message("1.0").event_id)
    await deliver(store, "1.0")

    assert not (await store.inbox.deliver(moved)).new


async def test_messages_without_an_event_id_are_distinguished_by_ts(store: Store) -> None:
    for ts in ("1.0", "2.0"):
        assert (await store.inbox.deliver(replace(message(ts), event_id=""))).new


async def test_a_redelivery_after_the_answer_changes_nothing(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.settle(await take_one(store))

    assert await store.inbox.deliver(message("1.0")) == DeliveryResult(
        False, waiting=0, active=False
    )
    assert await take_all(store) == []


async def test_marks_of_seen_messages_outlive_slacks_retries(store: Store) -> None:
    await deliver(store, "1.0")

    for key in await keys_of(store, "seen:"):
        assert 25 * 3600 < await store.redis.ttl(key) <= 26 * 3600


async def test_a_message_is_returned_unchanged(store: Store) -> None:
    sent = Message(
        thread=thread(),
        ts="1.0",
        user_id="U1",
        text='Grüße 👋 "quoted" \\ \n\x00',
        event_id="Ev1",
        user_team_id="T2",
        files=(File("F1", "a.pdf", "application/pdf", 10, "https://files.slack.com/a"),),
    )
    await store.inbox.deliver(sent)

    assert (await take_one(store)).messages == (sent,)


async def test_messages_are_taken_together_in_slacks_order(store: Store) -> None:
    await deliver(store, "1700000000.000300", "1700000000.000100", "1700000000.000200")

    claim = await take_one(store)
    assert stamps(claim) == ["1700000000.000100", "1700000000.000200", "1700000000.000300"]


async def test_a_thread_waits_while_a_turn_is_under_way(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)

    assert await store.inbox.deliver(message("2.0")) == DeliveryResult(True, waiting=1, active=True)
    assert await claim_entries(store, "bert") == []
    await store.inbox.settle(claim)
    assert stamps(await take_one(store, "bert")) == ["2.0"]


async def test_threads_do_not_wait_for_each_other(store: Store) -> None:
    for name in ("1.0", "2.0", "3.0"):
        await deliver(store, "9.0", of=thread(name))

    claims = await take_all(store)
    assert [claim.thread.thread_ts for claim in claims] == ["1.0", "2.0", "3.0"]


async def test_a_thread_with_more_messages_is_requeued_at_the_end(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await deliver(store, "2.0")
    await deliver(store, "9.0", of=thread("9.0"))
    await store.inbox.settle(claim)

    entries = await claim_entries(store)
    assert [entry.thread.thread_ts for entry in entries] == ["9.0", "1.0"]


async def test_only_the_seen_marks_and_the_conversation_outlive_a_turn(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await store.turns.open(claim).note(Step("run", str), "run_1")
    await store.inbox.interrupt(thread(), "stop")
    await store.inbox.settle(claim)

    assert await store.inbox.state(thread()) == ThreadState("idle")
    kinds = {key.split(":")[1] for key in await keys_of(store)}
    assert kinds == {"seen", "ready", "conversation"}
    assert await store.redis.xlen((await keys_of(store, "ready"))[0]) == 0


async def test_a_batch_ends_with_the_last_reset_in_it(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.deliver(message("2.0", kind="reset"))
    await deliver(store, "3.0")
    await store.inbox.deliver(message("4.0", kind="reset"))
    await deliver(store, "5.0", "6.0")

    claim = await take_one(store)
    assert stamps(claim) == ["1.0", "2.0", "3.0", "4.0"]
    await store.inbox.settle(claim)
    assert stamps(await take_one(store)) == ["5.0", "6.0"]


async def test_a_claim_is_refused_once_it_is_settled(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await store.inbox.settle(claim)

    with pytest.raises(Superseded):
        await store.inbox.settle(claim)


async def test_a_stale_entry_gives_no_claim(store: Store) -> None:
    await deliver(store, "1.0")
    [entry] = await claim_entries(store, "anna")
    await die(store, "anna")
    await rescue(store)

    assert await store.inbox.take(entry, "anna") is None
    assert stamps(await take_one(store, "bert")) == ["1.0"]


async def test_many_are_taken_together(store: Store) -> None:
    threads = [thread(f"{number}.0") for number in range(1, 4)]
    for one in threads:
        await deliver(store, one.thread_ts, of=one)
    entries = await claim_entries(store, "anna")
    await store.inbox.settle(await _taken(store, entries[1]))

    claims = await store.inbox.take_all(entries, "anna")
    assert list(claims) == [entries[0].id, entries[2].id]
    assert [stamps(claim) for claim in claims.values()] == [["1.0"], ["3.0"]]
    assert await store.workers.held(list(claims.values())) == list(claims.values())
    assert await store.inbox.take_all([], "anna") == {}


async def _taken(store: Store, entry: Entry) -> Claim:
    claim = await store.inbox.take(entry, "anna")
    assert claim is not None
    return claim


async def test_an_entry_says_whether_its_turn_was_begun(store: Store) -> None:
    await deliver(store, "1.0", of=thread("1.0"))
    await deliver(store, "2.0", of=thread("2.0"))
    first, _ = await claim_entries(store, "anna")
    await _taken(store, first)
    await store.workers.hand_over("anna")

    entries = await claim_entries(store, "bert")
    assert {entry.thread: entry.begun for entry in entries} == {
        thread("1.0"): True,
        thread("2.0"): False,
    }


async def test_a_claim_includes_the_channel_settings(store: Store) -> None:
    await deliver(store, "1.0")
    assert (await take_one(store)).channel == ChannelSettings()

    for number, model in enumerate(("old", "new")):
        settings = ChannelSettings(model=model, people=("U1",))
        await store.channels.save(
            thread().team_id, thread().channel_id, settings, user_id="U1", after=number
        )
    await store.workers.hand_over("anna")
    assert (await take_one(store)).channel == settings


async def test_the_last_taker_of_an_entry_holds_it(store: Store) -> None:
    await deliver(store, "1.0")
    [entry] = await claim_entries(store)
    first = await store.inbox.take(entry, "anna")
    second = await store.inbox.take(entry, "anna")

    assert first is not None
    assert second is not None
    assert await store.workers.held([first, second]) == [second]
    assert first.turn_id == second.turn_id


async def test_claiming_waits_for_the_first_message(store: Store) -> None:
    waiting = asyncio.create_task(store.inbox.read_ready("anna", 10, 3))
    await wait_until(lambda: _has_consumer(store))
    await deliver(store, "1.0")

    [entry] = await waiting
    assert entry.thread == thread()


async def _has_consumer(store: Store) -> bool:
    return any(client["cmd"] == "xreadgroup" for client in await store.redis.client_list())


async def test_claiming_times_out_without_messages(store: Store) -> None:
    assert await store.inbox.read_ready("anna", 10, 0.01) == []


async def test_a_released_turn_is_ready_when_it_is_due(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    assert await store.inbox.release(claim, 0.001, "429") == 1
    await deliver(store, "2.0")
    state = await store.inbox.state(thread())
    assert (state.state, state.reason, state.waiting) == ("later", "429", ("2.0",))

    await wait_until(lambda: _wakes(store))
    again = await take_one(store, "bert")
    assert (again.turn_id, stamps(again), again.attempt) == (claim.turn_id, ["1.0"], 1)
    assert again.resumed


async def _wakes(store: Store) -> bool:
    await store.workers.beat("anna", 60)
    return (await store.inbox.depth()).later == 0


async def test_a_turn_that_is_not_due_is_not_ready(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.release(await take_one(store), 60, "429")
    await store.workers.beat("anna", 60)

    assert await claim_entries(store) == []
    assert (await store.inbox.depth()).later == 1


async def test_a_turn_released_without_delay_is_ready_at_once(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.release(await take_one(store), 0, "again")

    assert stamps(await take_one(store)) == ["1.0"]


async def test_a_wait_requested_by_the_server_is_not_a_failure(store: Store) -> None:
    await deliver(store, "1.0")
    assert await store.inbox.release(await take_one(store), 0, "429", counts=False) == 0
    assert (await take_one(store)).attempt == 0


async def test_failures_are_counted_per_turn(store: Store) -> None:
    await deliver(store, "1.0")
    for failures in (1, 2, 3):
        assert await store.inbox.release(await take_one(store), 0, "500") == failures
    claim = await take_one(store)
    await deliver(store, "2.0")
    await store.inbox.settle(claim)

    assert (await take_one(store)).attempt == 0


async def test_a_released_claim_is_refused(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await store.inbox.release(claim, 60, "429")

    with pytest.raises(Superseded):
        await store.inbox.release(claim, 60, "429")
    with pytest.raises(Superseded):
        await store.inbox.settle(claim)


async def test_an_interrupt_reaches_all_workers_until_the_turn_ends(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    assert await store.inbox.interrupt(thread(), "stop")

    for worker in ("anna", "bert"):
        assert (await store.workers.beat(worker, 60)).interrupts == {thread().key: "stop"}
    await store.inbox.settle(claim)
    assert (await store.workers.beat("anna", 60)).interrupts == {}


async def test_there_is_nothing_to_interrupt_without_a_turn(store: Store) -> None:
    assert not await store.inbox.interrupt(thread(), "stop")
    await deliver(store, "1.0")
    assert not await store.inbox.interrupt(thread(), "stop")
    assert (await store.workers.beat("anna", 60)).interrupts == {}


async def test_a_stop_does_not_override_a_reset(store: Store) -> None:
    await deliver(store, "1.0")
    await take_one(store)
    await store.inbox.interrupt(thread(), "reset")
    await store.inbox.interrupt(thread(), "stop")

    assert (await store.workers.beat("anna", 60)).interrupts == {thread().key: "reset"}


async def test_who_asked_for_the_end_of_a_turn_is_known_once_each(store: Store) -> None:
    inbox = store.inbox
    await deliver(store, "1.0")
    claim = await take_one(store)
    assert await inbox.asked(thread()) is None
    for _ in range(2):
        await inbox.interrupt(thread(), "stop", "U1", "T1")
        await inbox.interrupt(thread(), "reset", "U2")
    asked = await inbox.asked(thread())
    assert asked is not None
    assert asked.people == [Asker("stop", "U1", "T1"), Asker("reset", "U2", "")]
    await inbox.interrupt(thread(), "stop")
    assert await inbox.asked(thread()) is None, "the bot itself"
    assert not await inbox.ignore_interrupt(thread(), asked), "more have asked since"
    await inbox.settle(claim)
    assert await inbox.asked(thread()) is None


async def test_an_ignored_interrupt_is_removed_and_a_later_one_counts(store: Store) -> None:
    inbox = store.inbox
    await deliver(store, "1.0")
    await take_one(store)
    await inbox.interrupt(thread(), "stop", "U1")
    asked = await inbox.asked(thread())
    assert asked is not None
    assert await inbox.ignore_interrupt(thread(), asked)
    assert await inbox.interrupt_of(thread()) is None
    assert await inbox.asked(thread()) is None
    await inbox.interrupt(thread(), "stop", "U2")
    assert await inbox.interrupt_of(thread()) == "stop"


@pytest.mark.parametrize("order", [("late", "stop"), ("stop", "late")])
async def test_an_older_message_counts_after_a_stop_that_is_refused(
    store: Store, order: tuple[str, str]
) -> None:
    await deliver(store, "2.0")
    await take_one(store)
    for each in order:
        if each == "late":
            await deliver(store, "1.5")
        else:
            await store.inbox.interrupt(thread(), "stop", "U1")
    assert await store.inbox.interrupt_of(thread()) == "stop"
    asked = await store.inbox.asked(thread())
    assert asked is not None
    assert await store.inbox.ignore_interrupt(thread(), asked)
    assert await store.inbox.interrupt_of(thread()) == "late"


async def test_a_flood_of_stops_is_kept_in_part(store: Store) -> None:
    await deliver(store, "1.0")
    await take_one(store)
    for number in range(400):
        await store.inbox.interrupt(thread(), "stop", f"U{number}")
    asked = await store.inbox.asked(thread())
    assert asked is not None
    assert len(asked.text) <= MOST_ASKED
    assert asked.people[-1].user_id == "U399", "a person with the right may have come last"


async def test_a_corrupt_list_of_who_asked_blocks_nothing(store: Store) -> None:
    await deliver(store, "1.0")
    await take_one(store)
    await store.redis.hset(store.keys.turn(thread()), "asked", " " * (MOST_ASKED + 1))
    await store.inbox.interrupt(thread(), "stop", "U1")
    asked = await store.inbox.asked(thread())
    assert asked is not None
    assert [each.user_id for each in asked.people] == ["U1"]


async def test_an_interrupt_resumes_a_waiting_turn_immediately(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.release(await take_one(store), 600, "429")
    assert await store.inbox.interrupt(thread(), "stop")

    assert (await store.workers.beat("anna", 60)).interrupts == {thread().key: "stop"}
    assert stamps(await take_one(store)) == ["1.0"]


async def test_an_edit_replaces_a_message_that_waits(store: Store) -> None:
    await deliver(store, "1.0")
    assert await store.inbox.revise(message("1.0", "better")) == "waiting"

    assert (await take_one(store)).messages[0].text == "better"


async def test_an_edit_is_too_late_for_a_turn_under_way(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await deliver(store, "2.0")

    assert await store.inbox.revise(message("1.0", "better")) == "taken"
    assert await store.inbox.withdraw(thread(), "1.0") == "taken"
    assert await store.inbox.revise(message("2.0", "better")) == "waiting"
    await store.inbox.settle(claim)
    assert await store.inbox.revise(message("1.0", "better")) == "absent"
    assert await store.inbox.withdraw(thread(), "1.0") == "absent"


async def test_an_edit_reaches_a_turn_that_waits_with_nothing_done_yet(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.release(await take_one(store), 0, "429")
    assert await store.inbox.revise(message("1.0", "better")) == "waiting"

    claim = await take_one(store)
    assert claim.messages[0].text == "better"
    await store.turns.open(claim).note(Step("run", str), "run_1")
    await store.inbox.release(claim, 0, "429")
    assert await store.inbox.revise(message("1.0", "still better")) == "taken"


async def test_a_deleted_message_is_not_answered(store: Store) -> None:
    await deliver(store, "1.0", "2.0")
    assert await store.inbox.withdraw(thread(), "1.0") == "waiting"

    assert stamps(await take_one(store)) == ["2.0"]


async def test_a_thread_whose_only_message_was_deleted_is_idle(store: Store) -> None:
    await deliver(store, "1.0")
    await store.inbox.withdraw(thread(), "1.0")

    assert await take_all(store) == []
    assert await store.inbox.state(thread()) == ThreadState("idle")
    await deliver(store, "2.0")
    assert stamps(await take_one(store)) == ["2.0"]


async def test_a_message_deleted_from_a_waiting_turn_leaves_the_rest_of_it(store: Store) -> None:
    await deliver(store, "1.0", "2.0")
    claim = await take_one(store)
    await store.inbox.release(claim, 0, "429")
    await store.inbox.interrupt(thread(), "stop")
    assert await store.inbox.withdraw(thread(), "1.0") == "waiting"

    again = await take_one(store)
    assert stamps(again) == ["2.0"]
    assert again.turn_id != claim.turn_id
    assert (await store.workers.beat("anna", 60)).interrupts == {}


async def test_depth_counts_the_backlog(store: Store) -> None:
    assert (await store.inbox.depth()).oldest_age == 0
    await store.workers.beat("anna", 60)
    for name in ("1.0", "2.0", "3.0", "4.0"):
        await deliver(store, "9.0", of=thread(name))
    first, second, third = [
        await store.inbox.take(entry, "anna") for entry in await claim_entries(store, count=3)
    ]
    assert first is not None
    assert second is not None
    await store.inbox.release(first, 60, "429")
    await store.inbox.dead_letter(second, "poison")

    depth = await store.inbox.depth()
    assert (depth.waiting, depth.claimed, depth.later, depth.dead) == (1, 1, 1, 1)
    assert depth.workers == 1
    assert 0 <= depth.oldest_age < 10
    assert third is not None
    assert (await store.inbox.state(third.thread)).worker == "anna"
