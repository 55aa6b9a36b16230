"""Turns that wait for a person's decision: suspended, decided, resumed."""

import asyncio
import time

import pytest

from bot.errors import StoreUnavailable
from bot.models import Record
from bot.store import Approval, Claim, Decision, Store, Turn
from bot.store.steps import card_step, decision_step
from tests.redis_server import RedisServer, open_clean_store
from tests.store.builders import (
    TTL,
    approval,
    conversation,
    deliver,
    message,
    rescue,
    stamps,
    take_one,
    thread,
)

ALLOW = Decision("run", "U1")
DENY = Decision("denied", "U1", "too risky")


async def ask(store: Store, *ids: str, expires: float = 4e9) -> Turn:
    """A turn of U1 that has asked for approvals."""
    await deliver(store, "1.0")
    turn = store.turns.open(await take_one(store))
    wanted = [approval(id, expires=expires) for id in ids or ["call_1"]]
    await store.approvals.request(turn, "U1", wanted)
    return turn


async def verdicts(store: Store, claim: Claim, *ids: str) -> list[str]:
    turn = store.turns.open(claim)
    found = await store.approvals.request(turn, "U1", [approval(id) for id in ids or ["call_1"]])
    return [decision.verdict if decision else "" for _, decision in found.approvals]


async def state_of(store: Store) -> str:
    return (await store.inbox.state(thread())).state


async def test_a_suspended_turn_is_held_by_no_worker_and_uses_no_attempt(store: Store) -> None:
    turn = await ask(store)
    assert await store.approvals.suspend(turn)
    state = await store.inbox.state(thread())
    assert (state.state, state.worker, state.attempts, state.crashes) == ("later", "", 0, 0)
    assert state.turn_id == turn.id
    assert await rescue(store) == 0
    await store.workers.beat("bert", TTL)
    assert await state_of(store) == "later"


async def test_a_decision_resumes_the_same_turn_at_once_on_another_worker(store: Store) -> None:
    turn = await ask(store)
    await turn.note(card_step("call_1"), "1.5")
    await store.approvals.suspend(turn)
    pending = await store.approvals.find(thread(), turn.id, "call_1")
    assert pending is not None
    assert (pending.card, pending.decision, pending.approval.requester) == ("1.5", None, "U1")
    outcome, _ = await store.approvals.decide(thread(), turn.id, pending.approval, ALLOW)
    assert outcome == "decided"
    claim = await take_one(store, "bert")
    assert (claim.turn_id, stamps(claim)) == (turn.id, ["1.0"])
    assert await verdicts(store, claim) == ["run"]


async def test_the_first_of_two_concurrent_decisions_counts(store: Store) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    decisions = [ALLOW, DENY, Decision("run", "U3"), Decision("denied", "U4")]
    outcomes = await asyncio.gather(
        *(store.approvals.decide(thread(), turn.id, approval(), each) for each in decisions)
    )
    assert sorted(outcome for outcome, _ in outcomes) == ["decided", *["earlier"] * 3]
    assert len({decision for _, decision in outcomes}) == 1


async def test_a_decision_between_asking_and_suspending_is_not_lost(store: Store) -> None:
    turn = await ask(store, "call_1", "call_2")
    await store.approvals.decide(thread(), turn.id, approval("call_2"), ALLOW)
    assert not await store.approvals.suspend(turn)
    assert await verdicts(store, await take_one(store), "call_1", "call_2") == ["", "run"]


async def test_a_decision_that_the_worker_has_seen_does_not_keep_it_busy(store: Store) -> None:
    turn = await ask(store, "call_1", "call_2")
    await store.approvals.decide(thread(), turn.id, approval("call_2"), ALLOW)
    await store.approvals.request(turn, "U1", [approval("call_1"), approval("call_2")])
    assert await store.approvals.suspend(turn)


@pytest.mark.parametrize(
    ("clicked", "outcome"),
    [(approval(shown="other arguments"), "changed"), (approval("call_2"), "gone")],
)
async def test_only_what_was_shown_can_be_approved(
    store: Store, clicked: Approval, outcome: str
) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    assert await store.approvals.decide(thread(), turn.id, clicked, ALLOW) == (outcome, None)
    assert await state_of(store) == "later"


async def test_an_approval_of_another_turn_or_thread_is_gone(store: Store) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    for where, turn_id in ((thread("2.0"), turn.id), (thread(), "another turn")):
        assert await store.approvals.find(where, turn_id, "call_1") is None
        outcome, _ = await store.approvals.decide(where, turn_id, approval(), ALLOW)
        assert outcome == "gone"
    assert await store.approvals.find(thread(), turn.id, "call_2") is None


async def test_an_ended_turn_accepts_no_decision(store: Store) -> None:
    turn = await ask(store)
    await store.inbox.settle(turn.claim)
    outcome, _ = await store.approvals.decide(thread(), turn.id, approval(), ALLOW)
    assert outcome == "gone"
    assert await state_of(store) == "idle"
    assert await store.redis.exists(store.keys.turn(thread())) == 0


@pytest.mark.parametrize("reason", ["stop", "reset"])
async def test_an_interrupt_withdraws_open_approvals(store: Store, reason: str) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    assert await store.inbox.interrupt(thread(), "stop" if reason == "stop" else "reset")
    assert (await store.approvals.decide(thread(), turn.id, approval(), ALLOW))[0] == "gone"
    await store.workers.beat("bert", TTL)
    resumed = store.turns.open(await take_one(store, "bert"))
    found = await store.approvals.request(resumed, "U1", [approval()])
    [(_, decision)] = found.approvals
    assert decision is not None
    assert (found.interrupt, decision.verdict, decision.reason) == (reason, "withdrawn", reason)


async def test_a_message_of_the_requester_withdraws_and_waits_for_the_next_turn(
    store: Store,
) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    await store.inbox.deliver(message("2.0"))
    assert (await store.approvals.decide(thread(), turn.id, approval(), ALLOW))[0] == "gone"
    claim = await take_one(store, "bert")
    assert (claim.turn_id, stamps(claim)) == (turn.id, ["1.0"])
    assert await verdicts(store, claim) == ["withdrawn"]
    await store.inbox.settle(claim)
    assert stamps(await take_one(store)) == ["2.0"]


async def test_messages_of_others_wait_in_order(store: Store) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    for ts in ("3.0", "2.0"):
        await store.inbox.deliver(message(ts, by="U2"))
    assert await state_of(store) == "later"
    await store.approvals.decide(thread(), turn.id, approval(), ALLOW)
    claim = await take_one(store)
    assert await verdicts(store, claim) == ["run"]
    await store.inbox.settle(claim)
    assert stamps(await take_one(store)) == ["2.0", "3.0"]


async def test_an_edit_or_deletion_of_the_question_withdraws(store: Store) -> None:
    for change in ("edit", "delete"):
        turn = await ask(store)
        await store.approvals.suspend(turn)
        if change == "edit":
            assert await store.inbox.revise(message("1.0", "other"), edited=True) == "taken"
        else:
            assert await store.inbox.withdraw(thread(), "1.0") == "taken"
        claim = await take_one(store)
        assert await verdicts(store, claim) == ["withdrawn"]
        await store.inbox.settle(claim)
        await store.redis.flushdb()


async def test_changes_by_slack_to_the_question_withdraw_nothing(store: Store) -> None:
    turn = await ask(store)
    await store.approvals.suspend(turn)
    assert await store.inbox.revise(message("1.0", "with a preview")) == "taken"
    assert await state_of(store) == "later"
    outcome, _ = await store.approvals.decide(thread(), turn.id, approval(), ALLOW)
    assert outcome == "decided"


async def test_an_expired_approval_resumes_the_turn(store: Store) -> None:
    expires = time.time() + 1
    turn = await ask(store, expires=expires)
    assert await store.approvals.suspend(turn)
    due = await store.redis.zscore(store.keys.later, thread().key)
    assert due == pytest.approx(expires, abs=1e-3)
    await asyncio.sleep(max(0.0, expires - time.time()))
    outcome, _ = await store.approvals.decide(thread(), turn.id, approval(expires=expires), ALLOW)
    assert outcome == "expired"
    await store.workers.beat("bert", TTL)
    assert await verdicts(store, await take_one(store)) == ["expired"]


async def test_later_arguments_do_not_replace_the_shown_ones(store: Store) -> None:
    turn = await ask(store)
    changed = approval(shown="other arguments")
    found = await store.approvals.request(turn, "U1", [changed])
    [(recorded, _)] = found.approvals
    assert recorded.shown == approval().shown


async def test_a_crash_between_asking_and_suspending_does_not_ask_twice(store: Store) -> None:
    turn = await ask(store)
    await store.workers.beat("anna", 0)
    assert await rescue(store) == 1
    claim = await take_one(store, "bert")
    assert claim.turn_id == turn.id
    assert await verdicts(store, claim) == [""]


async def test_approvals_known_to_a_worker_are_reinstated(store: Store) -> None:
    """Redis comes back with a state in which the approval was not decided yet."""
    turn = await ask(store)
    await store.approvals.decide(thread(), turn.id, approval(), ALLOW)
    await store.approvals.request(turn, "U1", [approval()])
    await store.redis.hdel(store.keys.turn(thread()), f"={decision_step('call_1').name}")
    assert await store.workers.reinstate(turn)
    await store.workers.hand_over("anna")
    assert await verdicts(store, await take_one(store)) == ["run"]


async def test_a_suspended_thread_is_not_shown_as_waiting_for_a_worker(store: Store) -> None:
    turn = await ask(store)
    await store.workers.beat("anna", TTL)
    await store.approvals.suspend(turn)
    assert await store.inbox.unattended(0) == {}


async def test_a_suspended_turn_survives_a_restart_of_redis(own_server: RedisServer) -> None:
    async with open_clean_store(own_server.url) as store:
        turn = await ask(store)
        await store.approvals.suspend(turn)
        await store.redis.save()
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            await store.approvals.decide(thread(), turn.id, approval(), ALLOW)
        own_server.start()
        outcome, _ = await store.approvals.decide(thread(), turn.id, approval(), ALLOW)
        assert outcome == "decided"
        assert (await store.inbox.state(thread())).state == "ready"


async def test_a_grant_lives_with_the_conversation(store: Store) -> None:
    turn = await ask(store)
    await store.approvals.grant(turn.claim, "files:write", "U1")
    await store.inbox.settle(turn.claim)
    await deliver(store, "2.0")
    claim = await take_one(store)
    assert claim.grants == {}, "there was no conversation yet"
    await store.conversations.save(claim, conversation())
    await store.approvals.grant(claim, "files:write", "U1")
    await store.inbox.settle(claim)
    await deliver(store, "3.0")
    claim = await take_one(store)
    assert claim.grants == {"files:write": "U1"}
    await store.conversations.forget(claim)
    await store.inbox.settle(claim)
    await deliver(store, "4.0")
    assert (await take_one(store)).grants == {}


async def test_a_forgotten_person_leaves_no_grant(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    others = Record("user", "hello", "0.5", "U2")
    await store.conversations.save(claim, conversation(), records=[others])
    await store.approvals.grant(claim, "files:write", "U1")
    await store.approvals.grant(claim, "files:read", "U2")
    await store.conversations.forget_person(claim, "U1")
    fields = await store.redis.hgetall(store.keys.conversation(thread()))
    assert "allow:files:read" in fields
    assert "U1" not in fields.values()
