"""Redis is down, comes back empty, refuses writes or connections, or is slow, under load."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.store import open_store
from tests.chaos.deployment import WORD, Deployment, Said, chatty, open_deployment
from tests.chaos.outages import (
    Outage,
    answer_everybody_once_more,
    gone_for,
    hangs_for_four_seconds,
    is_a_replica_for_a_while,
    survive,
    takes_no_connections_for_a_while,
    talk,
)
from tests.chaos.relays import open_redis_relay
from tests.chaos.verdict import remote_words
from tests.fakes.openai import echo, held
from tests.redis_server import RedisServer, run_server
from tests.world import wait_until, words

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    "outage",
    [
        pytest.param(gone_for(1), id="gone_for_a_second"),
        pytest.param(gone_for(10), id="gone_for_ten_seconds"),
        hangs_for_four_seconds,
        is_a_replica_for_a_while,
        takes_no_connections_for_a_while,
    ],
)
async def test_nothing_acknowledged_is_lost_whatever_redis_does(
    outage: Outage, tmp_path: Path
) -> None:
    async with open_deployment(tmp_path) as deployment:
        verdict = await survive(deployment, outage)
        print(verdict)  # noqa: T201 - for who reads the run
        assert verdict.is_clean, str(verdict)
        assert_refused(deployment, None if outage is hangs_for_four_seconds else 500)


async def test_nothing_acknowledged_is_lost_in_a_fail_over_and_back(tmp_path: Path) -> None:
    with run_server() as replica:
        with replica.client() as client:
            client.replicaof("127.0.0.1", "1")
        async with (
            open_deployment(tmp_path) as deployment,
            open_redis_relay(deployment.redis.socket) as relay,
        ):
            deployment.environment["REDIS_URL"] = relay.url

            async def fails_over(redis: RedisServer) -> None:
                await relay.lead_to(replica.socket)
                await asyncio.sleep(4)
                await relay.lead_to(redis.socket)

            verdict = await survive(deployment, fails_over)
            print(verdict)  # noqa: T201 - for who reads the run
            assert verdict.is_clean, str(verdict)
            assert_refused(deployment)


async def test_a_lagging_replica_takes_over_without_loss_or_duplicates(tmp_path: Path) -> None:
    """The primary is killed two seconds after its replica has fallen behind."""
    with run_server() as replica, replica.client() as client:
        async with (
            open_deployment(tmp_path) as deployment,
            open_redis_relay(deployment.redis.socket) as relay,
            open_store(replica.url) as store,
        ):
            deployment.environment["REDIS_URL"] = relay.url
            client.replicaof("127.0.0.1", str(deployment.redis.listen()))

            async def is_in_sync() -> bool:
                is_linked = client.info("replication")["master_link_status"] == "up"
                return is_linked and bool(client.exists(store.keys.epoch))

            async def fails_over(redis: RedisServer) -> None:
                await wait_until(is_in_sync)
                client.replicaof("no", "one")
                await asyncio.sleep(2)
                await asyncio.to_thread(redis.kill)
                await relay.lead_to(replica.socket)
                deployment.store = store

            verdict = await survive(deployment, fails_over)
            assert verdict.is_clean, str(verdict)
            assert deployment.processes[-1].logged("redis_state_restored")


def assert_refused(deployment: Deployment, status: int | None = 500) -> None:
    """The status that Slack got during the outage; None if it got no response in time, which may
    also happen on a busy machine."""
    statuses = {a.status for d in deployment.slack.deliveries for a in d.attempts}
    assert status in statuses
    assert statuses <= {200, 500, None}


async def test_a_slow_redis_only_delays_answers(tmp_path: Path) -> None:
    async with (
        open_deployment(tmp_path) as deployment,
        open_redis_relay(deployment.redis.socket) as relay,
    ):
        relay.delay = 0.2
        deployment.fake.answer = chatty(0, seconds=(0.1, 1), long=0)
        await deployment.start("web", "worker", REDIS_URL=relay.url)
        await talk(deployment, deployment.new_channels(4), 2)
        await deployment.rests()
        assert all(d.state == "acknowledged" for d in deployment.slack.deliveries)
        verdict = await answer_everybody_once_more(deployment)
        assert verdict.is_clean, str(verdict)


@pytest.mark.parametrize(("engine", "seconds"), [("responses", 0), ("assistants", 9)])
async def test_a_redis_that_lost_its_data_gets_it_back_from_its_clients(
    engine: str, seconds: float, tmp_path: Path
) -> None:
    async with open_deployment(tmp_path, engine=engine, BOT_CONCURRENCY="3") as deployment:
        deployment.fake.answer = lambda prompt: held(echo(prompt))
        _, worker = await deployment.start("web", "worker")
        questions = [await deployment.say(channel) for channel in deployment.new_channels(3)]
        await wait_until(all_run(deployment, 3))
        [channel] = deployment.new_channels(1)
        questions.append(await deployment.say(channel))  # no worker has it
        await deployment.slack.settled()
        assert (await deployment.store.inbox.depth()).waiting == 1
        deployment.fake.answer = chatty(0, seconds=(0.1, 0.1), long=0)
        await asyncio.to_thread(deployment.redis.kill)
        deployment.redis.lose_data()
        await asyncio.sleep(seconds)  # a worker abandons its turns after seven seconds
        await asyncio.to_thread(deployment.redis.start)

        await wait_until(lambda: deployment.store.redis.exists(deployment.store.keys.pulse))
        deployment.fake.finish()
        await deployment.slack.wait_for(lambda: all(heard(deployment, said) for said in questions))
        await deployment.rests()
        [reported] = worker.logged("redis_data_lost")
        assert reported["turns"] == 3
        runs = {"responses": "/responses", "assistants": "/threads/*/runs"}[engine]
        assert deployment.fake.created(runs) == 4, "the runs under way went on"
        for said in questions:
            assert heard(deployment, said) == [[said.word]]
            again = await deployment.say(said.channel_id, said.thread_ts, mention=False)
            await deployment.rests()
            assert heard(deployment, said)[-1] == [said.word, again.word]
            words = await remote_words(deployment, said.channel_id, said.thread_ts)
            assert words == [said.word, again.word]


def all_run(deployment: Deployment, count: int) -> Callable[[], Awaitable[bool]]:
    async def do_run() -> bool:
        return len(deployment.fake.working) == count

    return do_run


def heard(deployment: Deployment, said: Said) -> list[list[str]]:
    """The messages of people that each answer of a thread repeats."""
    replies = deployment.slack.replies(said.channel_id, said.thread_ts)
    return [WORD.findall(words(message)) for message in replies]
