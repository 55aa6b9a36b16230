"""People's actions as events, in Slack's shapes."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local_slack import LocalSlack, open_workspace
from local_slack.tests.receiver import Receiver, receiving


class Heard:
    """The events that reached the app."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [body for _, body in self._receiver.requests]

    @property
    def types(self) -> list[str]:
        """In the order of their arrival."""
        return self._receiver.types

    @property
    def events(self) -> list[dict[str, Any]]:
        events = [body["event"] for _, body in self._receiver.requests]
        return sorted(events, key=lambda event: float(event["event_ts"]))

    def only(self, kind: str, subtype: str | None = None) -> dict[str, Any]:
        [event] = [
            event
            for event in self.events
            if event["type"] == kind and event.get("subtype") == subtype
        ]
        return event


@contextlib.asynccontextmanager
async def hearing(*events: str) -> AsyncIterator[tuple[LocalSlack, Heard]]:
    subscribed = events or None
    async with open_workspace(events=subscribed) as slack, receiving(slack) as receiver:
        yield slack, Heard(receiver)


async def test_a_dm_is_not_a_mention() -> None:
    async with hearing() as (slack, heard):
        await slack.user("alice").says("@bot", "@bot hi")
        await slack.settled()
    [event] = heard.events
    assert (event["type"], event["channel_type"]) == ("message", "im")


@pytest.mark.parametrize(("kind", "prefix"), [("group", "C"), ("mpim", "C")])
async def test_a_mention_in_a_private_channel_or_group_dm_has_its_twin(
    kind: str, prefix: str
) -> None:
    async with hearing() as (slack, heard):
        alice = slack.user("alice")
        if kind == "group":
            channel = slack.add_channel("secret", ["alice"], private=True).id
        else:
            channel = alice.dm("bob")
        await alice.says(channel, "@bot hi")
        await slack.settled()
    assert heard.only("message")["channel_type"] == kind
    assert heard.only("app_mention")["channel"] == channel
    assert channel.startswith(prefix)


async def test_no_events_come_from_channels_without_the_bot() -> None:
    async with hearing() as (slack, heard):
        slack.add_channel("elsewhere", ["alice", "bob"], bot=False)
        alice = slack.user("alice")
        ts = await alice.says("#elsewhere", "@bot hi")
        await alice.edits("#elsewhere", ts, "@bot hello")
        await alice.reacts("#elsewhere", ts, "eyes")
        await alice.deletes("#elsewhere", ts)
        await slack.user("carol").joins("#elsewhere")
        await alice.says("@bob", "psst")
        await slack.settled()
    assert heard.events == []


async def test_edits_and_deletions_carry_the_previous_message() -> None:
    async with hearing() as (slack, heard):
        alice = slack.user("alice")
        ts = await alice.says("#general", "helo")
        await alice.edits("#general", ts, "hello")
        await alice.deletes("#general", ts)
        await slack.settled()
    changed = heard.only("message", "message_changed")
    assert (changed["message"]["text"], changed["previous_message"]["text"]) == ("hello", "helo")
    assert changed["message"]["edited"]["user"] == alice.id
    deleted = heard.only("message", "message_deleted")
    assert (deleted["deleted_ts"], deleted["previous_message"]["text"]) == (ts, "hello")


async def test_an_edited_mention_is_sent_again_marked_as_edited() -> None:
    async with hearing("app_mention") as (slack, heard):
        alice = slack.user("alice")
        ts = await alice.says("#general", "@bot helo")
        await alice.edits("#general", ts, "@bot hello")
        await slack.settled()
    first, second = heard.events
    assert first["ts"] == second["ts"] == ts
    assert "edited" not in first
    assert second["edited"]["user"] == alice.id


async def test_a_deleted_root_changes_into_a_tombstone() -> None:
    async with hearing("message.channels") as (slack, heard):
        alice, bob = slack.user("alice"), slack.user("bob")
        root = await alice.says("#general", "root")
        reply = await bob.says("#general", "reply", thread_ts=root)
        await alice.deletes("#general", root)
        await bob.deletes("#general", reply)
        await slack.settled()
    changed = heard.only("message", "message_changed")["message"]
    assert (changed["subtype"], changed["user"]) == ("tombstone", "USLACKBOT")
    deleted = [e["deleted_ts"] for e in heard.events if e.get("subtype") == "message_deleted"]
    assert deleted == [reply, root]


async def test_a_link_is_unfurled_a_moment_later() -> None:
    async with hearing() as (slack, heard):
        await slack.user("alice").says("#general", "see https://example.org/a?b=1&c=2")
        await slack.settled()
    assert heard.only("message")["text"] == "see <https://example.org/a?b=1&amp;c=2>"
    changed = heard.only("message", "message_changed")
    assert "edited" not in changed["message"]
    assert len(changed["message"]["attachments"]) == 1


async def test_a_reply_sent_to_the_channel_too_is_a_thread_broadcast() -> None:
    async with hearing() as (slack, heard):
        alice = slack.user("alice")
        root = await alice.says("#general", "root")
        await alice.says("#general", "reply", thread_ts=root, broadcast=True)
        await slack.settled()
    event = heard.only("message", "thread_broadcast")
    assert (event["thread_ts"], event["root"]["text"]) == (root, "root")


async def test_joining_sends_a_message_and_an_event() -> None:
    async with hearing() as (slack, heard):
        slack.add_channel("club", ["alice"])
        await slack.user("alice").invites("#club", "bob")
        await slack.user("bob").leaves("#club")
        await slack.settled()
    joined = heard.only("member_joined_channel")
    assert (joined["user"], joined["inviter"]) == (slack.user("bob").id, slack.user("alice").id)
    assert heard.only("message", "channel_join")["user"] == slack.user("bob").id
    assert heard.only("member_left_channel")["user"] == slack.user("bob").id


async def test_the_bot_gets_an_event_when_it_is_invited() -> None:
    async with hearing() as (slack, heard):
        slack.add_channel("club", ["alice"], bot=False)
        await slack.user("alice").invites("#club", "bot")
        await slack.settled()
    assert heard.only("member_joined_channel")["user"] == slack.bot.id


async def test_reactions_name_their_item() -> None:
    async with hearing() as (slack, heard):
        alice, bob = slack.user("alice"), slack.user("bob")
        ts = await alice.says("#general", "x")
        await bob.reacts("#general", ts, "eyes")
        await bob.unreacts("#general", ts, "eyes")
        await slack.settled()
    for kind in ("reaction_added", "reaction_removed"):
        event = heard.only(kind)
        assert (event["user"], event["item_user"], event["item"]["ts"]) == (bob.id, alice.id, ts)


async def test_agent_events_report_tab_context_and_stop() -> None:
    async with hearing() as (slack, heard):
        alice = slack.user("alice")
        await alice.looks_at("#random")
        await alice.opens_home("messages")
        ts = await alice.says("@bot", "what is here?")
        await alice.stops(alice.dm(), ts)
        await slack.settled()
    random = slack.channel("#random").id
    entity = {
        "type": "slack#/types/channel_id",
        "value": random,
        "team_id": slack.workspace.team_id,
    }
    assert heard.only("app_context_changed")["context"] == {"entities": [entity]}
    opened = heard.only("app_home_opened")
    assert (opened["tab"], opened["context"]) == ("messages", {"entities": [entity]})
    assert heard.only("message")["app_context"] == {"entities": [entity]}
    stopped = heard.only("agent_session_stopped")
    assert (stopped["thread_ts"], stopped["streaming_message_ts"]) == (ts, [])


async def test_files_are_stubs_in_slack_connect_channels() -> None:
    async with hearing("message.channels") as (slack, heard):
        alice = slack.user("alice")
        await alice.says("#general", "one", files={"a.txt": b"a"})
        slack.channel("#general").is_ext_shared = True
        await alice.says("#general", "two", files={"b.txt": b"b"})
        await slack.settled()
    whole, stub = (event["files"][0] for event in heard.events)
    assert (whole["name"], whole["size"]) == ("a.txt", 1)
    assert set(stub) == {"id", "mode", "file_access"}
    assert stub["file_access"] == "check_file_info"


async def test_another_bots_message_carries_its_bot_id() -> None:
    async with hearing() as (slack, heard):
        other = slack.add_user("jenkins", is_bot=True)
        slack.channel("#general").members.append(other.id)
        await other.says("#general", "@bot build failed")
        await slack.settled()
    message = heard.only("message")
    assert message["bot_id"] not in (None, slack.bot.bot_id)
    assert "client_msg_id" not in message
    assert heard.only("app_mention")["bot_id"] == message["bot_id"]


async def test_typed_text_is_escaped_and_mentions_are_resolved() -> None:
    async with hearing() as (slack, heard):
        alice, bob = slack.user("alice"), slack.user("bob")
        await alice.says("#general", "<@bob> @bot: is 1 < 2 & mail@bob.org ok? <!here>")
        await slack.settled()
    event = heard.only("message")
    assert event["text"] == (
        f"<@{bob.id}> <@{slack.bot.id}>: is 1 &lt; 2 &amp; mail@bob.org ok? <!here>"
    )
    elements = event["blocks"][0]["elements"][0]["elements"]
    assert [element["type"] for element in elements] == [
        "user",
        "text",
        "user",
        "text",
        "broadcast",
    ]
