"""The token bucket that all processes share."""

import asyncio
import time
from itertools import cycle

import pytest

from bot.store import Store, open_store

SLOW = 0.1
"""Grants per second: a loaded machine delays a small part of an interval."""


def turns(*numbers: int) -> object:
    """Waits of these numbers of intervals; the bucket may have refilled a little in between."""
    return pytest.approx([number / SLOW for number in numbers], abs=0.4 / SLOW)


async def later(store: Store, seconds: float) -> None:
    """Let time pass for the bucket "posts" and its places."""
    bucket, places = store.keys.bucket("posts"), store.keys.places("posts")
    due = float(str(await store.redis.get(bucket)))
    await store.redis.set(bucket, f"{due - seconds:.6f}", keepttl=True)
    for who in await store.redis.zrange(places, 0, -1):
        await store.redis.zincrby(places, -seconds, str(who))


async def test_a_burst_is_granted_at_once_and_the_rest_in_turn(store: Store) -> None:
    waits = [await store.pace.acquire("posts", f"{n}", SLOW, burst=3) for n in range(6)]

    assert waits[:3] == [0, 0, 0]
    assert waits[3:] == turns(1, 2, 3)


async def test_grants_are_never_simultaneous(store: Store) -> None:
    waits = await asyncio.gather(*(store.pace.acquire("posts", f"{n}", SLOW) for n in range(20)))

    assert sorted(waits) == turns(*range(20))


async def test_a_waiter_that_asks_again_keeps_its_place(store: Store) -> None:
    for who in ("first", "second", "third"):
        await store.pace.acquire("posts", who, SLOW)
    again = [await store.pace.acquire("posts", "third", SLOW) for _ in range(50)]

    assert again == turns(*[2] * 50)
    assert [await store.pace.acquire("posts", "fourth", SLOW)] == turns(3)


async def test_a_place_is_used_once(store: Store) -> None:
    await store.pace.acquire("posts", "a", SLOW)
    await store.pace.acquire("posts", "b", SLOW)
    await later(store, 1 / SLOW)
    await store.pace.use("posts", "b")
    waits = [await store.pace.acquire("posts", "b", SLOW) for _ in range(2)]

    assert 0 < waits[1] <= waits[0] <= 1 / SLOW


async def test_a_place_that_came_due_during_an_absence_is_still_valid(store: Store) -> None:
    await store.pace.acquire("posts", "a", SLOW)
    wait = await store.pace.acquire("posts", "b", SLOW)
    await store.pace.acquire("posts", "c", SLOW)
    await later(store, wait)
    waits = [await store.pace.acquire("posts", "b", SLOW) for _ in range(2)]

    assert waits[0] == 0
    assert waits[1] > 0.5 / SLOW


async def test_buckets_are_independent(store: Store) -> None:
    await store.pace.acquire("C1", "a", SLOW)
    assert await store.pace.acquire("C2", "a", SLOW) == 0
    assert await store.pace.acquire("C1", "a", SLOW) > 0


async def test_a_pause_stops_all_grants(store: Store) -> None:
    await store.pace.pause("posts", 5 / SLOW, SLOW, burst=3)
    waits = [await store.pace.acquire("posts", who, SLOW, burst=3) for who in "ab"]

    assert waits == turns(5, 6)


async def test_a_shorter_pause_does_not_end_a_longer_one(store: Store) -> None:
    await store.pace.pause("posts", 30, rate=1)
    await store.pace.pause("posts", 5, rate=1)

    assert await store.pace.acquire("posts", "a", rate=1) > 25


async def test_grants_are_replenished_over_time(store: Store) -> None:
    assert await store.pace.acquire("posts", "a", SLOW) == 0
    wait = await store.pace.acquire("posts", "a", SLOW)
    await later(store, wait)

    assert await store.pace.acquire("posts", "a", SLOW) == 0


async def test_a_pause_also_delays_existing_waiters(store: Store) -> None:
    await store.pace.acquire("posts", "a", rate=10)
    waiting = asyncio.create_task(store.pace.wait("posts", "b", rate=10))
    await asyncio.sleep(0)
    began = time.monotonic()
    await store.pace.pause("posts", 1.5, rate=10)
    assert 0 < await store.pace.resting("posts") <= 1.5
    await waiting
    assert time.monotonic() - began >= 1.4
    assert await store.pace.resting("posts") == 0


async def test_two_processes_share_the_rate_and_the_order(redis_url: str, store: Store) -> None:
    """They ask alternately; each interval that passes lets the next one go."""
    burst, names = 4, [f"{n:02}" for n in range(20)]
    async with open_store(redis_url, prefix=store.keys.prefix) as other:
        for name, process in zip(names, cycle((store, other))):
            await process.pace.acquire("posts", name, SLOW, burst)
        assert await store.redis.zrange(store.keys.places("posts"), 0, -1) == names[burst:]

        for name, process in zip(names[burst:], cycle((other, store))):
            assert await process.pace.acquire("posts", name, SLOW, burst) > 0
            await later(store, 1 / SLOW)
            assert await process.pace.acquire("posts", name, SLOW, burst) == 0
            await process.pace.use("posts", name)
        assert not await store.redis.exists(store.keys.places("posts"))
