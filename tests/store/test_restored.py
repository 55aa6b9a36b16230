"""An older state of Redis is detected, and turn ids are derived from the question."""

import json

import pytest

from bot.errors import StoreUnavailable, Superseded
from bot.models import Conversation, Record, Thread
from bot.store import Store, Turn, open_store
from bot.store.claims import HeartbeatReply
from bot.store.connection import Confirm
from bot.store.conversations import fields_of
from bot.store.recent import SECONDS
from bot.store.steps import Step
from bot.timing import StoreTiming, WorkerTiming
from bot.worker.active import ActiveThreads
from bot.worker.heartbeat import Heartbeat
from tests.redis_server import RedisServer, open_clean_store, run_server
from tests.store.builders import (
    conversation,
    deliver,
    message,
    take_all,
    take_one,
    thread,
)
from tests.world import wait_until

STEP = Step("answer", str)


async def beat(store: Store) -> bool:
    return (await store.workers.beat("anna", 60)).restored


async def test_a_lower_heartbeat_count_is_detected_as_an_older_state(store: Store) -> None:
    for _ in range(3):
        assert not await beat(store)
    await store.redis.hset(store.keys.pulse, "beats", 1)
    assert await beat(store)
    assert not await beat(store)


async def test_a_replaced_server_is_detected_as_an_older_state(store: Store) -> None:
    assert not await beat(store)
    await store.redis.hset(store.keys.pulse, "run_id", "0" * 40)
    assert await beat(store)
    assert not await beat(store)


async def test_a_server_that_was_stopped_in_order_holds_no_older_state(store: Store) -> None:
    assert not await beat(store)
    await store.redis.hset(store.keys.pulse, "run_id", "0" * 40)
    await store.workers.trust_server()
    assert not await beat(store)
    await store.redis.hset(store.keys.pulse, "beats", 0)
    assert await beat(store), "a lower count is still noticed"


async def test_data_of_the_previous_version_is_not_an_older_state(store: Store) -> None:
    assert not await beat(store)
    await store.redis.hdel(store.keys.pulse, "run_id", "beats", "restored_at")
    store.workers._seen.count = 0
    assert not await beat(store)


async def test_a_restart_of_the_server_is_detected(own_server: RedisServer) -> None:
    async with open_clean_store(own_server.url) as store:
        assert not await beat(store)
        own_server.kill()
        own_server.start()
        assert await beat(store)


async def test_questions_from_before_a_rollback_are_maybe_done(store: Store) -> None:
    now = await store.now()
    await beat(store)
    await deliver(store, f"{now - 1:.6f}", of=thread("1.0"))
    await deliver(store, f"{now + 60:.6f}", of=thread("2.0"))
    await store.redis.hset(store.keys.pulse, "run_id", "0" * 40)
    assert await beat(store)
    claims = {claim.thread: claim for claim in await take_all(store)}
    assert claims[thread("1.0")].maybe_done
    assert not claims[thread("2.0")].maybe_done

    async def work(again: bool) -> str:
        return str(again)

    assert await store.turns.open(claims[thread("1.0")]).once(STEP, work) == "True"
    assert await store.turns.open(claims[thread("2.0")]).once(STEP, work) == "False"


async def test_a_message_that_may_be_answered_does_not_join_the_turn_under_way(
    store: Store,
) -> None:
    """A later turn of the lost state has answered it, and its worker holds the next one."""
    now = await store.now()
    stamps = [f"{now + seconds:.6f}" for seconds in (-20, -10, 30, 60)]
    await deliver(store, stamps[1], stamps[3])
    turn = store.turns.open(await take_one(store))
    await store.redis.hset(store.keys.pulse, "restored_at", f"{now:.6f}")
    await deliver(store, stamps[0])
    await store.routing.route(message(f"{now - 15:.6f}"), "mention", "always")
    assert await store.inbox.interrupt_of(thread()) is None
    await deliver(store, stamps[2])
    assert await store.inbox.interrupt_of(thread()) == "late"
    again = await store.turns.begin_again(turn, [], {})
    assert [m.ts for m in again.claim.messages] == stamps[1:]


async def test_the_same_question_makes_the_same_turn(store: Store) -> None:
    await deliver(store, "1.0", "2.0")
    first = await take_one(store)
    await store.redis.delete(store.keys.turn(thread()))
    await store.inbox.release(first, 0, "test")
    assert (await take_one(store)).turn_id == first.turn_id
    await deliver(store, "1.0", of=thread("5.0"))
    assert (await take_one(store)).turn_id != first.turn_id


async def test_a_dead_letter_that_is_retried_is_another_turn(store: Store) -> None:
    await deliver(store, "1.0")
    ids = set()
    for _ in range(3):
        claim = await take_one(store)
        ids.add(claim.turn_id)
        await store.inbox.dead_letter(claim, "poison")
        assert await store.dead.retry(claim.turn_id)
    assert len(ids) == 3


async def test_a_dead_letter_that_is_retried_during_a_turn_is_another_turn(store: Store) -> None:
    await deliver(store, "1.0")
    first = await take_one(store)
    await store.inbox.dead_letter(first, "poison")
    await deliver(store, "2.0")
    second = await take_one(store)
    assert await store.dead.retry(first.turn_id)
    await store.inbox.release(second, 0, "test")
    second = await take_one(store)
    assert not second.retried
    await deliver(store, "3.0")
    await store.inbox.settle(second)
    again = await take_one(store)
    assert again.retried
    assert again.turn_id != first.turn_id
    await deliver(store, "4.0")
    await store.inbox.settle(again)
    assert not (await take_one(store)).retried


async def turn_with_conversation(store: Store) -> Turn:
    """A turn under way that has begun a conversation."""
    await deliver(store, "1.0")
    turn = store.turns.open(await take_one(store))

    async def begin() -> Conversation:
        return conversation()

    await turn.begin_conversation(Step("conversation:0", Conversation), begin)
    return turn


async def lose_data(store: Store) -> None:
    """Delete all keys but the stream, without which nothing can be read."""
    names = [key async for key in store.redis.scan_iter(store.keys.name("") + "*")]
    await store.redis.delete(*(name for name in names if name != store.keys.ready))


async def test_a_conversation_begun_after_the_state_by_a_dead_worker_is_restored(
    store: Store,
) -> None:
    await turn_with_conversation(store)
    await store.redelivery.look()
    await lose_data(store)
    await store.redelivery.redeliver()
    await deliver(store, "1.0")
    assert (await take_one(store, "bert")).conversation == conversation()
    assert len(await store.conversations.recent("T1", "U1")) == 1


async def test_a_newer_conversation_replaces_that_of_the_older_state(store: Store) -> None:
    turn = await turn_with_conversation(store)
    used_at = str(await store.redis.hget(store.keys.conversation(thread()), "used_at"))

    async def begin() -> Conversation:
        return conversation("conv_2")

    await turn.begin_conversation(Step("conversation:1", Conversation), begin)
    await store.redelivery.look()
    await store.redis.delete(store.keys.orphans)
    await store.redis.hset(store.keys.conversation(thread()), "id", "conv_1")
    await store.redis.hset(store.keys.conversation(thread()), "used_at", used_at)
    await store.redelivery.redeliver()
    assert await store.conversations.find(thread()) == conversation("conv_2")
    assert await store.redis.zrange(store.keys.orphans, 0, -1) == ["echo|conv_1"]


async def begin(turn: Turn, id: str) -> None:
    """Give the thread of a turn another conversation."""

    async def work() -> Conversation:
        return conversation(id)

    await turn.begin_conversation(Step(f"conversation:{id}", Conversation), work)


async def test_a_turn_that_is_taken_before_its_conversation_is_restored_keeps_its_own(
    store: Store,
) -> None:
    await turn_with_conversation(store)
    await store.redelivery.look()
    await lose_data(store)
    await deliver(store, "1.0")
    await take_one(store, "bert")
    await store.redis.hset(store.keys.pulse, "restored_at", f"{await store.now() - 3:.6f}")
    await store.redelivery.redeliver()
    assert await store.conversations.find(thread()) is None
    assert await store.redis.zrange(store.keys.orphans, 0, -1) == ["echo|conv_1"]


async def test_a_claim_of_the_older_state_does_not_keep_a_conversation_from_being_restored(
    store: Store,
) -> None:
    await turn_with_conversation(store)
    await store.redelivery.look()
    await store.redis.delete(store.keys.conversation(thread()))
    await store.redis.hset(store.keys.pulse, "restored_at", f"{await store.now():.6f}")
    await store.redelivery.redeliver()
    assert await store.conversations.find(thread()) == conversation()


async def test_a_turn_that_is_written_back_brings_its_newer_conversation(store: Store) -> None:
    turn = await turn_with_conversation(store)
    await begin(turn, "conv_2")
    await store.redis.delete(store.keys.orphans)
    await store.redis.hset(store.keys.conversation(thread()), "id", "conv_1")
    await store.redis.zadd(store.keys.orphans, {"echo|conv_2": 1.0})
    assert await store.workers.reinstate(turn)
    assert await store.conversations.find(thread()) == conversation("conv_2")
    assert await store.redis.zrange(store.keys.orphans, 0, -1) == ["echo|conv_1"]


async def test_a_turn_that_is_written_back_does_not_bring_a_conversation_that_was_abandoned(
    store: Store,
) -> None:
    turn = await turn_with_conversation(store)
    await store.conversations.abandon(turn.claim)
    assert await store.workers.reinstate(turn)
    found = await store.conversations.find(thread())
    assert found is not None
    assert found.id == ""


async def test_the_old_conversation_is_kept_as_an_orphan_although_a_key_is_corrupt(
    store: Store,
) -> None:
    turn = await turn_with_conversation(store)
    await store.redis.delete(store.keys.begun, store.keys.idle)
    await store.redis.set(store.keys.begun, "no stream")
    await store.redis.set(store.keys.idle, "no set")
    await begin(turn, "conv_2")
    assert await store.conversations.find(thread()) == conversation("conv_2")
    assert await store.redis.zrange(store.keys.orphans, 0, -1) == ["echo|conv_1"]


@pytest.mark.parametrize("end", ["forget", "abandon"])
async def test_a_restart_does_not_restore_a_conversation_that_has_ended(
    store: Store, end: str
) -> None:
    turn = await turn_with_conversation(store)
    await getattr(store.conversations, end)(turn.claim)
    await store.redelivery.look()
    before = await store.redis.hgetall(store.keys.conversation(thread()))
    await store.redelivery.redeliver()
    assert await store.redis.hgetall(store.keys.conversation(thread())) == before


async def test_old_beginnings_are_dropped(store: Store) -> None:
    ago = int(1000 * (await store.now() - SECONDS))
    for ms in (ago - 60_000, ago + 60_000):
        await store.redis.xadd(store.keys.begun, {"thread": "T1:C1:1.0"}, id=f"{ms}-0")
    await turn_with_conversation(store)
    kept = await store.redis.xrange(store.keys.begun) or []
    assert [id for id, _ in kept[:-1]] == [f"{ago + 60_000}-0"]


async def test_thousands_of_conversations_are_restored(store: Store) -> None:
    """More than one look reads at once."""
    fields = json.dumps(fields_of(conversation()))
    beginnings = [
        ("XADD", store.keys.begun, "*", "thread", f"T1:C1:{n}.0", "used_at", "1", "fields", fields)
        for n in range(1, 2_501)
    ]
    await store.connection.execute_many(beginnings)
    for _ in range(3):
        await store.redelivery.look()
    await lose_data(store)
    await store.redelivery.redeliver()
    for number in (1, 2_500):
        found = await store.conversations.find(Thread("T1", "C1", f"{number}.0"))
        assert found is not None


@pytest.mark.parametrize("way", ["begun", "written back"])
async def test_a_conversation_that_comes_back_keeps_the_record_of_its_tombstone(
    store: Store, way: str
) -> None:
    turn = await turn_with_conversation(store)
    await store.redelivery.look()
    key, record = store.keys.conversation(thread()), store.keys.record(thread())
    await store.redis.delete(key)
    await store.redis.hset(key, "used_at", "1.0")
    await store.redis.rpush(record, "{}")
    for expiring in (key, record):
        await store.redis.expire(expiring, 60)
    if way == "begun":
        await store.redis.hset(store.keys.pulse, "restored_at", f"{await store.now():.6f}")
        await store.redelivery.redeliver()
    else:
        assert await store.workers.reinstate(turn)
    assert await store.conversations.find(thread()) == conversation()
    assert await store.redis.ttl(key) == await store.redis.ttl(record) == -1


async def test_corrupt_beginnings_are_skipped(store: Store) -> None:
    begun = store.keys.begun
    await store.redis.xadd(begun, {"thread": "?"})
    await turn_with_conversation(store)
    await store.redis.xadd(begun, {"thread": thread().key, "used_at": "x", "fields": "[]"})
    await store.redelivery.look()
    await lose_data(store)
    await store.redelivery.redeliver()
    assert await store.conversations.find(thread()) == conversation()


async def test_a_lost_turn_is_reinstated_with_its_journal(store: Store) -> None:
    turn = await turn_with_conversation(store)
    claim = turn.claim
    await turn.note(STEP, "said")
    await lose_data(store)

    assert not await store.workers.reinstate(turn)
    again = await take_one(store, "bert")
    assert (again.turn_id, again.messages) == (claim.turn_id, (message("1.0"),))
    resumed = store.turns.open(again)
    assert resumed.recall(STEP) == "said"
    assert again.conversation == conversation()
    assert not (await store.inbox.deliver(message("1.0"))).new
    await store.inbox.settle(again)
    assert (await store.inbox.state(thread())).state == "idle"


async def test_a_turn_that_is_refused_while_the_heartbeat_is_on_its_way_is_reinstated(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    turn = store.turns.open(claim)
    heartbeat = Heartbeat("anna", store, ActiveThreads(), WorkerTiming())
    await heartbeat._beat()
    await lose_data(store)
    beat = store.workers.beat

    async def slow(worker: str, lifetime: float) -> HeartbeatReply:
        found = await beat(worker, lifetime)
        heartbeat.abandon(turn)
        return found

    monkeypatch.setattr(store.workers, "beat", slow)
    await heartbeat._beat()
    assert (await take_one(store, "bert")).turn_id == claim.turn_id


async def test_a_turn_that_has_ended_is_not_reinstated(store: Store) -> None:
    """Its worker did not get the reply: Redis was killed after it had settled the turn."""
    turn = await turn_with_conversation(store)
    await store.inbox.settle(turn.claim, records=[Record("user", "said", "1.0", "U1")])

    assert not await store.workers.reinstate(turn)
    assert (await store.inbox.state(thread())).state == "idle"
    assert await take_all(store) == []
    assert len(await store.conversations.history(thread())) == 1


async def test_a_turn_whose_claim_holds_keeps_it(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    turn = store.turns.open(claim)
    await turn.note(STEP, "said")
    await store.redis.hdel(store.keys.turn(thread()), f"={STEP.name}")
    assert await store.workers.reinstate(turn)
    assert await store.redis.hget(store.keys.turn(thread()), f"={STEP.name}") == '"said"'
    await store.inbox.settle(claim)


async def test_messages_not_covered_by_a_found_answer_wait_for_the_next_turn(
    store: Store,
) -> None:
    await deliver(store, "1.0", "2.0", "3.0")
    claim = await take_one(store)
    await store.inbox.settle(claim, kept=claim.messages[1:])
    assert [m.ts for m in (await take_one(store)).messages] == ["2.0", "3.0"]


async def test_answered_messages_leave_the_inbox_and_the_context_and_are_not_taken_in_again(
    store: Store,
) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await deliver(store, "2.0", "3.0")
    context, kept = message("1.5", of=thread()), message("3.5", of=thread())
    for each in (context, kept):
        assert (await store.routing.route(each, "", "mentions")).verdict == "overheard"
    await store.inbox.mark_answered(claim, {"2.0", "2.5"})
    await deliver(store, "2.0", "2.5")
    assert (await store.routing.route(message("2.5"), "mention", "always")).verdict == "seen"
    assert (await store.inbox.state(thread())).waiting == ("3.0",)
    assert await store.redis.hkeys(store.keys.overheard(thread())) == ["3.5"]
    await store.inbox.settle(claim)
    with pytest.raises(Superseded):
        await store.inbox.mark_answered(claim, {"4.0"})
    assert (await store.inbox.deliver(message("4.0"))).new


@pytest.mark.parametrize("confirm", ["replica", "both"])
async def test_a_message_that_no_replica_confirms_is_not_acknowledged(
    own_server: RedisServer, confirm: Confirm
) -> None:
    if confirm == "both" and own_server.version < (7, 2):
        pytest.skip("WAITAOF needs Redis 7.2")
    timing = StoreTiming(confirmation=0.3)
    async with open_store(own_server.url, confirm=confirm, timing=timing) as store:
        with pytest.raises(StoreUnavailable, match="not confirmed"):
            await store.inbox.deliver(message("1.0"))
        with run_server(own_server.executable, *replica_of(own_server)) as replica:
            await wait_until(lambda: stored(store))
            with replica.client() as client:
                assert client.hlen(store.keys.inbox(thread())) == 1


async def test_a_redelivery_is_not_acknowledged_either_until_a_replica_has_the_message(
    own_server: RedisServer,
) -> None:
    """The second delivery writes nothing, and comes over a connection that has written nothing."""
    timing = StoreTiming(confirmation=0.3)
    with run_server(own_server.executable, *replica_of(own_server)) as replica:
        async with open_store(own_server.url, confirm="replica") as store:
            await wait_until(lambda: stored(store))
        replica.freeze()
        for _ in range(2):
            async with open_store(own_server.url, confirm="replica", timing=timing) as store:
                with pytest.raises(StoreUnavailable, match="not confirmed"):
                    await store.inbox.deliver(message("2.0"))
        replica.thaw()


def replica_of(server: RedisServer) -> tuple[str, ...]:
    """Options of a replica."""
    port = server.listen()
    with server.client() as client:
        client.config_set("repl-diskless-sync-delay", 0)
    return ("--replicaof", "127.0.0.1", str(port))


async def stored(store: Store) -> bool:
    """Slack delivers again until it is acknowledged."""
    try:
        await store.inbox.deliver(message("1.0"))
    except StoreUnavailable:
        return False
    return True


async def test_a_message_is_confirmed_by_the_disk(own_server: RedisServer) -> None:
    if own_server.version < (7, 2):
        pytest.skip("WAITAOF needs Redis 7.2")
    async with open_store(own_server.url, confirm="disk") as store:
        assert (await store.inbox.deliver(message("1.0"))).new
        assert (await store.routing.route(message("2.0"), "mention", "always")).verdict == "new"


async def test_a_reply_delivered_before_its_mention_is_delivered_again(store: Store) -> None:
    route = store.routing.route
    assert (await route(message("1.5"), "", "always")).verdict == "unknown"
    assert (await route(message("1.0"), "mention", "always")).verdict == "new"
    assert (await store.inbox.state(thread())).waiting == ("1.0", "1.5")
    names = [key async for key in store.redis.scan_iter(store.keys.name("") + "*")]
    await store.redis.delete(*names)
    for _ in range(2):  # it changes nothing the second time
        await store.redelivery.redeliver()
        assert (await store.inbox.state(thread())).waiting == ("1.0", "1.5")
