"""The agent's status line, prompts, title and sessions."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack, open_workspace
from local_slack.tests.bolt import make_client
from local_slack.tests.refusals import refused


@pytest.fixture
async def where(slack: LocalSlack) -> dict[str, Any]:
    ts = await slack.user("alice").says("#general", "@bot think")
    return {"channel_id": slack.channel("#general").id, "thread_ts": ts}


async def test_a_status_ends_when_the_app_posts(
    slack: LocalSlack, client: AsyncWebClient, where: dict[str, Any]
) -> None:
    ts = where["thread_ts"]
    await client.assistant_threads_setStatus(
        **where, status="is thinking...", loading_messages=["Reading", "Writing"]
    )
    shown = slack.agent_thread("#general", ts)
    assert (shown.status, shown.loading_messages) == ("is thinking...", ["Reading", "Writing"])
    await client.chat_postMessage(channel=where["channel_id"], text="elsewhere")
    assert slack.agent_thread("#general", ts).status == "is thinking..."
    await client.chat_postMessage(channel=where["channel_id"], thread_ts=ts, text="done")
    assert slack.agent_thread("#general", ts).status == ""


async def test_a_status_ends_after_two_minutes(
    slack: LocalSlack, client: AsyncWebClient, where: dict[str, Any]
) -> None:
    await client.assistant_threads_setStatus(**where, status="is thinking...")
    slack.clock.advance(119)
    assert slack.agent_thread("#general", where["thread_ts"]).status
    slack.clock.advance(2)
    assert not slack.agent_thread("#general", where["thread_ts"]).status


async def test_a_status_needs_an_existing_thread_and_short_loading_messages(
    client: AsyncWebClient, where: dict[str, Any]
) -> None:
    with refused("invalid_thread_ts"):
        await client.assistant_threads_setStatus(
            channel_id=where["channel_id"], thread_ts="1712345678.000100", status="x"
        )
    for loading in (["x"] * 11, ["x" * 51], [""]):
        with refused("invalid_arguments"):
            await client.assistant_threads_setStatus(**where, status="x", loading_messages=loading)


async def test_prompts_are_pinned_to_the_top_of_a_dm_or_to_a_thread(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    alice = slack.user("alice")
    prompts = [{"title": "Sum up", "message": "Sum up this channel"}]
    await client.assistant_threads_setSuggestedPrompts(
        channel_id=alice.dm(), prompts=prompts, title="Try"
    )
    top = slack.agent_thread(alice.dm(), "")
    assert (top.prompts, top.prompts_title) == (prompts, "Try")
    with refused("invalid_arguments"):
        await client.assistant_threads_setSuggestedPrompts(
            channel_id=alice.dm(), prompts=prompts * 5
        )


async def test_a_thread_has_a_title(slack: LocalSlack, client: AsyncWebClient) -> None:
    alice = slack.user("alice")
    ts = await alice.says("@bot", "plan my trip")
    await client.assistant_threads_setTitle(channel_id=alice.dm(), thread_ts=ts, title="Trip")
    assert slack.agent_thread(alice.dm(), ts).title == "Trip"


async def test_a_session_starts_with_its_first_status_and_is_renamed(
    slack: LocalSlack, client: AsyncWebClient, where: dict[str, Any]
) -> None:
    with refused("session_not_found"):
        await client.agents_sessions_rename(**where, title="Early")
    first = await client.agents_sessions_setStatus(**where, status="processing", title="Trip")
    assert (first["status"], first["title"]) == ("processing", "Trip")
    later = await client.agents_sessions_setStatus(**where, status="active", title="Ignored")
    assert (later["agent_status"], later["title"]) == ("active", "Trip")
    await client.agents_sessions_rename(**where, title="Journey")
    session = slack.agent_thread("#general", where["thread_ts"]).session
    assert session is not None
    assert session.title == "Journey"
    with refused("invalid_arguments"):
        await client.agents_sessions_setStatus(**where, status="asleep")
    with refused("thread_ts_required"):
        await client.agents_sessions_setStatus(channel_id=where["channel_id"], status="active")


async def test_processing_ends_after_an_hour_unless_it_is_set_again(
    slack: LocalSlack, client: AsyncWebClient, where: dict[str, Any]
) -> None:
    for seconds, status in ((3599, "processing"), (3599, "processing"), (2, "active")):
        if status == "processing":
            await client.agents_sessions_setStatus(**where, status="processing")
        slack.clock.advance(seconds)
        await client.auth_test()
        session = slack.agent_thread("#general", where["thread_ts"]).session
        assert session is not None
        assert session.status == status


async def test_the_root_of_a_thread_shows_its_session(
    slack: LocalSlack, client: AsyncWebClient, where: dict[str, Any]
) -> None:
    await client.agents_sessions_setStatus(**where, status="processing", title="Trip")
    found = await client.conversations_replies(channel=where["channel_id"], ts=where["thread_ts"])
    [shown] = [m["agent_session"] for m in found["messages"] if "agent_session" in m]
    assert (shown["title"], shown["status"]) == ("Trip", "processing")
    [own] = shown["agent_statuses"]
    assert own["agent_bot_user_id"] == slack.bot.id
    assert own["date_status_processing_expire"] > slack.clock.now()


async def test_a_session_without_the_stop_event_warns() -> None:
    async with open_workspace(events=["message.im"]) as slack:
        alice = slack.user("alice")
        ts = await alice.says("@bot", "hi")
        answer = await make_client(slack).agents_sessions_setStatus(
            channel_id=alice.dm(), thread_ts=ts, status="processing"
        )
        assert answer["warning"] == "missing_agent_session_stopped_event_subscription"


async def test_suggested_prompts_need_their_scope() -> None:
    async with open_workspace(scopes=["chat:write"]) as slack:
        alice: Any = slack.user("alice")
        with pytest.raises(SlackApiError) as caught:
            await make_client(slack).assistant_threads_setSuggestedPrompts(
                channel_id=alice.dm(), prompts=[{"title": "a", "message": "b"}]
            )
        assert caught.value.response["needed"] == "assistant:write"


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        ("assistant.threads.setStatus", {}, "invalid_arguments"),
        ("assistant.threads.setSuggestedPrompts", {}, "invalid_arguments"),
        ("assistant.threads.setSuggestedPrompts", {"prompts": [{}]}, "invalid_arguments"),
        (
            "agents.sessions.setStatus",
            {"status": "active", "title": "x" * 201},
            "invalid_arguments",
        ),
        (
            "agents.sessions.setStatus",
            {"status": "active", "initiator_user_id": "U404"},
            "user_not_found",
        ),
        ("agents.sessions.rename", {"title": ""}, "invalid_arguments"),
        ("agents.sessions.rename", {"title": "x", "thread_ts": ""}, "thread_ts_required"),
    ],
)
async def test_invalid_agent_calls_are_refused(
    client: AsyncWebClient,
    where: dict[str, Any],
    method: str,
    arguments: dict[str, Any],
    error: str,
) -> None:
    with refused(error):
        await client.api_call(method, json=where | arguments)


async def test_a_session_belongs_to_a_channel_of_the_bot(
    slack: LocalSlack, client: AsyncWebClient
) -> None:
    elsewhere = slack.add_channel("elsewhere", ["alice"], bot=False)
    ts = await slack.user("alice").says("#elsewhere", "hi")
    with refused("not_authorized"):
        await client.agents_sessions_setStatus(
            channel_id=elsewhere.id, thread_ts=ts, status="active"
        )


async def test_status_words_and_the_session_share_one_place(
    slack: LocalSlack, client: AsyncWebClient, where: dict[str, Any]
) -> None:
    def shown() -> tuple[str, str, str]:
        agent = slack.agent_thread("#general", where["thread_ts"])
        assert agent.session
        return agent.status, agent.session.status, agent.session.title

    await client.assistant_threads_setStatus(**where, status="is thinking...")
    assert shown() == ("is thinking...", "processing", "")
    await client.assistant_threads_setTitle(**where, title="Tea")
    await client.agents_sessions_setStatus(**where, status="processing")
    assert shown() == ("", "processing", "Tea")
    await client.assistant_threads_setStatus(**where, status="is writing...")
    assert shown() == ("is writing...", "processing", "Tea")
    await client.assistant_threads_setStatus(**where, status="")
    assert shown() == ("", "active", "Tea")
