"""A restored workspace continues where it stopped."""

import json
from pathlib import Path

import pytest

from local_slack import LocalSlack, open_workspace
from local_slack.__main__ import settings
from local_slack.tests.bolt import make_client


async def fill(slack: LocalSlack) -> str:
    """Create one object of every kind; returns the `ts` of the thread in #general."""
    client, alice = make_client(slack), slack.user("alice")
    general = slack.channel("#general").id
    ts = await alice.says("#general", "@bot look", files={"a.bin": b"\x00\xff"})
    await alice.reacts("#general", ts, "eyes")
    await client.chat_postMessage(
        channel=general,
        thread_ts=ts,
        text="seen",
        metadata={"event_type": "part", "event_payload": {"n": 1}},
    )
    await client.chat_postEphemeral(channel=general, user=alice.id, text="psst")
    stream = await client.chat_startStream(
        channel=general,
        thread_ts=ts,
        recipient_user_id=alice.id,
        recipient_team_id=slack.workspace.team_id,
    )
    await client.chat_appendStream(channel=general, ts=stream["ts"], markdown_text="half an")
    await client.agents_sessions_setStatus(channel_id=general, thread_ts=ts, status="processing")
    await client.views_publish(
        user_id=alice.id, view={"type": "home", "blocks": [{"type": "divider"}]}
    )
    alice.dm("bob")
    return ts


async def test_a_restored_workspace_is_the_same_and_continues() -> None:
    async with open_workspace() as slack:
        ts = await fill(slack)
        state = json.loads(json.dumps(slack.snapshot()))

    async with open_workspace(state=state) as slack:
        again = slack.snapshot()
        again["last_id"] = state["last_id"]
        assert again == state
        client, general = make_client(slack), slack.channel("#general").id
        stream = slack.replies("#general", ts)[-1]
        await client.chat_appendStream(channel=general, ts=stream.ts, markdown_text=" answer")
        assert slack.replies("#general", ts)[-1].text == "half an answer"
        later = await slack.user("alice").says("#general", "more", thread_ts=ts)
        assert float(later) > float(stream.ts)
        assert len({message.ts for message in slack.messages("#general")}) == 4
        [file] = slack.workspace.files.values()
        assert file.content == b"\x00\xff"


async def test_a_snapshot_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="version"):
        async with open_workspace(state={"version": 0}):
            pass


async def test_the_printed_settings_are_all_that_an_app_needs(
    slack: LocalSlack, tmp_path: Path
) -> None:
    printed = settings(slack)
    assert printed["SLACK_API_URL"] == slack.api_url
    assert printed["SLACK_APP_TOKEN"] == slack.app_token
    slack.events_url = "http://127.0.0.1:1/slack/events"
    assert settings(slack)["SLACK_APP_TOKEN"] == ""
