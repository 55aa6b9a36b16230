"""A person writes and a real Bolt app answers, over HTTP and in Socket Mode."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from local_slack import LocalSlack, SlackError, open_workspace
from local_slack.tests.bolt import connected, make_app, served


@contextlib.asynccontextmanager
async def running(transport: str, app: AsyncApp, slack: LocalSlack) -> AsyncIterator[None]:
    async with served(app, slack) if transport == "http" else connected(app, slack):
        yield


class Listener:
    """An app that records all messages and mentions and answers mentions in their thread."""

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


async def test_people_can_do_only_what_slack_allows() -> None:
    async with open_workspace() as slack:
        alice, bob = slack.user("alice"), slack.user("bob")
        ts = await alice.says("#general", "mine")
        slack.add_channel("club", ["alice"])
        acts: list[tuple[str, Callable[[], Awaitable[object]]]] = [
            ("not_in_channel", lambda: bob.says("#club", "let me in")),
            ("channel_not_found", lambda: bob.says("#nowhere", "hello?")),
            ("thread_not_found", lambda: bob.says("#general", "x", thread_ts="1.000000")),
            ("cant_update_message", lambda: bob.edits("#general", ts, "yours")),
            ("cant_delete_message", lambda: bob.deletes("#general", ts)),
            ("message_not_found", lambda: bob.reacts("#general", "1.000000", "eyes")),
            ("channel_not_found", lambda: bob.joins("#nowhere")),
            ("not_found", lambda: bob.submits()),
            ("not_found", lambda: bob.closes("V404")),
        ]
        for code, act in acts:
            with pytest.raises(SlackError, match=f"^{code}$"):
                await act()
        slack.channel("#general").archived = True
        with pytest.raises(SlackError, match="is_archived"):
            await alice.says("#general", "too late")


async def test_waiting_for_a_false_condition_times_out() -> None:
    async with open_workspace() as slack:
        with pytest.raises(TimeoutError):
            await slack.wait_for(lambda: slack.messages("#general"), timeout=0.1)
