"""The cost of a year of conversations: `python -m benchmarks.sweep [CONVERSATIONS]`.

Fills a private Redis server with idle conversations (copies of one that the store's scripts made)
and sweeps them with an engine that deletes nothing. Prints: Redis bytes of an idle conversation and
of its tombstone; time, memory and Redis round trips of the sweep; the cost of accounting a turn;
and the report of as many turns in a month. The AI server's time for deletions is not included; the
sweep's pace for them is printed separately.
"""

import asyncio
import io
import resource
import sys
import time
from datetime import date, timedelta
from typing import Any, cast

from bot.engines import Engine
from bot.jobs.report import write_csv
from bot.models import Conversation, Message, Record, Thread, Usage
from bot.store import Claim, Store, open_store
from bot.store.usage import KINDS
from bot.upkeep.sweeper import BATCH, DELETES_AT_ONCE, Sweeper
from tests.redis_server import RedisServer, run_server

FILL_BATCH = 1000
PEOPLE = 500
ACCOUNTED = 5000
QUESTION = "How do I get the report of last month into the shared folder? " * 2
ANSWER = "Open the report, choose Share, and pick the folder. " * 10


class Nothing:
    """An engine with nothing to delete."""

    name = "nothing"

    async def delete(self, conversation_id: str) -> None:
        """Nothing to delete."""


def round_trips(server: RedisServer) -> int:
    """How many requests the server has read (Redis 7 and newer)."""
    with server.client() as client:
        return int(client.info("stats").get("total_reads_processed", 0))


def used_memory(server: RedisServer) -> int:
    """The memory of Redis in bytes."""
    with server.client() as client:
        return int(client.info("memory")["used_memory"])


async def one_turn(store: Store, thread: Thread) -> Claim:
    """Make a thread with one answered message, like the worker."""
    await store.inbox.deliver(Message(thread, thread.thread_ts, "U0000000", QUESTION))
    (entry,) = await store.inbox.read_ready("bench", 1, 4)
    claim = await store.inbox.take(entry, "bench")
    assert claim is not None
    conversation_id = "conv_" + "0" * 48
    conversation = Conversation(conversation_id, "nothing", thread, "U0000000", time.time())
    await store.conversations.save(claim, conversation)
    said = [
        Record("user", QUESTION, thread.thread_ts, "U0000000"),
        Record("assistant", ANSWER, thread.thread_ts),
    ]
    await store.inbox.settle(
        claim, records=said, usage=Usage(900, 0, 300, 100), last_item_id="msg_" + "0" * 48
    )
    return claim


async def fill(store: Store, count: int) -> None:
    """Copy the one real conversation into `count` others, idle for 31 days and more."""
    real = Thread("T00000000", "C00000000", f"{time.time():.6f}")
    await one_turn(store, real)
    keys = store.keys
    fields = await store.redis.hgetall(keys.conversation(real))
    lines = await store.redis.lrange(keys.record(real), 0, -1)
    old = time.time() - 31 * 86400
    for start in range(0, count, FILL_BATCH):
        commands: list[list[Any]] = []
        for number in range(start, min(start + FILL_BATCH, count)):
            user = f"U{number % PEOPLE:07d}"
            thread = Thread("T00000000", f"C{number % 50:08d}", f"{old - number:.6f}")
            facts = fields | {"id": f"conv_{number:048d}", "user_id": user}
            flat = [part for pair in facts.items() for part in pair]
            place = f"{thread.channel_id}:{thread.thread_ts}"
            commands += [
                ["HSET", keys.conversation(thread), *flat],
                ["RPUSH", keys.record(thread), *lines],
                ["ZADD", keys.idle, repr(old - number), thread.key],
                ["ZADD", keys.recent(thread.team_id, user), repr(old - number), place],
            ]
        await store.connection.execute_many(commands)


async def measure_sweep(server: RedisServer, store: Store, count: int) -> None:
    """Fill, sweep, and print the figures."""
    empty = used_memory(server)
    await fill(store, count)
    full = used_memory(server)
    print(f"{count:,} idle conversations of one question and one answer each")
    print(f"  Redis bytes     {(full - empty) / count:,.0f} for each")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sweeper = Sweeper(store, cast(Engine, Nothing()), 30, pause=0)
    before, began = round_trips(server), time.monotonic()
    preview = await sweeper.preview()
    seconds = time.monotonic() - began
    print(f"  dry run         {preview.archived:,} found in {seconds * 1000:.1f} ms")
    began = time.monotonic()
    swept = await sweeper.sweep_now()
    seconds = time.monotonic() - began
    trips = round_trips(server) - before
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - megabytes
    print(f"  sweep           {swept.archived:,} archived, {swept.deleted:,} deleted")
    print(f"  time            {seconds:.1f} s, the AI server's own not counted")
    print(f"  memory          {grown:.1f} MB more at its peak ({megabytes:.0f} MB before)")
    print(f"  Redis           {trips:,} round trips")
    print(f"  tombstones      {(used_memory(server) - empty) / count:,.0f} bytes each, for 90 days")
    paced = count / DELETES_AT_ONCE * 0.2 / 60
    print(f"  pace            {DELETES_AT_ONCE / 0.2:.0f} deletions a second: {paced:.0f} minutes")
    print(f"  in batches of   {BATCH}")


async def measure_accounting(server: RedisServer, store: Store) -> None:
    """Account turns, one after the other."""
    claims = []
    for number in range(ACCOUNTED):
        thread = Thread("T00000000", f"C{number % 50:08d}", f"{1_900_000_000 + number}.000000")
        await store.inbox.deliver(Message(thread, thread.thread_ts, f"U{number % 500:07d}", "hi"))
        (entry,) = await store.inbox.read_ready("bench", 1, 4)
        claim = await store.inbox.take(entry, "bench")
        assert claim is not None
        claims.append(claim)
    usage = Usage(900, 512, 300, 100)
    memory, trips, began = used_memory(server), round_trips(server), time.monotonic()
    for claim in claims:
        await store.spending.account(claim, claim.messages[0].user_id, usage, 240)
    seconds = time.monotonic() - began
    trips = round_trips(server) - trips
    with server.client() as client:
        stats = client.info("commandstats")["cmdstat_evalsha"]
    print(f"accounting of {ACCOUNTED:,} turns, one after the other")
    print(
        f"  a turn          {seconds / ACCOUNTED * 1000:.2f} ms, {trips / ACCOUNTED:.1f} round trip"
    )
    print(f"  scripts so far  {stats['usec_per_call']:.0f} µs each in Redis, on average")
    people = PEOPLE * 50
    grown = (used_memory(server) - memory) / 1024
    print(
        f"  Redis memory    {grown:,.0f} KB for {PEOPLE} people in 50 channels ({people:,} at most)"
    )


async def measure_report(server: RedisServer, store: Store, count: int) -> None:
    """`bot usage --csv` of as many turns, each on its own row as far as days allow."""
    days = [date(2026, 10, 1) + timedelta(days=number) for number in range(31)]
    await store.redis.sadd(store.keys.name("teams"), "T00000000")
    for start in range(0, count, FILL_BATCH):
        commands: list[list[Any]] = []
        for number in range(start, min(start + FILL_BATCH, count)):
            key = store.keys.name("usage", "T00000000", days[number % 31].isoformat())
            row = f"C{number // 31 % 50:08d}:U{number // 31 // 50 % PEOPLE:07d}"
            commands += [["HINCRBY", key, f"{row}:{kind}", 100] for kind in KINDS]
        await store.connection.execute_many(commands)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    trips, began = round_trips(server), time.monotonic()
    rows = await store.spending.rows(days)
    file = io.StringIO()
    write_csv(rows, file)
    seconds = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - megabytes
    print(f"report of {count:,} turns in 31 days")
    print(f"  rows            {len(rows):,}, {len(file.getvalue()) / 1e6:.1f} MB of CSV")
    print(f"  time            {seconds:.1f} s, {round_trips(server) - trips} round trips")
    print(f"  memory          {grown:.1f} MB more at its peak ({megabytes:.0f} MB before)")


async def main() -> None:
    """Run all benchmarks of this module."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with run_server() as server:
        async with open_store(server.url, prefix="bench") as store:
            await measure_sweep(server, store, count)
            await measure_accounting(server, store)
            await measure_report(server, store, count)


if __name__ == "__main__":
    asyncio.run(main())
