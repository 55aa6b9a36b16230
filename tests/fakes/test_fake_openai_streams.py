"""Streams of the fake: events of responses with resumption, events of runs."""

import asyncio
from typing import TypeVar

import pytest
from openai import APIConnectionError, AsyncOpenAI, AsyncStream, BadRequestError
from openai.types.beta import AssistantStreamEvent
from openai.types.responses import ResponseStreamEvent

from tests.fakes.conftest import Connect
from tests.fakes.openai import (
    Answer,
    Call,
    FakeOpenAI,
    calling,
    failed,
    held,
    incomplete,
    open_fake_openai,
    parts,
)
from tests.fakes.openai.specification import find_error
from tests.fakes.turns import wait_until

Event = TypeVar("Event")
MODEL = "gpt-6-luna"
TEXT = "The quick brown fox jumps over the lazy dog. " * 3


async def read_into(events: list[Event], stream: AsyncStream[Event]) -> None:
    async for event in stream:
        events.append(event)


def text_of(events: list[ResponseStreamEvent]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


async def test_a_stream_numbers_its_events_and_sends_the_complete_text(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = TEXT
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    events = [event async for event in stream]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert [event.type for event in events[:3]] == [
        "response.created",
        "response.queued",
        "response.in_progress",
    ]
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == text_of(events) == TEXT


@pytest.mark.parametrize("dropped_after", range(0, 20, 3))
async def test_a_dropped_stream_is_resumed_without_loss(
    fake: FakeOpenAI, client: AsyncOpenAI, dropped_after: int
) -> None:
    fake.answer = TEXT
    fake.fault("drop_stream", "POST", "/responses", events=dropped_after)
    events: list[ResponseStreamEvent] = []
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    with pytest.raises(APIConnectionError):
        await read_into(events, stream)
    assert len(events) == dropped_after
    (response_id,) = fake.responses
    if events:
        resumed = await client.responses.retrieve(
            response_id, stream=True, starting_after=events[-1].sequence_number
        )
    else:
        resumed = await client.responses.retrieve(response_id, stream=True)
    events += [event async for event in resumed]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert text_of(events) == TEXT


@pytest.mark.parametrize("dropped_at", [0, 10, 1000, 3000, 5001])
async def test_a_stream_can_be_cut_at_any_byte(
    fake: FakeOpenAI, client: AsyncOpenAI, dropped_at: int
) -> None:
    fake.answer = TEXT
    fake.fault("drop_stream", bytes=dropped_at)
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    events: list[ResponseStreamEvent] = []
    with pytest.raises(APIConnectionError):
        await read_into(events, stream)
    (response_id,) = fake.responses
    seen = events[-1].sequence_number if events else None
    resumed = (
        await client.responses.retrieve(response_id, stream=True)
        if seen is None
        else await client.responses.retrieve(response_id, stream=True, starting_after=seen)
    )
    events += [event async for event in resumed]
    assert text_of(events) == TEXT


async def test_a_held_stream_sends_some_text_and_continues_on_demand(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = held(TEXT, after=2)
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    events: list[ResponseStreamEvent] = []
    reading = asyncio.create_task(read_into(events, stream))
    await wait_until(lambda: text_of(events) == TEXT[:24])
    fake.finish()
    await reading
    assert text_of(events) == TEXT


async def test_a_cancelled_stream_ends_and_keeps_its_text(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = held(TEXT, after=2)
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    events: list[ResponseStreamEvent] = []
    async for event in stream:
        events.append(event)
        if text_of(events) == TEXT[:24]:
            (response_id,) = fake.responses
            cancelled = await client.responses.cancel(response_id)
            assert (cancelled.status, cancelled.output_text) == ("cancelled", TEXT[:24])
    assert text_of(events) == TEXT[:24]


@pytest.mark.parametrize(
    "answer", [failed(text="So far"), incomplete("max_output_tokens", "So far")]
)
async def test_a_stream_reports_its_end(
    fake: FakeOpenAI, client: AsyncOpenAI, answer: Answer
) -> None:
    fake.answer = answer
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    events = [event async for event in stream]
    assert events[-1].type == f"response.{answer.status}"
    assert text_of(events) == "So far"


async def test_tools_show_their_progress_in_the_stream(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = Answer(
        "Found it.",
        annotations=(parts.url_citation(0, 5, "https://example.com", "Example"),),
        items=(parts.web_search("x"), parts.code("cntr_1", "1+1"), parts.image(b"PNG")),
    )
    stream = await client.responses.create(model=MODEL, input="hi", stream=True)
    kinds = [event.type async for event in stream]
    for kind in (
        "response.web_search_call.searching",
        "response.code_interpreter_call.interpreting",
        "response.image_generation_call.generating",
        "response.output_text.annotation.added",
    ):
        assert kind in kinds


async def test_function_calls_and_refusals_are_streamed(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = [calling(Call("weather", '{"deployment":"Bonn"}')), Answer(refusal="No.")]
    stream = await client.responses.create(model=MODEL, input="hi", stream=True)
    done = [e async for e in stream if e.type == "response.function_call_arguments.done"]
    assert [event.arguments for event in done] == ['{"deployment":"Bonn"}']
    stream = await client.responses.create(model=MODEL, input="hi", stream=True)
    refusals = [event async for event in stream if event.type == "response.refusal.done"]
    assert [event.refusal for event in refusals] == ["No."]


async def test_only_what_was_streamed_in_the_background_can_be_streamed_again(
    client: AsyncOpenAI,
) -> None:
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    with pytest.raises(BadRequestError, match="cannot be streamed"):
        await client.responses.retrieve(response.id, stream=True)


async def test_the_sdk_helper_follows_a_background_stream(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = TEXT
    async with client.responses.stream(model=MODEL, input="hi", background=True) as stream:
        final = await stream.get_final_response()
    assert final.output_text == TEXT


async def test_every_event_keeps_to_the_documented_types(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = Answer(
        "Found it.",
        annotations=(parts.url_citation(0, 5, "https://example.com", "Example"),),
        items=(parts.reasoning("Hm"), parts.web_search("x"), parts.code("cntr_1", "1+1")),
    )
    stream = await client.responses.create(model=MODEL, input="hi", background=True, stream=True)
    assert [event async for event in stream]
    (work,) = fake.responses.values()
    for event in work.events:
        data = dict(event.data)
        if (
            "response" in data
        ):  # the specification allows no null for these two, but the API sends it
            whole = data["response"].items()
            data["response"] = {k: v for k, v in whole if k not in ("user", "usage")}
        assert find_error(data, "ResponseStreamEvent") is None


async def test_a_run_streams_its_events(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    fake.answer = TEXT
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
    stream = await client.beta.threads.runs.create(
        thread.id, assistant_id=fake.assistant_id, stream=True
    )
    kinds, text = [], ""
    async for event in stream:
        kinds.append(event.event)
        if event.event == "thread.message.delta":
            part = (event.data.delta.content or [])[0]
            assert part.type == "text"
            assert part.text is not None
            text += part.text.value or ""
    assert text == TEXT
    assert kinds[:3] == ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
    assert kinds[-1] == "thread.run.completed"
    assert "thread.message.completed" in kinds


async def test_a_streamed_run_stops_for_outputs_and_is_streamed_on(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = [calling(Call("weather", call_id="call_1")), "Sunny."]
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
    stream = await client.beta.threads.runs.create(
        thread.id, assistant_id=fake.assistant_id, stream=True
    )
    assert [event.event async for event in stream][-1] == "thread.run.requires_action"
    (run_id,) = fake.runs
    stream = await client.beta.threads.runs.submit_tool_outputs(
        run_id,
        thread_id=thread.id,
        stream=True,
        tool_outputs=[{"tool_call_id": "call_1", "output": "sun"}],
    )
    assert [event.event async for event in stream][-1] == "thread.run.completed"


async def test_a_dropped_run_stream_leaves_the_run_to_be_polled(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = TEXT
    fake.fault("drop_stream", "POST", "/threads/{thread_id}/runs", events=7)
    thread = await client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
    stream = await client.beta.threads.runs.create(
        thread.id, assistant_id=fake.assistant_id, stream=True
    )
    seen: list[AssistantStreamEvent] = []
    with pytest.raises(APIConnectionError):
        await read_into(seen, stream)
    assert len(seen) == 7
    (run_id,) = fake.runs
    polled = await client.beta.threads.runs.retrieve(run_id, thread_id=thread.id)
    assert polled.status == "completed"


async def test_hanging_up_on_a_plain_stream_cancels_it(connect: Connect) -> None:
    async with open_fake_openai() as fake:
        fake.answer = held(TEXT, after=1)
        client = connect(fake)
        stream = await client.responses.create(model=MODEL, input="hi", stream=True)
        async for event in stream:
            if event.type == "response.output_text.delta":
                break
        await stream.close()
        (work,) = fake.responses.values()
        await wait_until(lambda: work.status == "cancelled")
