"""Redis goes away, comes back empty, refuses writes or connections, or is slow: under real load."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.chaos.city import City, chatty, open_city
from tests.chaos.relays import open_redis_relay
from tests.chaos.verdict import judge
from tests.redis_server import RedisServer
from tests.stories.town import wait_until

pytestmark = pytest.mark.chaos

Outage = Callable[[RedisServer], Awaitable[None]]


async def gone_for_a_second(redis: RedisServer) -> None:
    await asyncio.to_thread(redis.kill)
    await asyncio.sleep(1)
    await asyncio.to_thread(redis.start)


async def gone_for_ten_seconds(redis: RedisServer) -> None:
    await asyncio.to_thread(redis.kill)
    await asyncio.sleep(10)
    await asyncio.to_thread(redis.start)


async def hangs_for_four_seconds(redis: RedisServer) -> None:
    redis.freeze()
    await asyncio.sleep(4)
    redis.thaw()


async def is_a_replica_for_a_while(redis: RedisServer) -> None:
    with redis.client() as client:
        client.replicaof("127.0.0.1", "1")
        await asyncio.sleep(4)
        client.replicaof("no", "one")


async def takes_no_connections_for_a_while(redis: RedisServer) -> None:
    with redis.client() as client:
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(4)
        client.config_set("maxclients", 1000)


OUTAGES: tuple[Outage, ...] = (
    gone_for_a_second,
    gone_for_ten_seconds,
    hangs_for_four_seconds,
    is_a_replica_for_a_while,
    takes_no_connections_for_a_while,
)


async def talk(city: City, channels: list[str], seconds: float) -> None:
    """A message in some thread every tenth of a second."""
    for number in range(int(seconds * 10)):
        threads = city.threads[-len(channels) :]
        if number < len(channels):
            await city.say(channels[number])
        else:
            await city.say(*threads[number % len(threads)])
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("outage", OUTAGES)
@pytest.mark.timeout(120)
async def test_nothing_acknowledged_is_lost_whatever_redis_does(
    outage: Outage, tmp_path: Path
) -> None:
    async with open_city(tmp_path) as city:
        city.fake.answer = chatty(0, seconds=(0.1, 2), long=0)
        await city.start("web", "worker")
        talking = asyncio.create_task(talk(city, city.new_channels(3), 4))
        await asyncio.sleep(0.5)
        await outage(city.redis)
        await talking
        await city.rests(90)
        statuses = {a.status for d in city.slack.deliveries for a in d.attempts}
        assert statuses <= {200, 500, None}
        await answer_everybody_once_more(city)


@pytest.mark.timeout(120)
async def test_a_slow_redis_makes_answers_slow_and_nothing_else(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city, open_redis_relay(city.redis.socket) as relay:
        relay.delay = 0.2
        city.fake.answer = chatty(0, seconds=(0.1, 1), long=0)
        await city.start("web", "worker", REDIS_URL=relay.url)
        await talk(city, city.new_channels(4), 2)
        await city.rests(60)
        assert all(d.state == "acknowledged" for d in city.slack.deliveries)
        await answer_everybody_once_more(city)


@pytest.mark.timeout(120)
async def test_a_redis_that_lost_its_data_is_told_of_and_worked_with(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city:
        city.fake.answer = chatty(0, seconds=(1, 1), long=0)
        _, worker = await city.start("web", "worker")
        channels = city.new_channels(3)
        for channel in channels:
            await city.say(channel)
        await city.rests()
        city.redis.kill()
        city.redis.lose_data()
        city.redis.start()

        async def is_told() -> bool:
            return bool(worker.told("redis_lost_its_data"))

        await wait_until(is_told)
        fresh = [await city.say(channel) for channel in channels]
        await city.rests()
        for said in fresh:
            [answer] = city.slack.replies(said.channel_id, said.thread_ts)
            assert said.word in str(answer.blocks) + answer.text


async def answer_everybody_once_more(city: City) -> None:
    """All threads get one more answer, in which all that was ever said in them must be."""
    for channel, thread_ts in city.threads:
        await city.say(channel, thread_ts)
    await city.rests(120)
    verdict = await judge(city)
    print(verdict)  # noqa: T201
    assert verdict.is_clean, str(verdict)
