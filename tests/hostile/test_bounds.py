"""Floods: each family of keys respects its bound or has an expiry.

`FAMILIES` in `bot/store/families.py` documents the bounds.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bot.models import Conversation, Record, Thread, Usage
from bot.store import ChannelSettings, Claim, Feedback, Store
from bot.store.families import FAMILIES
from bot.store.inbox import Inbox
from bot.store.inbox_part import RECORD_BYTES, InboxBounds
from bot.store.jobs import ask
from bot.store.keys import Keys
from bot.store.routing import Routing
from bot.store.steps import Step
from tests.store.builders import conversation, deliver, message, take_all, take_one, thread

FLOOD = 150
SECONDS = 400 * 86400 + 1
"""No key with an expiry lives longer than this."""


def bounded(store: Store, bounds: InboxBounds) -> Store:
    """The store with small bounds."""
    inbox = Inbox(store.connection, store.connection, store.keys, bounds)
    return replace(store, inbox=inbox, routing=Routing(store.connection, store.keys, bounds))


async def size(store: Store, key: str) -> int:
    """How many values a key holds."""
    command = {"hash": "HLEN", "list": "LLEN", "set": "SCARD", "zset": "ZCARD", "stream": "XLEN"}
    type_ = str(await store.redis.type(key))
    if type_ == "none":
        return 0
    if type_ == "string":
        return 1
    return int(await store.redis.execute_command(command[type_], key))  # type: ignore[no-untyped-call]


async def answered(store: Store, of: Thread, ts: str) -> Claim:
    """One question in a thread, answered."""
    await deliver(store, ts, of=of)
    claim = await take_one(store)
    turn = store.turns.open(claim)

    async def begin() -> Conversation:
        return conversation(f"conv_{of.thread_ts}", of=of)

    await turn.begin_conversation(Step("begin", Conversation), begin)
    await store.spending.account(claim, "U1", Usage(1, 1), 1)
    await store.inbox.settle(claim, records=[Record("user", "x" * 5000, ts, "U1")])
    return claim


async def flood_inbox(store: Store) -> int:
    for number in range(FLOOD):
        await store.inbox.deliver(message(f"{number + 1}.5"))
        await store.routing.route(message(f"{number + 1000}.5"), "mention", "always")
    return await size(store, store.keys.inbox(thread()))


async def flood_jobs(store: Store) -> int:
    for number in range(FLOOD):
        await ask(store.inbox, "export", "T1", "U1", f"Ev{number}")
    return await size(store, store.keys.inbox(Thread("T1", "U1", "errands")))


async def flood_overheard(store: Store) -> int:
    for number in range(FLOOD):
        await store.routing.route(message(f"{number + 2}.5", "x" * 50_000), "", "mentions")
    key = store.keys.overheard(thread())
    values = await store.redis.hvals(key)
    assert max(len(json.loads(value)["message"]) for value in values) < 5_000
    return await size(store, key)


async def flood_overheard_of_ours(store: Store) -> int:
    await store.routing.route(message("1.0"), "mention", "mentions")
    return await flood_overheard(store)


async def flood_dead(store: Store) -> int:
    for number in range(FLOOD):
        await deliver(store, "1.5", of=thread(f"{number + 1}.0"))
    for claim in await take_all(store):
        await store.inbox.dead_letter(claim, "poison")
    letters = await store.dead.list()
    assert len({letter.thread for letter in letters}) == len(letters)
    assert letters[-1].thread == thread(f"{FLOOD}.0")
    return len(letters)


async def flood_record(store: Store) -> int:
    for number in range(FLOOD):
        await answered(store, thread(), f"{number + 1}.5")
    lines = await store.redis.lrange(store.keys.record(thread()), 0, -1)
    assert sum(map(len, lines)) <= RECORD_BYTES
    return len(lines)


async def flood_settings(store: Store) -> int:
    for number in range(FLOOD):
        saved = await store.channels.save(
            "T1", "C1", ChannelSettings(instructions=str(number)), user_id="U1", after=number
        )
        assert saved
    return await size(store, store.keys.settings("T1", "C1"))


async def flood_ready(store: Store) -> int:
    for number in range(FLOOD):
        await deliver(store, f"{number + 1}.5")
    return await size(store, store.keys.ready)


async def flood_later(store: Store) -> int:
    for number in range(FLOOD):
        await deliver(store, f"{number + 1}.5")
        for claim in await take_all(store):
            await store.inbox.release(claim, 0 if number < FLOOD - 1 else 60, "test")
    return await size(store, store.keys.later)


async def flood_interrupts(store: Store) -> int:
    await deliver(store, "1.5")
    await take_one(store)
    for number in range(FLOOD):
        await store.inbox.interrupt(thread(), "stop")
        await store.inbox.interrupt(thread(f"{number + 5}.0"), "reset")
    return await size(store, store.keys.interrupts)


async def flood_workers(store: Store) -> int:
    for number in range(FLOOD):
        await store.workers.beat(f"worker-{number}", -1e6)
    await store.workers.beat("alive", 60)
    return await size(store, store.keys.workers)


async def flood_speakers(store: Store) -> int:
    for number in range(FLOOD):
        await store.routing.route(message(f"{number + 1}.5"), "mention", "always")
    return await size(store, store.keys.speakers(thread()))


async def flood_recent(store: Store) -> int:
    for number in range(5):
        for ts in range(5):
            await answered(store, thread(f"{number + 1}.0"), f"{ts + 1}.5")
    return await size(store, store.keys.recent("T1", "U1"))


async def flood_idle(store: Store) -> int:
    await flood_recent(store)
    return await size(store, store.keys.idle)


async def flood_orphans(store: Store) -> int:
    for _ in range(FLOOD):
        await store.archive.watch("echo", "conv_1")
    return await size(store, store.keys.orphans)


async def flood_feedback(store: Store) -> int:
    for number in range(FLOOD):
        await store.feedback.save(Feedback("turn", "run", thread(), "U1", "positive", number))
    return await size(store, store.keys.feedback)


async def flood_conversation(store: Store) -> int:
    for number in range(40):
        await answered(store, thread(), f"{number + 1}.5")
    return await size(store, store.keys.conversation(thread()))


async def flood_spent(store: Store) -> int:
    await flood_conversation(store)
    names = [key async for key in store.redis.scan_iter(store.keys.name("spent") + ":*")]
    return max([await size(store, name) for name in names])


async def flood_turn(store: Store) -> int:
    await deliver(store, "1.5")
    turn = store.turns.open(await take_one(store))
    for number in range(FLOOD):
        await turn.note(Step("draft", int), number)
    return await size(store, store.keys.turn(thread()))


async def flood_places(store: Store) -> int:
    for number in range(FLOOD):
        await store.pace.acquire("bucket", "same", 0.01, 1)
        await store.pace.grant(f"bucket-{number}", 1)
    return await size(store, store.keys.places("bucket"))


async def flood_greeted(store: Store) -> int:
    for _ in range(FLOOD):
        await store.feedback.greet("T1", "U1")
    return await size(store, store.keys.greeted("T1"))


Flood = Callable[[Store], Awaitable[int]]
FLOODS: dict[str, tuple[Flood, int]] = {
    "inbox": (flood_inbox, 100),
    "inbox of jobs": (flood_jobs, 110),
    "overheard": (flood_overheard, 50),
    "overheard of ours": (flood_overheard_of_ours, 50),
    "dead": (flood_dead, 100),
    "record": (flood_record, 200),
    "settings": (flood_settings, 50),
    "ready": (flood_ready, 1),
    "later": (flood_later, 1),
    "interrupts": (flood_interrupts, 1),
    "workers": (flood_workers, 1),
    "speakers": (flood_speakers, 4),
    "recent": (flood_recent, 5),
    "idle": (flood_idle, 5),
    "orphans": (flood_orphans, 1),
    "feedback": (flood_feedback, 1),
    "conversation": (flood_conversation, 16),
    "spent": (flood_spent, 6),
    "turn": (flood_turn, 4),
    "places": (flood_places, 1),
    "greeted": (flood_greeted, 1),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_fills_a_family_to_its_bound(store: Store, name: str) -> None:
    flood, limit = FLOODS[name]
    assert 0 < await flood(bounded(store, InboxBounds(100, 10, 100))) <= limit
    async for key in store.redis.scan_iter(store.keys.name("") + "*"):
        family = store.keys.family(key)
        assert family is not None, key
        ttl = await store.redis.pttl(key)
        assert ttl < SECONDS * 1000
        assert ttl != -1 or not family.expires, key


async def test_a_full_inbox_still_takes_a_stop(store: Store) -> None:
    store = bounded(store, InboxBounds(messages=2))
    await deliver(store, "1.1", "1.2")
    with capture_logs() as logs:
        refused = await store.inbox.deliver(message("1.3"))
    assert (refused.new, refused.waiting) == (False, 2)
    assert [log["event"] for log in logs] == ["inbox_full"]
    assert (await store.routing.route(message("1.4"), "mention", "always")).verdict == "full"
    assert (await store.inbox.deliver(message("1.5", kind="stop"))).new
    [claim] = await take_all(store)
    await store.inbox.settle(claim)
    assert (await store.inbox.deliver(message("1.3"))).new


def test_the_keys_of_a_shard_have_their_families() -> None:
    keys = Keys("bot").of_shard(3, 8)
    assert keys.family(keys.ready) is FAMILIES["ready"]
    assert Keys("bot").family(keys.ready) is None
    assert keys.set_aside(keys.ready) == "{bot:3}:corrupt:ready"


def test_every_family_documents_its_bound() -> None:
    for name, family in FAMILIES.items():
        assert family.bound, name
        assert family.lifetime, name
        assert not (family.expires and family.lifetime == "forever"), name
