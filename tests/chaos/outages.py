"""Outages of Redis, after which no message may be lost."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.chaos.deployment import Deployment, chatty
from tests.chaos.verdict import Verdict, judge
from tests.redis_server import RedisServer

Outage = Callable[[RedisServer], Awaitable[None]]


def gone_for(seconds: float) -> Outage:
    """Kill the process and restart it with its data."""

    async def gone(redis: RedisServer) -> None:
        await asyncio.to_thread(redis.kill)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(redis.start)

    return gone


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


async def survive(deployment: Deployment, outage: Outage) -> Verdict:
    """Start the bot, send messages while Redis fails, and judge after one more answer per
    thread."""
    deployment.fake.answer = chatty(0, seconds=(0.1, 2), long=0)
    await deployment.start("web", "worker")
    talking = asyncio.create_task(talk(deployment, deployment.new_channels(3), 4))
    await asyncio.sleep(0.5)
    await outage(deployment.redis)
    await talking
    await deployment.rests()
    return await answer_everybody_once_more(deployment)


async def talk(deployment: Deployment, channels: list[str], seconds: float) -> None:
    """A message in some thread every tenth of a second."""
    for number in range(int(seconds * 10)):
        threads = deployment.threads[-len(channels) :]
        if number < len(channels):
            await deployment.say(channels[number])
        else:
            await deployment.say(*threads[number % len(threads)])
        await asyncio.sleep(0.1)


async def answer_everybody_once_more(deployment: Deployment) -> Verdict:
    """Each thread gets one more answer, which must contain all its messages."""
    for channel, thread_ts in deployment.threads:
        await deployment.say(channel, thread_ts)
    await deployment.rests()
    return await judge(deployment)
