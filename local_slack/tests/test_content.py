"""Messages other than typed text, and people of other workspaces, as apps receive them."""

import time

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, SlackError, open_workspace
from local_slack.tests.test_events import hearing
from local_slack.workspace.rich_text import rich_text_block
from local_slack.workspace.snapshot import restore


async def test_a_forwarded_message_comes_as_a_share_of_the_original() -> None:
    async with hearing() as (slack, heard):
        bob, alice = slack.user("bob"), slack.user("alice")
        original = await bob.says("#random", "The certificate expires on *Friday*.")
        ts = await alice.forwards("#random", original, "@bot")
        await slack.settled()
    [event] = [event for event in heard.events if event["ts"] == ts]
    assert (event["text"], event.get("blocks")) == ("", None)
    [shared] = event["attachments"]
    assert (shared["is_share"], shared["is_msg_unfurl"]) == (True, True)
    assert (shared["author_name"], shared["author_id"]) == ("bob", bob.id)
    assert shared["text"] == "The certificate expires on *Friday*."
    assert shared["from_url"].endswith(f"p{original.replace('.', '')}")
    assert shared["message_blocks"][0]["message"]["blocks"][0]["type"] == "rich_text"


async def test_a_forward_carries_what_was_typed_above_it(slack: LocalSlack) -> None:
    alice = slack.user("alice")
    original = await alice.says("#random", "first")
    ts = await alice.forwards("#random", original, "#general", "@bot what is this?")
    [message] = slack.messages("#general")
    assert (message.ts, message.text) == (ts, f"<@{slack.bot.id}> what is this?")
    with pytest.raises(SlackError, match="message_not_found"):
        await alice.forwards("#random", "1.000001", "#general")
    slack.workspace.channels[slack.channel("#random").id].members.remove(alice.id)
    with pytest.raises(SlackError, match="not_in_channel"):
        await alice.forwards("#random", original, "#general")


async def test_a_pasted_table_comes_as_an_attachment_without_a_fallback() -> None:
    async with hearing("message.im") as (slack, heard):
        rows = [["Region", "Orders"], ["North", "4711"]]
        await slack.user("alice").says("@bot", "which is it?", table=rows)
        await slack.settled()
    [attachment] = heard.only("message")["attachments"]
    assert attachment["fallback"] == "[no preview available]"
    [block] = attachment["blocks"]
    cells = [[c["elements"][0]["elements"][0]["text"] for c in row] for row in block["rows"]]
    assert cells == rows


async def test_a_link_beside_a_table_keeps_the_table(slack: LocalSlack) -> None:
    await slack.user("alice").says("#general", "see https://example.com", table=[["a"]])
    [message] = slack.messages("#general")
    assert [item.get("from_url") for item in message.attachments] == [None, "https://example.com"]
    assert [item["id"] for item in message.attachments] == [1, 2]


async def test_another_app_posts_exactly_what_it_sends() -> None:
    async with hearing("message.channels") as (slack, heard):
        monitor = slack.add_user("monitor", is_bot=True)
        slack.workspace.join(slack.channel("#general"), monitor.id)
        section = {"type": "section", "text": {"type": "mrkdwn", "text": "*Disk full* on db-7"}}
        ts = await monitor.posts("#general", attachments=[{"blocks": [section]}])
        await slack.settled()
    event = next(event for event in heard.events if event["ts"] == ts)
    assert event["attachments"][0]["blocks"] == [section]
    assert event["bot_id"] == monitor.user.bot_id


async def test_a_message_of_an_app_in_a_persons_name_has_both_ids(slack: LocalSlack) -> None:
    alice = slack.user("alice")
    ts = await alice.posts("#general", "sent for me", bot_id="B1", app_id="A1")
    message = slack.workspace.get_message(slack.channel("#general").id, ts)
    assert (message.user_id, message.bot_id, message.app_id) == (alice.id, "B1", "A1")


async def test_me_messages_and_slackbot_reach_a_dm() -> None:
    async with hearing("message.im") as (slack, heard):
        await slack.user("alice").posts("@bot", "wonders what time it is", subtype="me_message")
        await slack.slackbot().posts("@bot", "You have been removed from #secret")
        await slack.settled()
    assert [(e.get("subtype"), e["user"]) for e in heard.events] == [
        ("me_message", slack.user("alice").id),
        (None, "USLACKBOT"),
    ]


@pytest.mark.parametrize("reverse", [False, True])
async def test_duplicate_mentions_come_in_either_order_with_a_gap(reverse: bool) -> None:
    async with hearing() as (slack, heard):
        slack.faults.reverse_twins = reverse
        slack.faults.twin_gap = 0.2
        began = time.monotonic()
        await slack.user("alice").says("#general", "@bot hello")
        await slack.settled()
        assert time.monotonic() - began >= 0.2
        order = heard.types
    assert order == (["app_mention", "message"] if reverse else ["message", "app_mention"])


async def test_a_mention_may_lack_the_files_of_its_twin() -> None:
    async with hearing() as (slack, heard):
        slack.faults.mentions_without_files = True
        await slack.user("alice").says("#general", "@bot read", files={"notes.txt": b"hello"})
        await slack.settled()
    assert "files" not in heard.only("app_mention")
    assert heard.only("message", "file_share")["files"][0]["name"] == "notes.txt"
    slack.faults.clear()
    assert not slack.faults.mentions_without_files


async def test_a_stream_ends_by_itself_after_five_minutes(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    alice = slack.user("alice")
    root = await alice.says("#general", "hi")
    posted = await client.chat_startStream(
        channel=slack.channel("#general").id,
        thread_ts=root,
        recipient_user_id=alice.id,
        recipient_team_id=slack.workspace.team_id,
        markdown_text="half of",
    )
    message = slack.workspace.get_message(slack.channel("#general").id, posted["ts"])
    assert message.stream is not None
    slack.clock.advance(301)
    await slack.wait_for(lambda: message.stream and message.stream.state == "expired")


async def test_a_member_of_an_enterprise_workspace_is_reported_with_their_teams() -> None:
    async with open_workspace(enterprise_id="E1") as slack:
        client = AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)
        teams = ["T2", slack.workspace.team_id]
        eva = slack.add_user("eva", team_id="T2", enterprise_id="E1", enterprise_teams=teams)
        user = (await client.users_info(user=eva.id))["user"]
        assert (user["team_id"], user["enterprise_user"]["enterprise_id"]) == ("T2", "E1")
        assert user["enterprise_user"]["teams"] == teams
        assert (await client.auth_test())["enterprise_id"] == "E1"
        restored = restore(slack.snapshot())
    assert restored.enterprise_id == "E1"
    assert restored.users[eva.id].enterprise_teams == teams


async def test_events_name_the_enterprise_of_the_workspace() -> None:
    async with hearing() as (slack, heard):
        slack.workspace.enterprise_id = "E1"
        await slack.user("alice").says("@bot", "hi")
        await slack.settled()
    [body] = heard.bodies
    assert (body["enterprise_id"], body["context_enterprise_id"]) == ("E1", "E1")
    assert body["authorizations"][0]["enterprise_id"] == "E1"


async def test_slack_does_not_always_report_is_stranger(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    known = slack.add_user("olaf", team_id="T0ELSEWHERE")
    silent = slack.add_user("sven", team_id="T0ELSEWHERE", is_stranger=False)
    assert (await client.users_info(user=known.id))["user"]["is_stranger"] is True
    assert "is_stranger" not in (await client.users_info(user=silent.id))["user"]


def test_code_in_typed_text_is_code_in_its_block() -> None:
    block = rich_text_block("Look:\n```\nreturn `x`\n```\nand `a &lt; b` <@U1>", "b")
    assert block["elements"] == [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": "Look:"}]},
        {
            "type": "rich_text_preformatted",
            "elements": [{"type": "text", "text": "return `x`"}],
        },
        {
            "type": "rich_text_section",
            "elements": [
                {"type": "text", "text": "and "},
                {"type": "text", "text": "a < b", "style": {"code": True}},
                {"type": "text", "text": " "},
                {"type": "user", "user_id": "U1"},
            ],
        },
    ]


@pytest.mark.parametrize("text", ["", "``````", "a ``b`` c", "no `end", "```\nno end", "`a\nb`"])
def test_backticks_that_are_no_code_are_text(text: str) -> None:
    [section] = rich_text_block(text, "b")["elements"]
    assert section["type"] == "rich_text_section"
    assert "".join(element["text"] for element in section["elements"]) == text
    assert "style" not in str(section)
