"""Channels, users and reactions as the bot reads them."""

from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack
from local_slack.tests.refusals import refused


async def test_replies_show_metadata_only_when_asked_and_a_window_with_its_root(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    root = await slack.user("alice").says("#general", "root")
    posts = [
        (
            await client.chat_postMessage(
                channel=general,
                thread_ts=root,
                text=str(number),
                metadata={"event_type": "part", "event_payload": {"key": number}},
            )
        )["ts"]
        for number in range(3)
    ]
    plain = await client.conversations_replies(channel=general, ts=root)
    assert [message["text"] for message in plain["messages"]] == ["root", "0", "1", "2"]
    assert not any("metadata" in message for message in plain["messages"])

    found = await client.conversations_replies(
        channel=general, ts=root, oldest=posts[1], inclusive=True, include_all_metadata=True
    )
    keys = [m["metadata"]["event_payload"]["key"] for m in found["messages"] if "metadata" in m]
    assert keys == [1, 2]
    exclusive = await client.conversations_replies(channel=general, ts=root, oldest=posts[1])
    assert [message["text"] for message in exclusive["messages"]] == ["root", "2"]


async def test_history_shows_the_newest_first_in_pages_without_replies(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    alice, general = slack.user("alice"), slack.channel("#general").id
    roots = [await alice.says("#general", str(number)) for number in range(5)]
    await alice.says("#general", "in the thread", thread_ts=roots[0])
    await alice.says("#general", "for all", thread_ts=roots[0], broadcast=True)

    texts: list[str] = []
    cursor = ""
    while True:
        page = await client.conversations_history(channel=general, limit=2, cursor=cursor)
        texts += [message["text"] for message in page["messages"]]
        cursor = page["response_metadata"]["next_cursor"]
        assert page["has_more"] == bool(cursor)
        if not cursor:
            break
    assert texts == ["for all", "4", "3", "2", "1", "0"]
    with refused("invalid_cursor"):
        await client.conversations_history(channel=general, cursor="nonsense")
    with refused("invalid_ts_oldest"):
        await client.conversations_history(channel=general, oldest="yesterday")


async def test_unknown_channels_and_messages_are_refused(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    with refused("thread_not_found"):
        await client.conversations_replies(channel=general, ts="1712345678.000100")
    with refused("channel_not_found"):
        await client.conversations_info(channel="C404")
    elsewhere = slack.add_channel("elsewhere", ["alice"], bot=False)
    with refused("not_in_channel"):
        await client.conversations_history(channel=elsewhere.id)
    with refused("user_not_found"):
        await client.users_info(user="U404")
    with refused("bot_not_found"):
        await client.bots_info(bot="B404")
    with refused("invalid_types"):
        await client.conversations_list(types="secret_channel")


async def test_lists_show_only_what_the_bot_may_see(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    slack.add_channel("elsewhere", ["alice"], bot=False)
    slack.add_channel("hidden", ["alice"], private=True, bot=False)
    slack.add_channel("shared", ["alice"], private=True)
    slack.user("alice").dm()

    async def names(types: str) -> list[str]:
        answer = await client.conversations_list(types=types)
        return [channel.get("name", "dm") for channel in answer["channels"]]

    assert await names("public_channel") == ["general", "random", "elsewhere"]
    assert await names("private_channel,im") == ["shared", "dm"]
    own = await client.users_conversations(types="public_channel")
    assert [channel["name"] for channel in own["channels"]] == ["general", "random"]


async def test_the_bot_joins_a_public_channel(slack: LocalSlack, client: AsyncWebClient) -> None:
    elsewhere = slack.add_channel("elsewhere", ["alice"], bot=False)
    answer = await client.conversations_join(channel=elsewhere.id)
    assert answer["channel"]["is_member"] is True
    assert [message.subtype for message in slack.messages("#elsewhere")] == ["channel_join"]
    again = await client.conversations_join(channel=elsewhere.id)
    assert again["warning"] == "already_in_channel"
    members = await client.conversations_members(channel=elsewhere.id)
    assert members["members"] == [slack.user("alice").id, slack.bot.id]


async def test_conversations_open_finds_the_same_dm_again(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    alice, bob = slack.user("alice"), slack.user("bob")
    first = await client.conversations_open(users=alice.id)
    again = await client.conversations_open(users=[alice.id], return_im=True)
    assert again["already_open"] is True
    assert again["channel"]["id"] == first["channel"]["id"] == alice.dm()
    group = await client.conversations_open(users=[alice.id, bob.id])
    assert slack.channel(group["channel"]["id"]).type == "mpim"
    with refused("users_list_not_supplied"):
        await client.api_call("conversations.open")


async def test_users_and_bots_are_described(slack: LocalSlack, client: AsyncWebClient) -> None:
    guest = slack.add_user("gina", is_guest=True, tz="Asia/Tokyo")
    user = (await client.users_info(user=guest.id))["user"]
    assert (user["is_restricted"], user["tz"]) == (True, "Asia/Tokyo")
    stranger = slack.add_user("sam", team_id="T0ELSEWHERE")
    assert (await client.users_info(user=stranger.id))["user"]["is_stranger"] is True
    bot = (await client.bots_info(bot=slack.bot.bot_id))["bot"]
    assert bot["user_id"] == slack.bot.id
    everybody = (await client.users_list())["members"]
    assert {"alice", "bob", "carol", "gina", "sam"} < {member["name"] for member in everybody}
    assert (await client.team_info())["team"]["id"] == slack.workspace.team_id


async def test_a_reaction_is_added_once_and_removed(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    general = slack.channel("#general").id
    ts = await slack.user("alice").says("#general", "look")
    await client.reactions_add(channel=general, timestamp=ts, name="eyes")
    with refused("already_reacted"):
        await client.reactions_add(channel=general, timestamp=ts, name="eyes")
    shown = await client.reactions_get(channel=general, timestamp=ts)
    assert shown["message"]["reactions"] == [{"name": "eyes", "users": [slack.bot.id], "count": 1}]
    await client.reactions_remove(channel=general, timestamp=ts, name="eyes")
    with refused("no_reaction"):
        await client.reactions_remove(channel=general, timestamp=ts, name="eyes")
    with refused("invalid_name"):
        await client.reactions_add(channel=general, timestamp=ts, name="not a name!")
    with refused("bad_timestamp"):
        await client.reactions_add(channel=general, timestamp="now", name="eyes")
    with refused("message_not_found"):
        await client.reactions_add(channel=general, timestamp="1712345678.000100", name="eyes")
