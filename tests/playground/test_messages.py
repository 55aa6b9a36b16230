"""A person writes, a real Bolt app hears it and answers: over HTTP and through Socket Mode."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from bot.playground import LocalSlack, open_workspace
from tests.playground.bolt import connected, make_app, served


@contextlib.asynccontextmanager
async def running(transport: str, app: AsyncApp, slack: LocalSlack) -> AsyncIterator[None]:
    async with served(app, slack) if transport == "http" else connected(app, slack):
        yield


class Listener:
    """An app that notes all messages and mentions and answers mentions in their thread."""

    def __init__(self, slack: LocalSlack) -> None:
        self.app = make_app(slack)
        self.bodies: list[dict[str, Any]] = []
        self.app.event("message")(self.on_message)
        self.app.event("app_mention")(self.on_mention)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [body["event"] for body in self.bodies]

    async def on_message(self, body: dict[str, Any]) -> None:
        self.bodies.append(body)

    async def on_mention(self, body: dict[str, Any], say: Any) -> None:
        self.bodies.append(body)
        event = body["event"]
        await say(f"Hello <@{event['user']}>", thread_ts=event.get("thread_ts", event["ts"]))


@pytest.mark.parametrize("transport", ["http", "socket"])
async def test_a_mention_arrives_as_a_twin_pair_and_is_answered(transport: str) -> None:
    async with open_workspace() as slack:
        listener = Listener(slack)
        async with running(transport, listener.app, slack):
            ts = await slack.user("alice").says("#general", "@bot hi")
            [answer] = await slack.wait_for(lambda: slack.replies("#general", ts))
            await slack.settled()

    assert answer.text == f"Hello <@{slack.user('alice').id}>"
    message, mention = sorted(listener.bodies[:2], key=lambda body: -len(body["event"]["type"]))[
        ::-1
    ]
    assert (message["event"]["type"], mention["event"]["type"]) == ("message", "app_mention")
    assert message["event"]["ts"] == mention["event"]["ts"] == ts
    assert message["event"]["client_msg_id"] == mention["event"]["client_msg_id"]
    assert message["event_id"] != mention["event_id"]
    assert message["event"]["text"] == f"<@{slack.bot.id}> hi"
    assert all(delivery.state == "acknowledged" for delivery in slack.deliveries)
