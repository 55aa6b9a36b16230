"""What a confirmed write costs: the time of one delivery for each value of BOT_REDIS_CONFIRM.

    python -m benchmarks.confirm

One primary and one replica on this machine, both with an append-only file. A real network adds its
round trip to `replica` and `both`; a slow disk adds its `fsync` to `disk` and `both`.
"""

import asyncio
import time
from contextlib import ExitStack
from statistics import median, quantiles
from typing import get_args

from bot.errors import StoreUnavailable
from bot.models import Message, Thread
from bot.store import open_store
from bot.store.connection import Confirm
from tests.redis_server import find_executables, run_server

DELIVERIES = 1000


async def measure(url: str, confirm: Confirm) -> list[float]:
    """The milliseconds of each delivery, one after the other."""
    times = []
    async with open_store(url, prefix=f"bench-{confirm or 'none'}", confirm=confirm) as store:
        await store.ping()
        for number in range(DELIVERIES):
            thread = Thread("T1", "C1", f"{number}.0")
            began = time.perf_counter()
            await store.inbox.deliver(Message(thread, f"{number}.0", "U1", "hello", event_id=""))
            times.append((time.perf_counter() - began) * 1000)
    return times


def report(url: str, confirm: Confirm) -> str:
    """The cells of a row."""
    try:
        times = asyncio.run(measure(url, confirm))
    except StoreUnavailable:
        return "not confirmed in time | "
    return f"{median(times):.2f} | {quantiles(times, n=100)[98]:.2f}"


def main() -> None:
    """Print one row for each fsync policy and each confirmation."""
    executable = find_executables()["valkey-9"]
    print("| appendfsync | BOT_REDIS_CONFIRM | p50 ms | p99 ms |\n|---|---|---|---|")
    for fsync in ("everysec", "always"):
        with ExitStack() as stack:
            options = ("--appendfsync", fsync, "--repl-diskless-sync-delay", "0")
            primary, replica = (
                stack.enter_context(run_server(executable, *options)) for _ in range(2)
            )
            with replica.client() as client:
                client.replicaof("127.0.0.1", str(primary.listen()))
                while client.info("replication")["master_link_status"] != "up":
                    time.sleep(0.05)
            for confirm in get_args(Confirm):
                print(f"| {fsync} | {confirm or '(none)'} | {report(primary.url, confirm)} |")


if __name__ == "__main__":
    main()
