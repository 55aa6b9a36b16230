"""The control API: another process acts for people, sets faults and reads the state."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from local_slack import LocalSlack


class Controller:
    """A client of the control API."""

    def __init__(self, slack: LocalSlack, session: aiohttp.ClientSession) -> None:
        self.url = f"{slack.base_url}/_control"
        self.session = session

    async def get(self, path: str) -> Any:
        async with self.session.get(f"{self.url}{path}") as response:
            assert response.status == 200
            return await response.json()

    async def act(self, user: str, act: str, **args: Any) -> dict[str, Any]:
        body = {"user": user, "act": act, "args": args}
        async with self.session.post(f"{self.url}/acts", json=body) as response:
            answer: dict[str, Any] = await response.json()
            return answer


@pytest.fixture
async def controller(slack: LocalSlack) -> AsyncIterator[Controller]:
    headers = {"Authorization": f"Bearer {slack.control_token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield Controller(slack, session)


async def test_people_act_from_another_process(slack: LocalSlack, controller: Controller) -> None:
    said = await controller.act("alice", "says", channel="#general", text="@bot hi")
    assert slack.thread("#general", said["result"])[0].text == f"<@{slack.bot.id}> hi"
    files = {"a.bin": base64.b64encode(b"\x00").decode()}
    shared = await controller.act("bob", "says", channel="#general", text="", files=files)
    [message] = slack.thread("#general", shared["result"])
    assert slack.workspace.files[message.file_ids[0]].content == b"\x00"
    dm = await controller.act("bob", "dm")
    assert dm["result"] == slack.user("bob").dm()


async def test_a_refused_action_returns_the_reason(controller: Controller) -> None:
    refused = await controller.act("alice", "says", channel="#nowhere", text="x")
    assert refused == {"ok": False, "error": "channel_not_found"}
    assert (await controller.act("alice", "sings"))["error"].startswith("invalid act")
    assert (await controller.act("alice", "says", volume=11))["error"].startswith("invalid act")
    assert (await controller.act("nobody", "dm"))["error"] == "user_not_found"


async def test_state_shows_channels_messages_and_screens(
    slack: LocalSlack, controller: Controller
) -> None:
    ts = await slack.user("alice").says("#general", "hello")
    state = await controller.get("/state")
    general = slack.channel("#general").id
    assert [message["ts"] for message in state["messages"][general]] == [ts]
    assert {channel["name"] for channel in state["channels"]} == {"general", "random"}
    assert state["bot"]["id"] == slack.bot.id


async def test_faults_can_be_read_and_set(slack: LocalSlack, controller: Controller) -> None:
    values = {"delay": [0, 0.5], "methods": [{"method": "auth.test", "kind": "drop_after"}]}
    async with controller.session.put(f"{controller.url}/faults", json=values) as response:
        assert (await response.json())["delay"] == [0.0, 0.5]
    assert slack.faults.methods[0].method == "auth.test"
    async with controller.session.put(f"{controller.url}/faults", json={"x": 1}) as response:
        assert response.status == 400
    assert (await controller.get("/faults"))["deliver_twice"] is False


async def test_the_log_lists_calls_and_deliveries(
    slack: LocalSlack, controller: Controller
) -> None:
    await slack.user("alice").says("#general", "hello")
    log = await controller.get("/log")
    assert [delivery["name"] for delivery in log["deliveries"]] == ["message.channels"]
    assert log["calls"] == []


async def test_changes_are_sent_in_order_from_a_given_number(
    slack: LocalSlack, controller: Controller
) -> None:
    before = slack.workspace.changes.last_number
    alice = slack.user("alice")
    first = await alice.says("#general", "one")
    url = f"{controller.url}/changes?after={before}"
    async with controller.session.get(url) as response:
        second = await alice.says("#general", "two")
        sent = []
        async for line in response.content:
            if line.startswith(b"data: "):
                change = json.loads(line.removeprefix(b"data: "))
                if change["kind"] == "message_posted":
                    sent.append(change["data"]["message"]["ts"])
            if len(sent) == 2:
                break
    assert sent == [first, second]


async def test_only_the_token_from_this_address_may_control(slack: LocalSlack) -> None:
    url = f"{slack.base_url}/_control/state"
    token = {"Authorization": f"Bearer {slack.control_token}"}
    attempts: list[tuple[dict[str, str], int]] = [
        ({}, 401),
        ({"Authorization": "Bearer guess"}, 401),
        (token | {"Host": "evil.example"}, 403),
        (token | {"Origin": "https://evil.example"}, 403),
        (token | {"Origin": slack.base_url}, 200),
    ]
    async with aiohttp.ClientSession() as session:
        for headers, status in attempts:
            async with session.get(url, headers=headers) as response:
                assert response.status == status
        async with session.get(f"{url}?token={slack.control_token}") as response:
            assert response.status == 200


async def test_an_observer_gets_changes_until_it_unsubscribes(slack: LocalSlack) -> None:
    async with contextlib.aclosing(slack.workspace.changes.subscribe(after=0)) as feed:
        ts = await slack.user("alice").says("#general", "hello")
        change = await anext(change async for change in feed if change.kind == "message_posted")
    assert change.data["message"]["ts"] == ts
