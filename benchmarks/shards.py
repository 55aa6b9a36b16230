"""`python -m benchmarks.shards`: what shards bring and cost.

1. Turns per second through the store (deliver, take, save, settle) of 500 workspaces by worker
   processes, and the CPU of each Redis server, with one shard, several, and several servers.
2. The same on three servers while one of them is killed: turns of the others' workspaces.
3. Commands per second of 64 shards and 20 workers that have nothing to do.

Everything runs on this machine: the processes and the servers share its cores.
"""

import argparse
import asyncio
import logging
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import structlog

from bot.app import open_bot
from bot.errors import StoreUnavailable
from bot.models import Message, Thread, Usage
from bot.sealing import generate_key
from bot.settings import Settings
from bot.store import Store
from bot.store.shards import Shards, open_shards, shard_of
from tests.redis_server import RedisServer, run_server

WORKSPACES = 500
AT_ONCE = 40
"""Turns under way in each process."""
PART = 0.5
"""Seconds of one count of turns."""


@dataclass
class Counts:
    """What one process did: turns by part of the time and server, and refused calls."""

    turns: Counter[tuple[int, int]] = field(default_factory=Counter)
    refused: int = 0


def settings(servers: Sequence[RedisServer], shards: int, **given: Any) -> Settings:
    """The settings of a deployment on these servers."""
    urls = " ".join(server.url for server in servers)
    return Settings(
        _env_file=None,
        redis_url=urls,
        bot_shards=shards,
        bot_redis_connections=20,
        bot_engine="echo",
        **given,
    )


async def turn(store: Store, team: str, number: int, worker: str) -> None:
    """One turn: its message arrives, is taken by its reader, and is settled."""
    ts = f"{number}.{worker.rpartition('-')[2]:0>6}"
    thread = Thread(team, "C1", ts)
    await store.inbox.deliver(Message(thread, ts, "U1", "hello", event_id=f"Ev{team}{ts}"))
    for entry in await store.inbox.read_ready(worker, 1, 0):
        if claim := await store.inbox.take(entry, worker):
            await store.inbox.settle(claim, usage=Usage(10, 20))


async def work(shards: Shards, servers: int, seconds: float, worker: str, counts: Counts) -> None:
    """Turns in all workspaces, each coroutine in its own part of them."""
    began = time.monotonic()

    async def keep(first: int) -> None:
        for number in count():
            if time.monotonic() - began > seconds:
                return
            workspace = first + AT_ONCE * (number % (WORKSPACES // AT_ONCE))
            team = f"T{workspace}"
            try:
                await turn(shards.of(team), team, number, worker)
            except StoreUnavailable:
                counts.refused += 1
                await asyncio.sleep(0.01)
                continue
            passed = time.monotonic() - began
            server = shard_of(team, len(shards)) % servers
            counts.turns[int(passed / PART), server] += 1

    await asyncio.gather(*(keep(first) for first in range(AT_ONCE)))


def process(
    given: Settings, servers: int, seconds: float, worker: str, start: Any, results: Any
) -> None:
    """One worker process; all begin at the same time."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

    async def run() -> Counts:
        counts = Counts()
        async with open_shards(given) as shards:
            for store in shards:
                await store.workers.beat(worker, 60)
            await asyncio.to_thread(start.wait)
            await work(shards, servers, seconds, worker, counts)
        return counts

    results.put(asyncio.run(run()))


@dataclass
class Throughput:
    """The counts of all processes, and the CPU seconds of each server."""

    counts: Counts
    cpu: list[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Turns per second."""
        return self.counts.turns.total() / self.seconds

    @property
    def busiest_share(self) -> float:
        """The part of the turns that were on the server with the most."""
        by_server: Counter[int] = Counter()
        for (_, server), turns in self.counts.turns.items():
            by_server[server] += turns
        return max(by_server.values()) / by_server.total()

    def rate_of(self, servers: set[int], parts: range) -> float:
        """Turns per second of some servers in a part of the time."""
        turns = sum(self.counts.turns[part, server] for part in parts for server in servers)
        return turns / (len(parts) * PART)


def measure(
    servers: Sequence[RedisServer], shards: int, workers: int, seconds: float, kill_at: float = 0
) -> Throughput:
    """Let processes work for a time; at `kill_at` the last server is killed."""
    context = multiprocessing.get_context("spawn")
    results, given = context.Queue(), settings(servers, shards, slack_bot_token="xoxb-1")
    start = context.Barrier(workers + 1)
    processes = [
        context.Process(
            target=process, args=(given, len(servers), seconds, f"worker-{number}", start, results)
        )
        for number in range(workers)
    ]
    for each in processes:
        each.start()
    start.wait()
    before = [_cpu(server) for server in servers]
    if kill_at:
        time.sleep(kill_at)
        servers[-1].kill()
    total = Counts()
    for _ in processes:
        counts = results.get()
        total.turns.update(counts.turns)
        total.refused += counts.refused
    for each in processes:
        each.join()
    cpu = [
        0.0 if kill_at else _cpu(server) - was for server, was in zip(servers, before, strict=True)
    ]
    return Throughput(total, cpu, seconds)


def _server() -> AbstractContextManager[RedisServer]:
    """A server that syncs once a second: the disk of this machine is not the subject."""
    return run_server("", "--appendfsync", "everysec")


def _cpu(server: RedisServer) -> float:
    with server.client() as client:
        info = client.info("cpu")
    return float(info["used_cpu_user"]) + float(info["used_cpu_sys"])


def report_throughput(workers: int, seconds: float) -> None:
    """One line for each number of shards and servers."""
    print(f"{WORKSPACES} workspaces, {workers} worker processes, {seconds:.0f} s each")
    print("| servers | shards | turns/s | Redis CPU a turn | busiest server | of all turns |")
    print("|---|---|---|---|---|---|")
    for many, shards in ((1, 1), (1, 2), (1, 4), (1, 64), (2, 2), (3, 64), (4, 4)):
        with ExitStack() as stack:
            servers = [stack.enter_context(_server()) for _ in range(many)]
            found = measure(servers, shards, workers, seconds)
        turns = found.counts.turns.total()
        busiest = 100 * max(found.cpu) / found.seconds
        print(
            f"| {many} | {shards} | {found.rate:.0f} | {1000 * sum(found.cpu) / turns:.2f} ms | "
            f"{busiest:.0f} % of a core | {found.busiest_share:.0%} |",
            flush=True,
        )


def report_kill(workers: int, seconds: float) -> None:
    """Turns of the other servers' workspaces, before and after one of three is killed."""
    with ExitStack() as stack:
        servers = [stack.enter_context(_server()) for _ in range(3)]
        measure(servers, 64, 1, 1.0)  # the notes of the layout
        found = measure(servers, 64, workers, seconds, kill_at=seconds / 2)
    middle, last = int(seconds / 2 / PART), int(seconds / PART)
    before, after = range(1, middle - 1), range(middle + 2, last)
    print(
        f"one of three servers killed: the other two {found.rate_of({0, 1}, before):.0f} turns/s "
        f"before, {found.rate_of({0, 1}, after):.0f} after; the killed one "
        f"{found.rate_of({2}, before):.0f} before, {found.rate_of({2}, after):.0f} after; "
        f"{found.counts.refused:,} calls refused"
    )


async def idle(shards: int, workers: int, seconds: float) -> None:
    """Count the commands of workers that have nothing to do."""
    with run_server() as server, tempfile.TemporaryDirectory() as directory:
        given = settings(
            [server],
            shards,
            slack_client_id="1.2",
            slack_client_secret="secret",
            slack_signing_secret="secret",
            bot_public_url="http://bot.test",
            bot_encryption_keys=generate_key(),
            bot_state_dir=Path(directory),
        )
        async with AsyncExitStack() as stack:
            for _ in range(workers):
                await stack.enter_async_context(open_bot(given, web_part=False))
            async with open_shards(given) as opened:
                for _ in range(60):
                    await asyncio.sleep(0.5)
                    served = [(await store.inbox.depth()).workers for store in opened]
                    if min(served) >= min(2, workers) and sum(served) <= 2 * shards + workers:
                        break
            before = _calls(server)
            await asyncio.sleep(seconds)
            found = _calls(server) - before
            # INFO and other commands are called by scripts, too; those two only from outside.
            sent = {name: found[name] for name in ("evalsha", "xreadgroup")}
            in_scripts = found.total() - sum(sent.values())
            print(
                f"{shards} shards, {workers} workers: {min(served)} to {max(served)} workers each; "
                f"{sum(sent.values()) / seconds:.0f} commands/s ("
                + ", ".join(f"{name} {count / seconds:.0f}" for name, count in sent.items())
                + f"), which run {in_scripts / seconds:.0f} more inside",
                flush=True,
            )


def _calls(server: RedisServer) -> Counter[str]:
    with server.client() as client:
        stats = client.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): int(s["calls"]) for name, s in stats.items()})


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shards", description=__doc__)
    parser.add_argument("--only", choices=("throughput", "kill", "idle"))
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--workers", type=int, default=8)
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if given.only in (None, "throughput"):
        report_throughput(given.workers, given.seconds)
    if given.only in (None, "kill"):
        report_kill(given.workers, 2 * given.seconds)
    if given.only in (None, "idle"):
        for shards, workers in ((1, 1), (1, 20), (64, 1), (64, 20)):
            asyncio.run(idle(shards, workers, given.seconds))


if __name__ == "__main__":
    main()
