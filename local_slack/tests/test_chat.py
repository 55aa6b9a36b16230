"""chat.*: what Slack accepts, truncates and refuses."""

from typing import Any

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, open_workspace
from local_slack.tests.bolt import make_client
from local_slack.tests.refusals import refused


def section(text: str = "x") -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


async def test_a_post_is_stored_and_shown_as_the_bots(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    answer = await client.chat_postMessage(channel=general, text="hello")

    [message] = slack.messages("#general")
    assert (message.ts, message.text, message.user_id) == (answer["ts"], "hello", slack.bot.id)
    assert answer["message"]["bot_id"] == slack.bot.bot_id
    assert answer["message"]["app_id"] == slack.workspace.app_id


async def test_a_reply_joins_its_thread_and_counts(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    ts = await slack.user("alice").says("#general", "a question")
    general = slack.channel("#general").id
    reply = await client.chat_postMessage(channel=general, text="an answer", thread_ts=ts)

    assert [message.text for message in slack.thread("#general", ts)] == [
        "a question",
        "an answer",
    ]
    thread = await client.conversations_replies(channel=general, ts=ts)
    root, shown = thread["messages"]
    assert root["reply_count"] == 1
    assert root["latest_reply"] == reply["ts"]
    assert shown["parent_user_id"] == slack.user("alice").id


async def test_timestamps_are_unique_and_increase(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    posts = [await client.chat_postMessage(channel=general, text=str(n)) for n in range(5)]
    stamps = [post["ts"] for post in posts]
    assert stamps == sorted(set(stamps), key=float)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": ""}, "no_text"),
        ({"text": "x", "markdown_text": "y"}, "markdown_text_conflict"),
        ({"blocks": [section()], "markdown_text": "y"}, "markdown_text_conflict"),
        ({"markdown_text": "x" * 12_001}, "msg_too_long"),
        ({"text": "x", "blocks": [section()] * 51}, "invalid_blocks"),
        ({"text": "x", "blocks": [{"type": "markdown", "text": "x" * 6_001}] * 2}, None),
        ({"text": "x", "thread_ts": "1712345678.000100"}, "thread_not_found"),
        ({"text": "x", "blocks": "[{"}, "invalid_blocks_format"),
        ({"text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        (
            {"text": "x", "metadata": {"event_type": "a", "event_payload": {"b": {"c": {}}}}},
            "invalid_metadata_schema",
        ),
        (
            {"text": "x", "metadata": {"event_type": "a", "event_payload": {"b": "c" * 9_000}}},
            "metadata_too_large",
        ),
        ({"text": "x", "attachments": [{"text": "y"}] * 101}, "too_many_attachments"),
    ],
)
async def test_a_post_that_slack_would_refuse_is_refused(
    slack: LocalSlack, client: AsyncWebClient, arguments: dict[str, Any], error: str | None
) -> None:
    with refused(error or "msg_blocks_too_long"):
        # Not by chat_postMessage, which warns of a missing text itself.
        general = slack.channel("#general").id
        await client.api_call("chat.postMessage", json={"channel": general, **arguments})
    assert slack.messages("#general") == []


async def test_a_text_beyond_forty_thousand_is_truncated_with_a_warning(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    answer = await client.chat_postMessage(channel=general, text="x" * 40_001)
    assert len(slack.messages("#general")[0].text) == 40_000
    assert answer["response_metadata"]["warnings"] == ["message_truncated"]


async def test_the_bot_posts_only_where_it_is(slack: LocalSlack, client: AsyncWebClient) -> None:
    public = slack.add_channel("elsewhere", ["alice"], bot=False)
    secret = slack.add_channel("secret", ["alice"], private=True, bot=False)
    with refused("not_in_channel"):
        await client.chat_postMessage(channel=public.id, text="x")
    with refused("channel_not_found"):
        await client.chat_postMessage(channel=secret.id, text="x")
    with refused("channel_not_found"):
        await client.chat_postMessage(channel="C404", text="x")
    slack.channel("#general").archived = True
    with refused("is_archived"):
        await client.chat_postMessage(channel=slack.channel("#general").id, text="x")


async def test_the_scope_chat_write_public_opens_public_channels() -> None:
    async with open_workspace(scopes=["chat:write", "chat:write.public"]) as slack:
        channel = slack.add_channel("elsewhere", ["alice"], bot=False)
        await make_client(slack).chat_postMessage(channel=channel.id, text="x")
        assert [message.text for message in slack.messages("#elsewhere")] == ["x"]


async def test_a_user_id_means_the_dm(slack: LocalSlack, client: AsyncWebClient) -> None:
    alice = slack.user("alice")
    answer = await client.chat_postMessage(channel=alice.id, text="psst")
    assert answer["channel"] == alice.dm()


async def test_a_reply_to_a_reply_is_refused(slack: LocalSlack, client: AsyncWebClient) -> None:
    alice = slack.user("alice")
    root = await alice.says("#general", "root")
    reply = await alice.says("#general", "reply", thread_ts=root)
    with refused("cannot_reply_to_message"):
        await client.chat_postMessage(
            channel=slack.channel("#general").id, text="x", thread_ts=reply
        )


async def test_an_update_replaces_text_and_drops_blocks(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    metadata = {"event_type": "part", "event_payload": {"number": 1}}
    ts = (
        await client.chat_postMessage(
            channel=general, text="old", blocks=[section()], metadata=metadata
        )
    )["ts"]

    await client.chat_update(channel=general, ts=ts, text="new")
    [message] = slack.messages("#general")
    assert (message.text, message.blocks) == ("new", [])
    assert message.metadata == metadata
    assert message.edited is not None

    await client.chat_update(channel=general, ts=ts, text="newer", metadata={})
    assert slack.messages("#general")[0].metadata is None


async def test_an_update_with_blocks_shows_no_edited_mark(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    ts = (await client.chat_postMessage(channel=general, text="old"))["ts"]
    await client.chat_update(channel=general, ts=ts, text="new", blocks=[section("new")])
    assert slack.messages("#general")[0].edited is None


async def test_an_update_beyond_the_limit_or_of_anothers_message_is_refused(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    own = (await client.chat_postMessage(channel=general, text="x"))["ts"]
    hers = await slack.user("alice").says("#general", "mine")
    with refused("msg_too_long"):
        await client.chat_update(channel=general, ts=own, text="x" * 4_001)
    with refused("cant_update_message"):
        await client.chat_update(channel=general, ts=hers, text="x")
    with refused("message_not_found"):
        await client.chat_update(channel=general, ts="1712345678.000100", text="x")
    with refused("cant_delete_message"):
        await client.chat_delete(channel=general, ts=hers)


async def test_deleting_the_root_of_a_thread_leaves_a_tombstone_while_it_has_replies(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    root = (await client.chat_postMessage(channel=general, text="root"))["ts"]
    reply = (await client.chat_postMessage(channel=general, text="r", thread_ts=root))["ts"]
    await client.chat_delete(channel=general, ts=root)
    assert [message.subtype for message in slack.thread("#general", root)] == ["tombstone", None]
    with refused("message_not_found"):
        await client.chat_update(channel=general, ts=root, text="x")

    await client.chat_delete(channel=general, ts=reply)
    assert slack.messages("#general") == []


async def test_an_ephemeral_message_is_seen_by_its_person_only(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    alice, bob = slack.user("alice"), slack.user("bob")
    await client.chat_postEphemeral(channel=general, user=alice.id, text="for you")
    assert [message.text for message in alice.ephemerals("#general")] == ["for you"]
    assert bob.ephemerals() == []
    assert slack.messages("#general") == []
    outsider = slack.add_user("mallory")
    with refused("user_not_in_channel"):
        await client.chat_postEphemeral(channel=general, user=outsider.id, text="x")


async def test_a_permalink_names_message_and_thread(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    alice = slack.user("alice")
    root = await alice.says("#general", "root")
    reply = await alice.says("#general", "reply", thread_ts=root)
    general = slack.channel("#general").id
    answer = await client.chat_getPermalink(channel=general, message_ts=reply)
    number = reply.replace(".", "")
    assert answer["permalink"] == (
        f"https://local-slack.slack.com/archives/{general}/p{number}?thread_ts={root}&cid={general}"
    )


async def test_the_people_whom_a_message_notifies_are_known(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general, alice, bob = slack.channel("#general").id, slack.user("alice"), slack.user("bob")
    rich = {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "user", "user_id": bob.id},
                    {"type": "broadcast", "range": "here"},
                ],
            }
        ],
    }
    await client.chat_postMessage(channel=general, text=f"<@{alice.id}> &lt;!channel&gt;")
    await client.chat_postMessage(channel=general, text="x", blocks=[rich])
    await client.chat_postMessage(channel=general, markdown_text="<!everyone> <!subteam^S1>")
    assert [slack.pings(message) for message in slack.messages("#general")] == [
        {alice.id},
        {bob.id, "here"},
        {"everyone", "subteam^S1"},
    ]


async def test_markdown_text_becomes_a_markdown_block(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    await client.chat_postMessage(channel=general, markdown_text="# Title")
    [message] = slack.messages("#general")
    assert [(b["type"], b["text"]) for b in message.blocks] == [("markdown", "# Title")]
