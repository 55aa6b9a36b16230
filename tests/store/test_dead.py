"""Dead letters: failed messages are kept, and the thread continues."""

from bot.store import Store
from tests.store.builders import deliver, message, stamps, take_all, take_one, thread


async def test_dead_letters_are_kept_with_their_reason(store: Store) -> None:
    await deliver(store, "1.0", "2.0")
    await store.inbox.release(await take_one(store), 0, "500")
    claim = await take_one(store)
    await store.inbox.dead_letter(claim, "server_error")

    [letter] = await store.dead.list()
    assert letter == await store.dead.find(claim.turn_id)
    assert (letter.thread, letter.reason) == (thread(), "server_error")
    assert letter.messages == (message("1.0"), message("2.0"))
    assert (letter.attempts, letter.crashes) == (2, 0)
    assert letter.at > claim.taken_at - 60


async def test_the_thread_continues_after_dead_letters(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await deliver(store, "2.0")
    await store.inbox.dead_letter(claim, "poison")

    claim = await take_one(store)
    assert (stamps(claim), claim.attempt) == (["2.0"], 0)


async def test_dead_letters_are_listed_oldest_first(store: Store) -> None:
    for name in ("1.0", "2.0", "3.0"):
        await deliver(store, name, of=thread(name))
        await store.inbox.dead_letter(await take_one(store), "poison")

    letters = await store.dead.list()
    assert [letter.thread.thread_ts for letter in letters] == ["1.0", "2.0", "3.0"]


async def test_a_retried_letter_goes_back_to_its_thread_once(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await store.inbox.dead_letter(claim, "poison")

    assert await store.dead.retry(claim.turn_id)
    assert not await store.dead.retry(claim.turn_id)
    assert await store.dead.list() == ()
    assert stamps(await take_one(store)) == ["1.0"]


async def test_a_retried_letter_waits_for_the_turn_under_way(store: Store) -> None:
    await deliver(store, "1.0")
    dead = await take_one(store)
    await store.inbox.dead_letter(dead, "poison")
    await deliver(store, "2.0")
    claim = await take_one(store)
    await store.dead.retry(dead.turn_id)
    assert await take_all(store) == []
    await store.inbox.settle(claim)

    assert stamps(await take_one(store)) == ["1.0"]


async def test_a_dropped_letter_is_gone(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    await store.inbox.dead_letter(claim, "poison")

    assert await store.dead.drop(claim.turn_id)
    assert not await store.dead.drop(claim.turn_id)
    assert await store.dead.find(claim.turn_id) is None
    assert await take_all(store) == []


async def test_a_deleted_message_leaves_its_dead_letter(store: Store) -> None:
    await deliver(store, "1.0", "2.0")
    await store.inbox.dead_letter(await take_one(store), "poison")
    await deliver(store, "1.0", of=thread("other"))
    await store.inbox.dead_letter(await take_one(store), "poison")

    assert await store.dead.with_message(thread(), "3.0") == ()
    await store.dead.withdraw(thread(), "1.0")
    first, second = await store.dead.list()
    assert (first.messages, second.messages) == (
        (message("2.0"),),
        (message("1.0", of=thread("other")),),
    )
    await store.dead.withdraw(thread(), "2.0")
    assert [letter.thread for letter in await store.dead.list()] == [thread("other")]


async def test_no_letter_is_read_for_a_message_of_a_thread_without_one(store: Store) -> None:
    await store.redis.set(store.keys.dead, "not readable", ex=60)
    assert await store.dead.with_message(thread(), "1.0") == ()
    assert await store.redis.get(store.keys.dead) == "not readable"
