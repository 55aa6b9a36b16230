"""Routing: messages for the bot, context, and others, in any order of arrival."""

import time
from dataclasses import replace
from itertools import permutations

import pytest

from bot.models import FollowUps, Message
from bot.store import Addressing, Claim, Store, ThreadContext
from bot.store.channel_settings import ChannelSettings
from bot.store.routing import EARLY_SECONDS, OVERHEARD_MESSAGES
from tests.store.builders import deliver, keys_of, message, stamps, take_one, thread


def by(user_id: str, ts: str) -> Message:
    return replace(message(ts), user_id=user_id)


async def route(
    store: Store, said: Message, address: Addressing = "", rule: FollowUps = "one_person"
) -> str:
    return (await store.routing.route(said, address, rule)).verdict


async def catch_up(store: Store, claim: Claim | None = None) -> ThreadContext:
    claim = claim or await take_one(store)
    return await store.routing.catch_up(store.turns.open(claim), claim.messages[-1].ts)


async def test_messages_in_foreign_threads_are_ignored(store: Store) -> None:
    await store.redis.hset(store.keys.pulse, "born", "0")
    assert await route(store, message("2.0"), rule="always") == "ignored"
    [key] = await keys_of(store, "overheard")
    assert 0 < await store.redis.ttl(key) <= EARLY_SECONDS


async def test_a_thread_older_than_our_data_may_be_ours(store: Store) -> None:
    await store.workers.beat("anna", 1)
    old, new = thread("1.0"), thread(f"{time.time() + 60:.6f}")
    assert await route(store, message("2.0", of=old)) == "unknown"
    assert await route(store, message("9999999999.0", of=new)) == "ignored"
    await store.routing.adopt(old, ours=False)
    assert await route(store, message("2.0", of=old)) == "ignored"
    await store.routing.adopt(old, ours=True)
    assert await route(store, message("2.0", of=old)) == "new"
    assert await route(store, message("2.0", of=old)) == "seen"


@pytest.mark.parametrize(
    ("rule", "verdicts"),
    [
        ("always", ["new", "new", "new", "new"]),
        ("one_person", ["new", "overheard", "overheard", "overheard"]),
        ("mentions", ["overheard", "overheard", "overheard", "overheard"]),
    ],
)
async def test_the_follow_up_rule_decides_who_is_answered_without_a_mention(
    store: Store, rule: FollowUps, verdicts: list[str]
) -> None:
    await route(store, by("U1", "1.0"), "mention", rule)
    said = [by("U1", "2.0"), by("U2", "3.0"), by("U1", "4.0"), by("U2", "5.0")]
    assert [await route(store, one, rule=rule) for one in said] == verdicts


async def test_a_new_mention_restarts_the_one_person_rule(store: Store) -> None:
    await route(store, by("U1", "1.0"), "mention")
    await route(store, by("U2", "2.0"))
    await route(store, by("U2", "3.0"), "mention")
    assert await route(store, by("U2", "4.0")) == "new"
    assert await route(store, by("U1", "5.0")) == "overheard"


async def test_follow_ups_may_arrive_before_the_mention(store: Store) -> None:
    said: list[tuple[Message, Addressing]] = [
        (by("U1", "2.0"), "mention"),
        (by("U1", "3.0"), ""),
        (by("U1", "4.0"), ""),
    ]
    for number, order in enumerate(permutations(said)):
        for one, address in order:
            where = replace(one.thread, channel_id=f"C{number}")
            await route(store, replace(one, thread=where, event_id=""), address)
        state = await store.inbox.state(where)
        assert set(state.waiting) == {"2.0", "3.0", "4.0"}, order


async def test_overheard_messages_are_given_to_the_next_turn_once(store: Store) -> None:
    await route(store, by("U1", "1.0"), "mention")
    await route(store, by("U2", "2.0"))
    await route(store, by("U2", "2.0"))
    await route(store, by("U1", "3.0"), "mention")
    await route(store, by("U2", "4.0"))
    claim = await take_one(store)
    background = await catch_up(store, claim)
    assert [message.ts for message in background.overheard] == ["2.0"]
    assert background.speakers == ("U1", "U2")
    assert background.first
    assert await catch_up(store, claim) == background

    await store.inbox.settle(claim)
    await route(store, by("U1", "5.0"), "mention")
    background = await catch_up(store)
    assert [message.ts for message in background.overheard] == ["4.0"]
    assert not background.first


async def test_overheard_messages_are_bounded(store: Store) -> None:
    await route(store, by("U1", "1.0"), "mention")
    for number in range(OVERHEARD_MESSAGES + 5):
        await route(store, by("U2", f"{number + 2}.0"))
    await deliver(store, "99.0")
    background = await catch_up(store)
    assert len(background.overheard) == OVERHEARD_MESSAGES
    assert background.overheard[0].ts == "7.0"


async def test_an_edit_that_mentions_the_bot_makes_it_a_question(store: Store) -> None:
    await route(store, by("U1", "1.0"), "mention")
    await route(store, by("U2", "2.0"))
    assert await route(store, by("U2", "2.0"), "mention") == "new"
    claim = await take_one(store)
    assert stamps(claim) == ["1.0", "2.0"]
    assert (await catch_up(store, claim)).overheard == ()


async def test_channel_settings_override_the_deployment(store: Store) -> None:
    first = by("U1", "1.0")
    await route(store, first, "mention")
    where = (first.thread.team_id, first.thread.channel_id)
    never = ChannelSettings(follow_ups="mentions")
    assert await store.channels.save(*where, never, user_id="U1", after=0)
    assert await route(store, by("U1", "2.0"), rule="always") == "overheard"
    assert await store.channels.save(*where, ChannelSettings(), user_id="U1", after=1)
    assert await route(store, by("U1", "3.0"), rule="always") == "new"
