"""Socket Mode: acknowledgements, redelivery, refresh, and the limit of ten connections."""

import asyncio
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, open_workspace
from local_slack.tests.bolt import connected, make_app, make_client
from local_slack.tests.refusals import refused


async def open_socket(slack: LocalSlack, session: aiohttp.ClientSession) -> Any:
    """A raw connection that has received its hello."""
    client = make_client(slack)
    url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    socket = await session.ws_connect(url)
    return socket, await socket.receive_json()


async def test_an_unacknowledged_envelope_is_sent_again() -> None:
    async with (
        open_workspace(events=["message.channels"], time_factor=0.01, ack_seconds=1) as slack,
        aiohttp.ClientSession() as session,
    ):
        socket, hello = await open_socket(slack, session)
        assert hello["connection_info"] == {"app_id": slack.workspace.app_id}
        await slack.user("alice").says("#general", "hi")
        first, second = await socket.receive_json(), await socket.receive_json()
        await socket.send_json({"envelope_id": second["envelope_id"]})
        await slack.settled()
        await socket.close()

    assert first["payload"]["event_id"] == second["payload"]["event_id"]
    assert first["envelope_id"] != second["envelope_id"]
    assert (first["retry_attempt"], second["retry_attempt"]) == (0, 1)
    assert second["retry_reason"] == "timeout"
    [delivery] = slack.deliveries
    assert [attempt.status for attempt in delivery.attempts] == [None, 200]


async def test_each_envelope_goes_to_one_of_the_connections() -> None:
    async with (
        open_workspace(events=["message.channels"]) as slack,
        aiohttp.ClientSession() as session,
    ):
        sockets = [(await open_socket(slack, session))[0] for _ in range(2)]
        received: list[list[str]] = [[], []]

        async def acknowledge(number: int) -> None:
            async for message in sockets[number]:
                envelope = message.json()
                received[number].append(envelope["payload"]["event"]["ts"])
                await sockets[number].send_json({"envelope_id": envelope["envelope_id"]})

        readers = [asyncio.create_task(acknowledge(number)) for number in range(2)]
        sent = [await slack.user("bob").says("#general", str(number)) for number in range(6)]
        await slack.settled()
        for socket in sockets:
            await socket.close()
        await asyncio.gather(*readers)
    assert sorted(received[0] + received[1]) == sent
    assert all(received)


async def test_the_eleventh_connection_is_turned_away(slack: LocalSlack) -> None:
    async with aiohttp.ClientSession() as session:
        opened = [await open_socket(slack, session) for _ in range(11)]
        assert [hello["type"] for _, hello in opened] == ["hello"] * 10 + ["disconnect"]
        assert opened[-1][1]["reason"] == "too_many_websockets"
        assert slack.sockets.connections == 10
        for socket, _ in opened:
            await socket.close()


async def test_a_ticket_opens_one_connection_only(slack: LocalSlack) -> None:
    client = make_client(slack)
    url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as socket:
            await socket.receive_json()
        async with session.get(url.replace("ws://", "http://")) as response:
            assert response.status == 403


async def test_a_bolt_app_reconnects_after_a_refresh_without_loss() -> None:
    async with open_workspace(time_factor=0.05) as slack:
        app, heard = make_app(slack), []

        @app.event("message")
        async def on_message(event: dict[str, Any]) -> None:
            heard.append(event["text"])

        async with connected(app, slack) as handler:
            before = handler.client.current_session
            await slack.user("alice").says("#general", "one")
            await slack.settled()
            await slack.sockets.refresh()
            await slack.user("alice").says("#general", "two")
            await slack.wait_for(lambda: handler.client.current_session is not before)
            await slack.settled()
            assert slack.sockets.connections == 1
    assert heard == ["one", "two"]


async def test_a_bolt_app_reconnects_after_a_lost_connection() -> None:
    async with open_workspace(time_factor=0.05) as slack:
        app, heard = make_app(slack), []

        @app.event("message")
        async def on_message(event: dict[str, Any]) -> None:
            heard.append(event["text"])

        async with connected(app, slack):
            await slack.sockets.cut()
            await slack.user("alice").says("#general", "are you there?")
            await slack.settled()
    assert heard == ["are you there?"]


async def test_a_bot_token_opens_no_socket(slack: LocalSlack, client: AsyncWebClient) -> None:
    answer = await client.api_call("api.test")
    assert answer["ok"]
    with refused("not_allowed_token_type"):
        await client.apps_connections_open(app_token=slack.bot_token)
