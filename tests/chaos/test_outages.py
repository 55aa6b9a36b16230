"""Redis goes away, comes back empty, refuses writes or connections, or is slow: under real load."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

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
from tests.chaos.processes_world import WORD, City, Said, chatty, open_city
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
@pytest.mark.timeout(120)
async def test_nothing_acknowledged_is_lost_whatever_redis_does(
    outage: Outage, tmp_path: Path
) -> None:
    async with open_city(tmp_path) as city:
        verdict = await survive(city, outage)
        print(verdict)  # noqa: T201 - for who reads the run
        assert verdict.is_clean, str(verdict)
        assert_refused(city, None if outage is hangs_for_four_seconds else 500)


@pytest.mark.timeout(120)
async def test_nothing_acknowledged_is_lost_in_a_fail_over_and_back(tmp_path: Path) -> None:
    with run_server() as replica:
        with replica.client() as client:
            client.replicaof("127.0.0.1", "1")
        async with open_city(tmp_path) as city, open_redis_relay(city.redis.socket) as relay:
            city.environment["REDIS_URL"] = relay.url

            async def fails_over(redis: RedisServer) -> None:
                await relay.lead_to(replica.socket)
                await asyncio.sleep(4)
                await relay.lead_to(redis.socket)

            verdict = await survive(city, fails_over)
            print(verdict)  # noqa: T201 - for who reads the run
            assert verdict.is_clean, str(verdict)
            assert_refused(city)


def assert_refused(city: City, status: int | None = 500) -> None:
    """Slack was told of the outage: by this status, None where it had no answer in time."""
    statuses = {a.status for d in city.slack.deliveries for a in d.attempts}
    assert status in statuses
    assert statuses <= {200, 500, status}


@pytest.mark.timeout(120)
async def test_a_slow_redis_makes_answers_slow_and_nothing_else(tmp_path: Path) -> None:
    async with open_city(tmp_path) as city, open_redis_relay(city.redis.socket) as relay:
        relay.delay = 0.2
        city.fake.answer = chatty(0, seconds=(0.1, 1), long=0)
        await city.start("web", "worker", REDIS_URL=relay.url)
        await talk(city, city.new_channels(4), 2)
        await city.rests(60)
        assert all(d.state == "acknowledged" for d in city.slack.deliveries)
        verdict = await answer_everybody_once_more(city)
        assert verdict.is_clean, str(verdict)


@pytest.mark.parametrize(("engine", "seconds"), [("responses", 0), ("assistants", 9)])
@pytest.mark.timeout(120)
async def test_a_redis_that_lost_its_data_is_told_of_and_worked_with(
    engine: str, seconds: float, tmp_path: Path
) -> None:
    async with open_city(tmp_path, engine=engine, BOT_CONCURRENCY="3") as city:
        city.fake.answer = lambda prompt: held(echo(prompt))
        _, worker = await city.start("web", "worker")
        under_way = [await city.say(channel) for channel in city.new_channels(3)]
        await wait_until(all_run(city, 3))
        [channel] = city.new_channels(1)
        unclaimed = await city.say(channel)
        await city.slack.settled()
        assert (await city.store.inbox.depth()).waiting == 1
        city.fake.answer = chatty(0, seconds=(0.1, 0.1), long=0)
        await asyncio.to_thread(city.redis.kill)
        city.redis.lose_data()
        await asyncio.sleep(seconds)  # after seven a worker lets its turns go
        await asyncio.to_thread(city.redis.start)

        await city.slack.wait_for(lambda: all(heard(city, said) for said in under_way), 30)
        await city.rests()
        city.fake.finish()  # the runs that nobody knows of any more
        await city.rests()
        [told] = worker.told("redis_data_lost")
        assert told["saved"] == 3
        for said in under_way:
            assert heard(city, said) == [[said.word]]
        assert heard(city, unclaimed) == [], "nobody else had it"
        for said in (*under_way, unclaimed):
            again = await city.say(said.channel_id, said.thread_ts, mention=said is unclaimed)
            await city.rests()
            assert heard(city, said)[-1] == [said.word, again.word], "read anew in Slack"
            words = await remote_words(city, said.channel_id, said.thread_ts)
            assert words == [said.word, again.word]


def all_run(city: City, count: int) -> Callable[[], Awaitable[bool]]:
    async def do_run() -> bool:
        return len(city.fake.working) == count

    return do_run


def heard(city: City, said: Said) -> list[list[str]]:
    """The words of people in each answer of a thread."""
    replies = city.slack.replies(said.channel_id, said.thread_ts)
    return [WORD.findall(words(message)) for message in replies]
