"""Calls that share a round trip to Redis, and what one of them does to the others."""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot.errors import StoreUnavailable
from bot.store import Store, open_store
from bot.store.pipelining import MOST_COMMANDS
from bot.timing import StoreTiming
from tests.redis_server import PATIENT, RedisServer, open_clean_store
from tests.redis_traffic import Traffic, open_traffic
from tests.store.builders import deliver, message, thread


@pytest.fixture
async def traffic(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Traffic]:
    async with open_traffic(redis_server, tmp_path) as traffic:
        yield traffic


@pytest.fixture
async def relayed(traffic: Traffic) -> AsyncIterator[Store]:
    """A store whose round trips are counted."""
    async with open_clean_store(traffic.url) as store:
        await store.ping()
        yield store


def counts(traffic: Traffic) -> list[int]:
    """The commands of each round trip, without those of new connections."""
    return sorted(len(trip) for trip in traffic.trips if "CLIENT" not in trip)


async def test_calls_of_one_moment_share_a_round_trip(relayed: Store, traffic: Traffic) -> None:
    await deliver(relayed, "1.0")  # loads the script
    traffic.reset()
    stamps = [f"{number}.0" for number in range(2, 22)]
    found = await asyncio.gather(*(relayed.inbox.deliver(message(ts)) for ts in stamps))

    assert sorted(each.waiting for each in found) == list(range(2, 22))
    assert traffic.trips == [["deliver"] * 20]


async def test_many_calls_share_a_few_round_trips(relayed: Store, traffic: Traffic) -> None:
    traffic.reset()
    names = [f"{number}" for number in range(2 * MOST_COMMANDS + 1)]
    found = await asyncio.gather(*(relayed.connection.execute("ECHO", name) for name in names))

    assert found == names
    assert counts(traffic) == [1, MOST_COMMANDS, MOST_COMMANDS]


async def test_a_long_call_and_a_blocking_one_share_no_round_trip(
    relayed: Store, traffic: Traffic
) -> None:
    traffic.reset()
    echoes = [("ECHO", "x")] * (MOST_COMMANDS + 1)
    await asyncio.gather(
        relayed.ping(),
        relayed.connection.execute_many(echoes),
        relayed.ping(),
        relayed.connection.execute("WAIT", 0, 1),
        relayed.ping(),
    )
    assert counts(traffic) == [1, 1, 1, 1, MOST_COMMANDS + 1]


async def test_an_error_of_one_call_is_not_that_of_another(store: Store) -> None:
    keys = store.keys
    await store.redis.set(keys.inbox(thread()), "a string", ex=60)
    await store.redis.set(keys.flag("count"), "many", ex=60)
    found: Sequence[Any] = await asyncio.gather(
        store.connection.execute("INCR", keys.flag("count")),
        store.connection.execute("ECHO", "one"),
        store.inbox.deliver(message("1.0")),  # sets the string aside, and runs again
        store.connection.execute("ECHO", "two"),
        return_exceptions=True,
    )
    assert "not an integer" in str(found[0])
    assert [found[1], found[2].new, found[3]] == ["one", True, "two"]


async def test_a_value_that_is_not_utf_8_stops_its_own_call_only(store: Store) -> None:
    key = store.keys.flag("bytes")
    script = "return redis.call('SET', KEYS[1], string.char(255), 'EX', 60)"
    await store.connection.execute("EVAL", script, 1, key)
    found: Sequence[Any] = await asyncio.gather(
        store.connection.execute("ECHO", "\ud800"),
        store.connection.execute("ECHO", "one"),
        store.connection.execute("MGET", key, key),
        store.connection.execute("ECHO", "two"),
        return_exceptions=True,
    )
    assert isinstance(found[0], UnicodeEncodeError)
    assert isinstance(found[2], UnicodeDecodeError)
    assert [found[1], found[3]] == ["one", "two"]


async def test_a_cancelled_caller_leaves_the_round_trip_to_the_others(
    own_server: RedisServer,
) -> None:
    async with open_store(own_server.url, timing=PATIENT) as store:
        await store.ping()
        own_server.freeze()
        calls = [asyncio.create_task(store.connection.execute("ECHO", n)) for n in range(3)]
        await asyncio.sleep(0.02)
        calls[1].cancel()
        await asyncio.sleep(0)
        own_server.thaw()

        found = await asyncio.gather(*calls, return_exceptions=True)
        assert [found[0], found[2]] == ["0", "2"]
        assert isinstance(found[1], asyncio.CancelledError)


async def test_a_round_trip_without_callers_ends(own_server: RedisServer) -> None:
    async with open_store(own_server.url, timing=PATIENT, connections=3) as store:
        await store.ping()
        own_server.freeze()
        for _ in range(2):  # its only connection is free again each time
            call = asyncio.create_task(store.ping())
            await asyncio.sleep(0.02)
            call.cancel()
            await asyncio.wait([call])
        own_server.thaw()
        await store.ping()


async def test_calls_of_a_broken_round_trip_are_repeated_each(own_server: RedisServer) -> None:
    async with open_store(own_server.url, timing=PATIENT) as store:
        await deliver(store, "1.0")
        own_server.kill()
        failed = await asyncio.gather(*(store.ping() for _ in range(3)), return_exceptions=True)
        assert {type(error) for error in failed} == {StoreUnavailable}
        own_server.start()
        calls = [asyncio.create_task(store.inbox.deliver(message(f"{n}.0"))) for n in range(2, 5)]
        assert [each.new for each in await asyncio.gather(*calls)] == [True] * 3


async def test_a_write_is_confirmed_also_if_its_script_was_unknown(
    redis_server: RedisServer, traffic: Traffic
) -> None:
    timing = StoreTiming(confirmation=0.01)
    async with open_store(traffic.url, prefix="new", confirm="replica", timing=timing) as store:
        await store.redis.script_flush()
        with pytest.raises(StoreUnavailable):  # there is no replica
            await store.inbox.deliver(message("1.0"))
        with redis_server.client() as client:
            client.delete(*client.keys("{new}*"))
    whole = ["deliver", "SET", "WAIT"]
    assert [trip for trip in traffic.trips if "deliver" in trip] == [whole, whole]


async def test_confirmed_writes_wait_for_a_connection_before_their_time_begins(
    store: Store, redis_server: RedisServer
) -> None:
    await deliver(store, "1.0")  # loads the script
    timing, prefix = StoreTiming(call_timeout=0.8, confirmation=0.2), store.keys.prefix
    stamps = [f"{number}.0" for number in range(2, 7)]
    async with open_store(
        redis_server.url, prefix=prefix, confirm="replica", timing=timing, connections=3
    ) as confirmed:
        failed = await asyncio.gather(
            *(confirmed.inbox.deliver(message(ts)) for ts in stamps), return_exceptions=True
        )
    assert {str(error) for error in failed} == {"not confirmed by Redis's replica or disk"}
    assert (await store.inbox.state(thread())).waiting == ("1.0", *stamps)


async def test_a_call_leaves_nothing_to_the_garbage_collector(store: Store) -> None:
    await store.ping()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await store.ping()
        assert gc.collect() < 20
    finally:
        gc.enable()
