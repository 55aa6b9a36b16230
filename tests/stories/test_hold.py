"""A legal hold: nothing is deleted while it is on; the requests are carried out afterwards."""

import time

import pytest

from bot.cli import dead, hold
from bot.errors import Retry
from bot.store import DeadLetter
from bot.store.audit import AuditTrail
from bot.store.shard_checks import ShardChecks
from bot.texts.hold import FORGET_ME, RESET, reset_all
from tests.store.builders import place_of
from tests.store.test_audit import LINE
from tests.stories.test_lifetime import age, sweeper
from tests.stories.test_recovery import direct_message_to, letters, listed
from tests.world import PATIENCE, World


async def test_what_people_delete_is_kept_until_the_hold_ends(world: World) -> None:
    alice, bob, store = world.slack.user("alice"), world.slack.user("bob"), world.bot.store
    root = await world.ask("#general", "@bot the word is swordfish")
    second = await alice.says("#general", "and marmalade", thread_ts=root)
    await world.replies("#general", root, 2)
    other = await world.ask("#random", "@bot of bob", who="bob")
    there = set(world.fake.conversations)
    assert "is on" in await hold.begin(world.settings)

    await alice.deletes("#general", second)
    await world.rests("#general", root)
    await bob.says("#random", "reset", thread_ts=other)
    await world.rests("#random", other)
    assert [message.text for message in bob.ephemerals("#random")] == [RESET]
    await alice.slash("/forget-me")
    (asked,) = alice.ephemerals("#general")
    await alice.clicks("#general", asked.ts, "errand:forget_me")
    assert await direct_message_to(world, "alice") == FORGET_ME
    for channel, thread_ts in (("#general", root), ("#random", other)):
        thread = world.key(channel, thread_ts)
        await age(store, thread, 400)
        assert await store.conversations.find(thread)
        assert (await store.conversations.history(thread))[0].text
    assert (await sweeper(world).sweep_now()).held
    assert (await sweeper(world).preview()).held
    assert set(world.fake.conversations) == there
    assert "3 deletions wait" in await hold.status(world.settings)

    assert "3 deletions" in await hold.end(world.settings)
    reported = await world.slack.wait_for(lambda: letters(world, "alice")[1:], PATIENCE)
    assert reported[0].text.startswith("Done: 1 conversation deleted")
    await world.rests("#general", root)
    swept = await sweeper(world).sweep_now()
    assert not swept.held
    assert there & set(world.fake.conversations) == set()
    for channel, thread_ts in (("#general", root), ("#random", other)):
        assert await store.conversations.find(world.key(channel, thread_ts)) is None
    assert await hold.status(world.settings) == "There is no legal hold."
    assert await store.hold.kept() == []


async def test_all_conversations_of_a_person_are_kept(world: World) -> None:
    alice, store = world.slack.user("alice"), world.bot.store
    roots = [await world.ask("#general", "@bot hello") for _ in range(2)]
    await store.hold.begin()
    asked = await listed(world, "alice")
    await alice.clicks("#general", asked.ts, "errand:reset_all")
    assert await direct_message_to(world, "alice") == reset_all(2)
    assert await hold.end(world.settings)
    for root in roots:
        assert await store.conversations.find(world.key("#general", root)) is None


async def test_the_button_of_reset_says_that_it_is_noted_only(world: World) -> None:
    root = await world.ask("#general", "@bot about cats")
    alice, store = world.slack.user("alice"), world.bot.store
    await store.hold.begin()
    answer = await listed(world, "alice", "cats")
    await alice.clicks("#general", answer.ts, "reset_conversation")
    assert RESET in [message.text for message in alice.ephemerals("#general")]
    thread = world.key("#general", root)
    assert await store.conversations.find(thread) is not None
    await hold.end(world.settings)
    assert await store.conversations.find(thread) is None


async def test_operators_cannot_delete_either(world: World) -> None:
    store = world.bot.store
    await store.dead.save(DeadLetter("x", world.key("#general", "1.5"), "test", 1.0, 1, 0, ()))
    old = int((time.time() - 3 * 86400) * 1000)
    for number in range(300):
        await store.redis.xadd(store.keys.audit, {"line": "{}", "hash": ""}, id=f"{old}-{number}")
    await store.hold.begin()
    with pytest.raises(Retry, match="legal hold"):
        await dead.drop_letters(world.settings, ["x"], every=False)
    await AuditTrail(store.connection, store.keys, retention_days=1).append(LINE)
    assert await store.redis.xlen(store.keys.audit) == 301
    assert "is on since" in await hold.begin(world.settings)
    finding = await ShardChecks(place_of(store), world.settings).hold()
    assert (finding.level, "0 deletions wait" in finding.text) == ("warning", True)
    await store.redis.set(store.keys.hold, "corrupt")
    assert "1970" in await hold.status(world.settings)
    assert await store.hold.is_on()
    await hold.end(world.settings)
    assert await hold.end(world.settings) == "There is no legal hold."
    assert await dead.drop_letters(world.settings, ["x"], every=False) == []
