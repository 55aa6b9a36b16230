"""The traces of a thread, and the buttons that an app may add."""

import time
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, Switch
from local_slack.tests.bolt import connected, make_app


async def post(slack: LocalSlack, path: str, body: Any) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {slack.control_token}"}
    url = f"{slack.base_url}/_control{path}"
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(url, json=body) as response,
    ):
        return response.status, await response.json()


async def test_steps_are_those_of_the_thread_in_order_of_time(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    app = make_app(slack)

    @app.event("message")
    async def message(ack) -> None:  # type: ignore[no-untyped-def]
        await ack()

    general, alice = slack.channel("#general").id, slack.user("alice")
    async with connected(app, slack):
        ts = await alice.says("#general", "one thread")
        await alice.says("#general", "another thread")
        await slack.settled()
    slack.trace("inbox", "stored", channel_id=general, thread_ts=ts, ts=ts)
    slack.trace("turn", "taken", channel_id=general, thread_ts="1.000000")
    await client.chat_postMessage(channel=general, thread_ts=ts, text="12 letters..")
    steps = slack.steps("#general", ts)
    names = [(step["source"], step["title"], step.get("status")) for step in steps]
    assert names[0] == ("slack", "message.channels", "ack")
    assert ("inbox", "stored", "") in names
    assert ("api", "chat.postMessage", "ok") in names
    assert "taken" not in [step["title"] for step in steps]
    assert steps[0]["ms"] > 0
    assert [step["at"] for step in steps] == sorted(step["at"] for step in steps)
    [call] = [step for step in steps if step["source"] == "api"]
    assert call["detail"] == "12 characters"


async def test_retries_are_steps_of_their_own(slack: LocalSlack) -> None:
    ts = await slack.user("alice").says("#general", "nobody listens")
    await slack.settled()
    steps = slack.steps("#general", ts)
    assert [step["status"] for step in steps] == ["connection_failed"] * 4
    assert [step["ok"] for step in steps] == [False] * 4
    assert "retry 3" in steps[3]["detail"]


async def test_a_step_without_a_thread_belongs_to_every_thread(slack: LocalSlack) -> None:
    ts = await slack.user("alice").says("#general", "hello")
    slack.trace("fault", "the worker has ended")
    assert "the worker has ended" in [step["title"] for step in slack.steps("#general", ts)]


async def test_another_process_reports_its_steps_in_real_time(slack: LocalSlack) -> None:
    slack.clock.advance(1000)
    ts = await slack.user("alice").says("#general", "hello")
    step = {"source": "ai", "title": "POST /responses", "at": time.time(), "ms": 12, "status": 200}
    assert (await post(slack, "/traces", step))[0] == 200
    [found] = [step for step in slack.steps("#general", ts) if step["source"] == "ai"]
    assert (found["ms"], found["status"]) == (12.0, "200")
    assert found["at"] == pytest.approx(slack.clock.now(), abs=5)


@pytest.mark.parametrize("body", [{"source": "x"}, {"source": "x", "title": "y", "z": 1}, [], "x"])
async def test_an_invalid_step_is_refused(slack: LocalSlack, body: Any) -> None:
    assert (await post(slack, "/traces", body))[0] == 400


async def test_a_switch_of_the_app_is_offered_pressed_and_changed(slack: LocalSlack) -> None:
    pressed = []

    async def press() -> None:
        pressed.append(True)
        slack.set_switch("kill", "killed")

    slack.add_switch(Switch("kill", "Kill it", "At once.", "Kill", press, "alive"))
    assert (await post(slack, "/switches/kill", {}))[0] == 200
    assert (await post(slack, "/switches/other", {}))[0] == 404
    assert pressed == [True]
    assert slack.switches["kill"].state == "killed"
