"""Streamed messages: the SDK's helper, the limits, the three ways to end."""

from typing import Any

import pytest
from slack_sdk.models.messages.chunk import MarkdownTextChunk, TaskUpdateChunk
from slack_sdk.web.async_client import AsyncWebClient

from local_slack import LocalSlack
from local_slack.tests.refusals import refused


class Thread:
    """The arguments of a stream below alice's question in #general."""

    def __init__(self, slack: LocalSlack, ts: str) -> None:
        self.slack = slack
        self.ts = ts
        self.arguments: dict[str, Any] = {
            "channel": slack.channel("#general").id,
            "thread_ts": ts,
            "recipient_user_id": slack.user("alice").id,
            "recipient_team_id": slack.workspace.team_id,
        }

    async def start(self, client: AsyncWebClient) -> dict[str, Any]:
        answer = await client.chat_startStream(**self.arguments)
        return {"channel": answer["channel"], "ts": answer["ts"]}


@pytest.fixture
async def thread(slack: LocalSlack) -> Thread:
    return Thread(slack, await slack.user("alice").says("#general", "@bot tell me"))


async def test_the_sdks_helper_streams_a_whole_answer(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    stream = await client.chat_stream(buffer_size=4, **thread.arguments)
    for piece in ("# A title\n", "and ", "text"):
        await stream.append(markdown_text=piece)
    answer = await stream.stop(
        metadata={"event_type": "answer", "event_payload": {"turn": "1"}},
        session_status="active",
    )

    [message] = slack.replies("#general", thread.ts)
    assert message.text == "# A title\nand text"
    assert message.metadata == {"event_type": "answer", "event_payload": {"turn": "1"}}
    assert message.stream is not None
    assert message.stream.state == "stopped"
    assert answer["message"]["ts"] == message.ts == stream.ts
    session = slack.agent_thread("#general", thread.ts).session
    assert session is not None
    assert session.status == "active"


async def test_a_stream_holds_twelve_thousand_characters(
    client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    await client.chat_appendStream(**stream, markdown_text="x" * 7_000)
    with refused("msg_too_long"):
        await client.chat_appendStream(**stream, chunks=[MarkdownTextChunk(text="x" * 5_001)])
    await client.chat_appendStream(**stream, markdown_text="x" * 5_000)
    with refused("msg_too_long"):
        await client.chat_stopStream(**stream, markdown_text="x")
    await client.chat_stopStream(**stream)


async def test_a_stream_ends_after_five_minutes_despite_appends(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    slack.clock.advance(200)
    await client.chat_appendStream(**stream, markdown_text="still here")
    with refused("streaming_state_conflict"):
        await client.chat_update(**stream, text="too early")
    slack.clock.advance(101)
    with refused("message_not_in_streaming_state"):
        await client.chat_appendStream(**stream, markdown_text="gone")
    with refused("message_not_in_streaming_state"):
        await client.chat_stopStream(**stream)
    await client.chat_update(**stream, text="recovered")
    assert [message.text for message in slack.replies("#general", thread.ts)] == ["recovered"]


async def test_stop_pressed_by_a_person_ends_the_stream(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    await client.chat_appendStream(**stream, markdown_text="I was about to")
    closed = await slack.user("alice").stops("#general", thread.ts)
    assert closed == [stream["ts"]]
    with refused("stopped_by_user"):
        await client.chat_appendStream(**stream, markdown_text="say")
    with refused("message_not_in_streaming_state"):
        await client.chat_stopStream(**stream)


async def test_a_stream_needs_its_recipient(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    for name in ("recipient_user_id", "recipient_team_id"):
        arguments = {key: value for key, value in thread.arguments.items() if key != name}
        with refused(f"missing_{name}"):
            await client.chat_startStream(**arguments)
    with refused("user_not_found"):
        await client.chat_startStream(**thread.arguments | {"recipient_user_id": "U404"})
    assert slack.replies("#general", thread.ts) == []


async def test_group_dms_do_not_support_streams(slack: LocalSlack, client: AsyncWebClient) -> None:
    alice = slack.user("alice")
    group = alice.dm("bob")
    ts = await alice.says(group, "hi all")
    with refused("channel_type_not_supported"):
        await client.chat_startStream(
            channel=group,
            thread_ts=ts,
            recipient_user_id=alice.id,
            recipient_team_id=slack.workspace.team_id,
        )


async def test_only_a_streamed_message_of_the_app_can_be_appended_to(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    general = slack.channel("#general").id
    plain = (await client.chat_postMessage(channel=general, text="plain"))["ts"]
    with refused("message_not_in_streaming_state"):
        await client.chat_appendStream(channel=general, ts=plain, markdown_text="x")
    with refused("message_not_owned_by_app"):
        await client.chat_appendStream(channel=general, ts=thread.ts, markdown_text="x")
    with refused("message_not_found"):
        await client.chat_appendStream(channel=general, ts="1712345678.000100", markdown_text="x")
    stream = await thread.start(client)
    with refused("no_text"):
        await client.chat_appendStream(**stream)
    with refused("invalid_chunks"):
        await client.chat_appendStream(**stream, chunks=[{"type": "song"}])


async def test_task_updates_replace_their_status_and_append_their_output(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    for status, output in (("in_progress", "one"), ("complete", ", two")):
        chunk = TaskUpdateChunk(id="t1", title="Search", status=status, output=output)
        await client.chat_appendStream(**stream, chunks=[chunk])
    await client.chat_stopStream(
        **stream, blocks=[{"type": "context", "elements": [{"type": "mrkdwn", "text": "end"}]}]
    )
    [message] = slack.replies("#general", thread.ts)
    card, context = message.blocks
    assert (card["status"], card["output"]) == ("complete", "one, two")
    assert context["type"] == "context"


async def test_cards_keep_their_position_between_texts(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    search = TaskUpdateChunk(id="t1", title="Search", status="in_progress")
    await client.chat_appendStream(**stream, chunks=[search, MarkdownTextChunk(text="one")])
    await client.chat_appendStream(**stream, markdown_text=" and")
    code = TaskUpdateChunk(id="t2", title="Code", status="complete")
    done = TaskUpdateChunk(id="t1", title="Search", status="complete")
    await client.chat_appendStream(**stream, chunks=[done, code, MarkdownTextChunk(text=" two")])
    [message] = slack.replies("#general", thread.ts)
    shown = [block.get("title") or block["text"] for block in message.blocks]
    assert shown == ["Search", "one and", "Code", " two"]
    assert message.text == "one and two"


async def test_a_stream_holds_fifty_blocks_in_chunks_and_fifty_at_its_end(
    client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    divider = {"type": "divider"}
    await client.chat_appendStream(**stream, chunks=[{"type": "blocks", "blocks": [divider] * 50}])
    with refused("msg_blocks_too_many"):
        await client.chat_appendStream(**stream, chunks=[{"type": "blocks", "blocks": [divider]}])
    with refused("msg_blocks_too_many"):
        await client.chat_stopStream(**stream, blocks=[divider] * 51)
    await client.chat_stopStream(**stream, blocks=[divider] * 50)


async def test_a_stream_can_start_with_or_without_a_first_chunk(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    for refusal, arguments in (
        ("msg_too_long", {"markdown_text": "x" * 12_001}),
        ("invalid_chunks", {"chunks": [{"type": "markdown_text"}]}),
        ("invalid_arguments", {"task_display_mode": "sideways"}),
    ):
        with refused(refusal):
            await client.chat_startStream(**thread.arguments | arguments)
    assert slack.replies("#general", thread.ts) == []
    await client.chat_startStream(**thread.arguments, markdown_text="Well")
    assert [message.text for message in slack.replies("#general", thread.ts)] == ["Well"]


async def test_a_stream_begins_the_session_of_its_thread_and_ends_it(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    stream = await thread.start(client)
    session = slack.agent_thread("#general", thread.ts).session
    assert session is not None
    assert (session.status, session.initiator_user_id) == ("processing", slack.user("alice").id)
    await client.chat_stopStream(**stream)
    assert session.status == "active"
    await client.chat_stopStream(**await thread.start(client), session_status="suspended")
    assert session.status == "suspended"


async def test_a_stream_that_ends_by_itself_ends_the_session(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    await thread.start(client)
    slack.clock.advance(301)
    await client.auth_test()
    session = slack.agent_thread("#general", thread.ts).session
    assert session is not None
    assert session.status == "active"


async def test_a_person_who_stops_a_stream_leaves_the_session_processing(
    slack: LocalSlack, client: AsyncWebClient, thread: Thread
) -> None:
    await thread.start(client)
    await slack.user("alice").stops("#general", thread.ts)
    session = slack.agent_thread("#general", thread.ts).session
    assert session is not None
    assert session.status == "processing"
