"""Redis goes away, comes back empty, refuses writes or connections, or is slow: under real load."""

from pathlib import Path

import pytest

from tests.chaos.city import chatty, open_city
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
from tests.stories.town import wait_until

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
        print(verdict)  # noqa: T201
        assert verdict.is_clean, str(verdict)
        statuses = {a.status for d in city.slack.deliveries for a in d.attempts}
        assert statuses <= {200, 500, None}


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
        first = list(city.said)
        for said, mention in zip(first, (True, False, False), strict=True):
            again = await city.say(said.channel_id, said.thread_ts, mention=mention)
            await city.rests()
            *_, answer = city.slack.replies(said.channel_id, said.thread_ts)
            shown = str(answer.blocks) + answer.text
            assert said.word in shown, "read anew in Slack"
            assert again.word in shown
