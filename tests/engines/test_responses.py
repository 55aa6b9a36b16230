"""The responses engine: its requests, and every way in which a response can end."""

import json
from dataclasses import replace
from typing import Any

import pytest

from bot.calls import FunctionSpec
from bot.engines import RunRequest
from bot.engines.conversations import words_of
from bot.errors import RunFailed
from bot.models import Card, Citation, Record, RunOptions, Usage
from tests.engines.engines import (
    OPTIONS,
    THREAD,
    ask,
    begin,
    bodies,
    follow,
    last_update,
    open_responses_on,
    said,
    start,
    user_texts,
)
from tests.fakes.openai import (
    Answer,
    FakeOpenAI,
    Said,
    Tokens,
    after_polls,
    failed,
    held,
    incomplete,
    never,
    open_fake_openai,
)


async def test_a_conversation_has_the_slack_thread_in_its_metadata(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
    metadata = fake.conversations[conversation.id].metadata
    assert metadata.items() >= {
        ("slack_team", "T1"),
        ("slack_channel", "C1"),
        ("slack_thread_ts", "1700000000.000100"),
        ("slack_user", "U1"),
    }
    assert int(metadata["created_at"]) > 1.7e9


async def test_history_is_added_twenty_items_at_a_time(fake: FakeOpenAI) -> None:
    history = [Record("user", f"line {number}", "1.0") for number in range(45)]
    async with open_responses_on(fake) as engine:
        conversation_id = await engine.begin(THREAD, "U1", history)
    sizes = [len(body["items"]) for body in bodies(fake, "/conversations")]
    sizes += [len(body["items"]) for body in bodies(fake, "/items")]
    assert sizes == [20, 20, 5]
    assert user_texts(fake, conversation_id) == [record.text for record in history]


async def test_a_turn_is_one_background_response(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        one, two = said("first"), said("second")
        options = RunOptions(model="gpt-6.1-sol", instructions="Be kind.", user_id="U9")
        await engine.start(RunRequest(conversation, [one, two], options, "turn-7"))
    (body,) = bodies(fake, "/responses")
    assert body.items() >= {
        ("conversation", conversation.id),
        ("model", "gpt-6.1-sol"),
        ("instructions", "Be kind."),
        ("background", True),
        ("store", True),
        ("truncation", "auto"),
        ("prompt_cache_key", conversation.id),
    }
    assert [item["content"][0]["text"] for item in body["input"]] == ["first", "second"]
    assert body["metadata"] == {
        "turn": "turn-7",
        "slack_thread": THREAD.key,
        "slack_ts": two.ts,
    }
    assert "U9" not in body["safety_identifier"]
    assert "temperature" not in body


async def test_threads_of_a_channel_find_its_tools_in_the_cache(fake: FakeOpenAI) -> None:
    clock = FunctionSpec("clock", "The time.", {"type": "object", "properties": {}})
    elsewhere = replace(THREAD, channel_id="C2")
    threads = (THREAD, replace(THREAD, thread_ts="1800000000.000100"), elsewhere)
    async with open_responses_on(fake) as engine:
        for thread, withheld in zip(threads, ((), (), ("clock",)), strict=True):
            conversation = replace(await begin(engine), thread=thread)
            request = RunRequest(
                conversation,
                [said("hi")],
                OPTIONS,
                thread.key,
                functions=(clock, replace(clock, name="d")),
                withheld=frozenset(withheld),
            )
            await engine.start(request)
    one, two, other = bodies(fake, "/responses")
    assert one["prompt_cache_key"] == two["prompt_cache_key"] != other["prompt_cache_key"]
    assert len(one["prompt_cache_key"]) <= 64
    assert json.dumps(one["tools"]) == json.dumps(other["tools"])
    assert "tool_choice" in other


async def test_model_and_instructions_default_to_the_deployments(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake, openai_model="m", bot_instructions="i") as engine:
        await ask(engine, await begin(engine), "hello")
    (body,) = bodies(fake, "/responses")
    assert (body["model"], body["instructions"]) == ("m", "i")


async def test_a_server_without_keys_gets_a_placeholder() -> None:
    async with (
        open_fake_openai(api_key="none") as fake,
        open_responses_on(fake, openai_api_key=None) as engine,
    ):
        assert (await ask(engine, await begin(engine), "hello")).status == "completed"


async def test_the_last_update_has_usage_model_and_newest_item(fake: FakeOpenAI) -> None:
    fake.answer = Answer("Hello", tokens=Tokens(input=100, output=20, cached=80, reasoning=5))
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        update = await ask(engine, conversation, "hello")
    assert update.usage == Usage(100, 80, 20, 5)
    assert update.model == "gpt-6-luna"
    assert update.last_item_id == fake.conversations[conversation.id].items[-1]["id"]


# How a response ends


async def end_of(
    fake: FakeOpenAI, answer: Answer | str, streaming: bool, **settings: Any
) -> RunFailed:
    """The error of a turn whose response ends like this."""
    fake.answer = answer
    async with open_responses_on(fake, bot_streaming=streaming, **settings) as engine:
        with pytest.raises(RunFailed) as caught:
            await ask(engine, await begin(engine), "hello")
    return caught.value


async def test_a_failed_response_reports_its_code(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, failed("vector_store_timeout", "Too slow."), streaming)
    assert (error.status, error.reason, error.detail) == (
        "failed",
        "vector_store_timeout",
        "Too slow.",
    )


async def test_an_incomplete_response_keeps_its_text(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, incomplete("max_output_tokens", "This much"), streaming)
    assert (error.status, error.reason, error.text) == (
        "incomplete",
        "max_output_tokens",
        "This much",
    )


async def test_an_incomplete_response_may_have_no_text(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, incomplete("content_filter"), streaming)
    assert (error.status, error.reason, error.text) == ("incomplete", "content_filter", "")


async def test_an_empty_answer_is_a_failure(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, Answer("  "), streaming)
    assert (error.status, error.reason) == ("completed", "empty")


async def test_a_refusal_is_the_answer(fake: FakeOpenAI, streaming: bool) -> None:
    fake.answer = Answer(refusal="I will not do that.")
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        update = await ask(engine, await begin(engine), "hello")
    assert update.text == "I will not do that."


async def test_only_the_final_answer_is_returned(fake: FakeOpenAI, streaming: bool) -> None:
    fake.answer = Answer(
        said=(
            Said("Let me look.", "commentary"),
            Said("It is 42.", "final_answer"),
            Said("Surely.", "final_answer"),
        )
    )
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("what is it?"))
        updates = await follow(engine, run, conversation)
    assert updates[-1].text == "It is 42.\n\nSurely."
    assert not any("look" in update.text for update in updates)


async def test_sources_point_into_the_whole_text(fake: FakeOpenAI, streaming: bool) -> None:
    web = {
        "type": "url_citation",
        "start_index": 6,
        "end_index": 11,
        "url": "https://example.com/",
        "title": "Example",
    }
    file = {"type": "file_citation", "file_id": "file-1", "filename": "a.pdf", "index": 5}
    made = {
        "type": "container_file_citation",
        "container_id": "cntr_1",
        "file_id": "cfile_1",
        "filename": "plot.png",
        "start_index": 0,
        "end_index": 5,
    }
    fake.answer = Answer(
        said=(Said("Hello world", annotations=(web,)), Said("Again", annotations=(file, made)))
    )
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        update = await ask(engine, await begin(engine), "hello")
    assert update.text == "Hello world\n\nAgain"
    assert update.citations == (
        Citation(6, 11, "Example", url="https://example.com/"),
        Citation(18, 18, "a.pdf", file_id="file-1", filename="a.pdf"),
        Citation(13, 18, "plot.png", file_id="cfile_1", filename="plot.png"),
    )


async def test_steps_are_reported(fake: FakeOpenAI) -> None:
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "weather", "queries": ["weather"]},
    }
    fake.answer = held(Answer("It rains today in all places", items=(search,)), after=1)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("will it rain?"))
        updates = engine.follow(run, conversation)
        async for update in updates:
            if update.text:
                break
        assert update.cards == (Card("ws_1", "Searching the web: weather", "complete"),)
        fake.finish()
        assert [update async for update in updates][-1].status == "completed"


async def test_unknown_items_are_ignored(fake: FakeOpenAI, streaming: bool) -> None:
    strange = {"type": "quantum_call", "id": "qc_1", "status": "completed", "spin": {"up": 1}}
    fake.answer = Answer("Done.", items=(strange,))
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        assert (await ask(engine, await begin(engine), "hello")).text == "Done."


# Time


async def test_past_the_deadline_a_run_is_cancelled(fake: FakeOpenAI, streaming: bool) -> None:
    answer = held("one two three four five", after=1)
    error = await end_of(fake, answer, streaming, bot_run_deadline=1.0)
    assert (error.status, error.reason) == ("expired", "deadline")
    assert error.text == ("one two thre" if streaming else "")
    (work,) = fake.responses.values()
    assert work.status == "cancelled"


async def test_a_run_that_ended_unobserved_is_delivered(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        fake.finish()
        late = replace(run, started_at=run.started_at - 3600)
    async with open_responses_on(fake) as other:
        assert (await last_update(other, late, conversation)).status == "completed"


@pytest.mark.parametrize("leaves", ["nothing", "input"])
async def test_messages_lost_in_a_failed_run_are_sent_with_the_next_one(
    fake: FakeOpenAI, leaves: Any
) -> None:
    fake.options.leaves = leaves
    fake.answer = [failed()]
    owed = (said("same words"), said("same words"))
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        with pytest.raises(RunFailed, match="server_error"):
            await last_update(engine, await start(engine, conversation, *owed), conversation)
        conversation = replace(conversation, owed=owed)
        update = await ask(engine, conversation, "and more", turn_id="turn-2")
    assert update.text == "turn 1: same words | same words | and more"


@pytest.mark.parametrize("again", [False, True])
async def test_messages_that_an_unknown_turn_has_sent_are_not_owed_any_more(
    fake: FakeOpenAI, again: bool
) -> None:
    """A restored Redis lacks that turn, and counts its messages as owed still."""
    owed = (said("go"), said("on"))
    async with open_responses_on(fake) as engine:
        before = await begin(engine)
        sent = replace(before, owed=owed)
        await ask(engine, sent, "lost", turn_id="turn-1")
        message = said("and more")
        if again:
            run = await start(engine, before, message, turn_id="turn-2")
            await last_update(engine, run, before)
        run = await start(engine, sent, message, turn_id="turn-2", again=again)
        await last_update(engine, run, sent)
    [conversation] = fake.conversations.values()
    asked = [item for item in conversation.items if item["role"] == "user"]
    assert [words_of(item) for item in asked] == ["go", "on", "lost", "and more"]


async def test_errors_between_polls_are_waited_out(fake: FakeOpenAI) -> None:
    fake.answer = after_polls("Hello", 3)
    for kind in ("rate_limit", "server_error", "overloaded", "bad_gateway", "drop_before"):
        fake.fault(kind, "GET", "/responses/*", skip=1)
    async with open_responses_on(fake, bot_streaming=False) as engine:
        assert (await ask(engine, await begin(engine), "hello")).text == "Hello"


async def test_a_response_that_the_server_dropped_is_read_from_the_conversation(
    fake: FakeOpenAI,
) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        first = await ask(engine, conversation, "one")
        conversation = replace(conversation, last_item_id=first.last_item_id)
        run = await start(engine, conversation, said("two"), turn_id="turn-2")
        fake.finish()
        del fake.responses[run.id]
    async with open_responses_on(fake) as other:
        update = await last_update(other, run, conversation)
    assert (update.status, update.text) == ("completed", "turn 2: one | two")


async def test_a_dropped_response_without_an_answer_is_a_failure(fake: FakeOpenAI) -> None:
    fake.answer = failed()
    async with open_responses_on(fake, bot_streaming=False) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("one"))
        fake.finish()
        del fake.responses[run.id]
        with pytest.raises(RunFailed, match="run_not_found"):
            await last_update(engine, run, conversation)


async def test_an_answer_at_the_deadline_is_delivered(fake: FakeOpenAI) -> None:
    fake.answer = held("Just in time.")
    fake.options.cancels = "late"
    async with open_responses_on(fake, bot_streaming=False, bot_run_deadline=0.2) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        assert (await last_update(engine, run, conversation)).text == "Just in time."


@pytest.mark.parametrize("kind", ["server_error", "not_found", "drop_after"])
async def test_past_the_deadline_it_ends_even_if_it_cannot_be_cancelled(
    fake: FakeOpenAI, streaming: bool, kind: Any
) -> None:
    fake.fault(kind, "POST", "/responses/*/cancel", times=None)
    error = await end_of(fake, never(), streaming, bot_run_deadline=0.2)
    assert (error.status, error.reason) == ("expired", "deadline")
