"""Turns start after the acknowledgements that their process owes Slack."""

import asyncio
from contextlib import ExitStack

import pytest

from bot.settings import Settings
from bot.slack.receiving import FEW, HUNG_SECONDS, Receiving
from bot.store import Store
from bot.store.shards import shard_of
from bot.timing import WorkerTiming
from bot.turn.services import Services
from bot.worker.load import Load
from bot.worker.loop import Worker
from tests.redis_server import open_clean_store
from tests.store.builders import deliver, thread
from tests.world import wait_until

SETTINGS = Settings(_env_file=None, slack_bot_token="xoxb-1", openai_api_key="sk-1")


async def find_services(_: str) -> Services | None:
    """Those of a workspace that was removed: its turns end at once."""
    return None


def open_worker(store: Store, receiving: Receiving, patience: float) -> Worker:
    timing = WorkerTiming(ack_patience=patience)
    return Worker(store, find_services, SETTINGS, timing, Load(9, 9, receiving))


async def is_read(store: Store) -> bool:
    groups = await store.redis.xinfo_groups(store.keys.ready)
    return any(group["pending"] for group in groups)


async def state(store: Store) -> str:
    return (await store.inbox.state(thread())).state


def burst(receiving: Receiving, count: int = FEW + 1, id: str = "T1") -> ExitStack:
    """This number of requests of a workspace that are not answered yet."""
    requests = ExitStack()
    for _ in range(count):
        requests.enter_context(receiving.request(id))
    return requests


async def test_turns_start_after_a_burst_of_requests(redis_url: str) -> None:
    async with open_clean_store(redis_url) as store:
        receiving = Receiving()
        worker = open_worker(store, receiving, patience=60)
        work = asyncio.create_task(worker.run())
        with burst(receiving):
            await deliver(store, "1.0")
            await wait_until(lambda: is_read(store))
            await asyncio.sleep(0.05)
            assert await state(store) == "ready"

        async def is_settled() -> bool:
            return await state(store) == "idle"

        await wait_until(is_settled)
        worker.leave()
        await work


@pytest.mark.parametrize(("requests", "patience"), [(FEW, 60), (FEW + 1, 0.01)])
async def test_few_requests_or_slow_ones_do_not_delay_turns(
    requests: int, patience: float, redis_url: str
) -> None:
    async with open_clean_store(redis_url) as store:
        receiving = Receiving()
        worker = open_worker(store, receiving, patience)
        work = asyncio.create_task(worker.run())
        with burst(receiving, requests):
            await deliver(store, "1.0")

            async def is_settled() -> bool:
                return await state(store) == "idle"

            await wait_until(is_settled)
        worker.leave()
        await work


async def test_requests_that_wait_for_a_hung_shard_do_not_delay_turns_of_others() -> None:
    now = 0.0
    receiving = Receiving(2, lambda: now)
    hung, healthy = (next(id for id in map(str, range(9)) if shard_of(id, 2) == n) for n in (0, 1))
    with receiving.request(hung):
        now = HUNG_SECONDS
        with burst(receiving, id=hung):  # these have only begun, but behind the first
            await receiving.wait(60)
            with burst(receiving, id=healthy):
                waiting = asyncio.create_task(receiving.wait(60))
                await asyncio.sleep(0)
                assert not waiting.done()
            await waiting


async def test_a_slow_request_does_not_end_the_protection_of_others() -> None:
    now = 0.0
    receiving = Receiving(1, lambda: now)
    with receiving.request("T1"):  # it waits for Slack, say
        now = 2 * HUNG_SECONDS
        with receiving.request("T1"):
            pass
        with burst(receiving, FEW):
            waiting = asyncio.create_task(receiving.wait(60))
            await asyncio.sleep(0)
            assert not waiting.done()
        await waiting
