"""Signed events: retries on Slack's schedule, faults, a record of each attempt."""

import asyncio
import contextlib
from typing import Any

import aiohttp
from aiohttp import web

from local_slack import LocalSlack, open_workspace
from local_slack.delivery.http_events import signed_headers
from local_slack.tests.bolt import make_app, make_client, served
from local_slack.tests.receiver import receiving


def subscribed(*events: str, **options: Any) -> contextlib.AbstractAsyncContextManager[LocalSlack]:
    return open_workspace(events=events, time_factor=0.001, **options)


async def test_an_event_that_fails_is_delivered_again_with_retry_headers() -> None:
    async def fail_twice(number: int) -> web.Response:
        return web.Response(status=500 if number < 3 else 200)

    async with subscribed("message.channels") as slack, receiving(slack, fail_twice) as receiver:
        await slack.user("alice").says("#general", "hi")
        await slack.settled()

    numbers = [headers.get("X-Slack-Retry-Num") for headers, _ in receiver.requests]
    reasons = [headers.get("X-Slack-Retry-Reason") for headers, _ in receiver.requests]
    assert numbers == [None, "1", "2"]
    assert reasons == [None, "http_error", "http_error"]
    assert len({body["event_id"] for _, body in receiver.requests}) == 1
    [delivery] = slack.deliveries
    assert [attempt.status for attempt in delivery.attempts] == [500, 500, 200]
    assert delivery.state == "acknowledged"
    assert all(attempt.ms is not None for attempt in delivery.attempts)


async def test_after_three_retries_slack_gives_up() -> None:
    async def fail(number: int) -> web.Response:
        return web.Response(status=500)

    async with subscribed("message.channels") as slack, receiving(slack, fail) as receiver:
        await slack.user("alice").says("#general", "hi")
        await slack.settled()
    assert len(receiver.requests) == 4
    assert [delivery.state for delivery in slack.deliveries] == ["failed"]


async def test_the_app_can_refuse_retries() -> None:
    async def refuse(number: int) -> web.Response:
        return web.Response(status=500, headers={"X-Slack-No-Retry": "1"})

    async with subscribed("message.channels") as slack, receiving(slack, refuse) as receiver:
        await slack.user("alice").says("#general", "hi")
        await slack.settled()
    assert len(receiver.requests) == 1


async def test_an_app_that_is_too_slow_gets_the_event_again() -> None:
    again = asyncio.Event()

    async def slow_once(number: int) -> web.Response:
        if number > 1:
            again.set()
        slack.deliveries_to_app.ack_seconds = 60  # from the second attempt on
        await again.wait()
        return web.Response()

    async with (
        subscribed("message.channels", ack_seconds=0.2) as slack,
        receiving(slack, slow_once) as receiver,
    ):
        await slack.user("alice").says("#general", "hi")
        await slack.settled()
        assert receiver.requests[1][0]["X-Slack-Retry-Reason"] == "http_timeout"
        [delivery] = slack.deliveries
        assert [attempt.status for attempt in delivery.attempts] == [None, 200]


async def test_an_app_that_is_down_gets_the_event_when_it_is_back() -> None:
    async with open_workspace(events=["message.channels"], time_factor=0.05) as slack:
        slack.events_url = "http://127.0.0.1:9/slack/events"
        ts = await slack.user("alice").says("#general", "hi")
        await slack.wait_for(lambda: [a for a in slack.deliveries[0].attempts if a.reason])
        async with receiving(slack) as receiver:
            await slack.settled()
        assert receiver.requests[0][1]["event"]["ts"] == ts
        assert receiver.requests[0][0]["X-Slack-Retry-Reason"] == "connection_failed"


async def test_only_subscribed_events_are_sent() -> None:
    async with subscribed("app_mention") as slack, receiving(slack) as receiver:
        await slack.user("alice").says("#general", "@bot hi")
        await slack.settled()
    assert receiver.types == ["app_mention"]


async def test_deliver_twice_repeats_every_event() -> None:
    async with subscribed("message.channels") as slack, receiving(slack) as receiver:
        slack.faults.deliver_twice = True
        await slack.user("alice").says("#general", "hi")
        await slack.settled()
    assert len(receiver.requests) == 2
    assert len({body["event_id"] for _, body in receiver.requests}) == 1


async def test_reverse_twins_sends_the_mention_first() -> None:
    async with (
        subscribed("app_mention", "message.channels") as slack,
        receiving(slack) as receiver,
    ):
        alice = slack.user("alice")
        await alice.says("#general", "@bot one")
        await slack.settled()
        slack.faults.reverse_twins = True
        await alice.says("#general", "@bot two")
        await slack.settled()
    assert receiver.types == ["message", "app_mention", "app_mention", "message"]


async def test_a_random_delay_reorders_deliveries() -> None:
    async with subscribed("message.channels") as slack, receiving(slack) as receiver:
        slack.faults.delay = (0.001, 0.2)
        alice = slack.user("alice")
        sent = [await alice.says("#general", str(number)) for number in range(12)]
        await slack.settled()
    arrived = [body["event"]["ts"] for _, body in receiver.requests]
    assert sorted(arrived) == sent
    assert arrived != sent


async def test_the_request_url_of_a_bolt_app_passes_verification_and_refuses_forgeries(
    slack: LocalSlack,
) -> None:
    async with served(make_app(slack), slack):
        assert slack.events_url is not None
        assert await slack.http.verify_url()
        body = '{"type": "event_callback", "event": {}}'
        forged = signed_headers("another secret", body)
        stale = signed_headers(slack.signing_secret, body, timestamp=1_712_345_678)
        async with aiohttp.ClientSession() as session:
            for headers in (forged, stale, {}):
                async with session.post(slack.events_url, data=body, headers=headers) as response:
                    assert response.status == 401


async def test_a_change_of_the_bots_own_message_comes_back_as_an_event() -> None:
    async with subscribed("message.channels") as slack, receiving(slack) as receiver:
        client, general = make_client(slack), slack.channel("#general").id
        ts = (await client.chat_postMessage(channel=general, text="one"))["ts"]
        await client.chat_update(channel=general, ts=ts, text="two")
        await client.chat_delete(channel=general, ts=ts)
        await slack.settled()
    events = sorted((body["event"] for _, body in receiver.requests), key=lambda e: e["event_ts"])
    assert [event.get("subtype") for event in events] == [
        None,
        "message_changed",
        "message_deleted",
    ]
    assert events[0]["bot_id"] == slack.bot.bot_id
    assert events[1]["previous_message"]["text"] == "one"
