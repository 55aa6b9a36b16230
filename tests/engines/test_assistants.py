"""The assistants engine: its requests, and every way in which a run can end."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bot.engines import RunRequest
from bot.engines.assistants import open_assistants
from bot.errors import ConfigError, ConversationGone, Retry, RunFailed
from bot.models import Citation, Record, RunOptions, Usage
from tests.engines.engines import (
    THREAD,
    ask,
    begin,
    bodies,
    known_as,
    last_update,
    open_assistants_on,
    said,
    settings_for,
    start,
)
from tests.fakes.openai import (
    Answer,
    Call,
    FakeOpenAI,
    Said,
    Tokens,
    after_polls,
    calling,
    expired,
    failed,
    held,
    incomplete,
    never,
    open_fake_openai,
)


def user_texts(fake: FakeOpenAI, thread_id: str) -> list[str]:
    messages = fake.threads[thread_id].messages
    return [m["content"][0]["text"]["value"] for m in messages if m["role"] == "user"]


async def test_a_thread_has_the_slack_thread_in_its_metadata(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
    metadata = fake.threads[conversation.id].metadata
    assert metadata.items() >= {
        ("slack_team", "T1"),
        ("slack_channel", "C1"),
        ("slack_thread_ts", "1700000000.000100"),
        ("slack_user", "U1"),
    }


async def test_history_is_added_completely_and_in_order(fake: FakeOpenAI) -> None:
    history = [Record("user", f"line {number}", "1.0") for number in range(45)]
    async with open_assistants_on(fake) as engine:
        thread_id = await engine.begin(THREAD, "U1", history)
    assert user_texts(fake, thread_id) == [record.text for record in history]


async def test_every_message_has_an_id_before_the_run_starts(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        messages = [said("one"), said("two")]
        ids = [
            await engine.append(conversation, message, turn_id="turn-1", again=False)
            for message in messages
        ]
    held_by_server = fake.threads[conversation.id].messages
    assert ids == [message["id"] for message in held_by_server]
    assert [message["metadata"]["slack_ts"] for message in held_by_server] == [
        message.ts for message in messages
    ]


async def test_a_message_without_text_has_a_placeholder(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        update = await ask(engine, await begin(engine), "")
    assert "without text" in update.text


async def test_the_assistants_own_model_and_instructions_apply(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        await ask(engine, await begin(engine), "hello")
    (body,) = bodies(fake, "/runs")
    assert body["assistant_id"] == fake.assistant_id
    assert body["metadata"] == {"turn": "turn-1"}
    assert "model" not in body
    assert "instructions" not in body


async def test_the_deployment_can_replace_them(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake, openai_model="m", bot_instructions="i") as engine:
        await ask(engine, await begin(engine), "hello")
    (body,) = bodies(fake, "/runs")
    assert (body["model"], body["instructions"]) == ("m", "i")


async def test_a_turn_can_replace_them(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        message = said("hello")
        await engine.append(conversation, message, turn_id="turn-1", again=False)
        options = RunOptions(model="m", instructions="i")
        await engine.start(RunRequest(conversation, [message], options, "turn-1"))
    (body,) = bodies(fake, "/runs")
    assert (body["model"], body["instructions"]) == ("m", "i")


async def test_the_last_update_has_usage_model_and_newest_message(fake: FakeOpenAI) -> None:
    fake.answer = Answer("Hello", tokens=Tokens(input=100, output=20))
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        update = await ask(engine, conversation, "hello")
    assert update.usage == Usage(input_tokens=100, output_tokens=20)
    assert update.model == "gpt-6-luna"
    assert update.last_item_id == fake.threads[conversation.id].messages[-1]["id"]


async def test_an_engine_without_an_assistant_does_not_open(fake: FakeOpenAI) -> None:
    settings = settings_for(fake, openai_assistant_id=None)
    with pytest.raises(ConfigError, match="OPENAI_ASSISTANT_ID"):
        async with open_assistants(settings):
            pass


# How a run ends


async def end_of(
    fake: FakeOpenAI, answer: Answer | str, streaming: bool, **settings: Any
) -> RunFailed:
    """The error of a turn whose run ends like this."""
    fake.answer = answer
    async with open_assistants_on(fake, bot_streaming=streaming, **settings) as engine:
        with pytest.raises(RunFailed) as caught:
            await ask(engine, await begin(engine), "hello")
    return caught.value


async def test_a_failed_run_reports_its_last_error(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, failed("rate_limit_exceeded", "Too much."), streaming)
    assert (error.status, error.reason, error.detail) == (
        "failed",
        "rate_limit_exceeded",
        "Too much.",
    )


async def test_an_incomplete_run_keeps_its_text(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, incomplete("max_completion_tokens", "This much"), streaming)
    assert (error.status, error.reason, error.text) == (
        "incomplete",
        "max_completion_tokens",
        "This much",
    )


async def test_an_expired_run_is_reported(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, expired(), streaming)
    assert (error.status, error.reason) == ("expired", "expired")


async def test_an_empty_answer_is_a_failure(fake: FakeOpenAI, streaming: bool) -> None:
    error = await end_of(fake, Answer("  "), streaming)
    assert (error.status, error.reason) == ("completed", "empty")


async def test_a_run_of_several_messages_is_read_completely(
    fake: FakeOpenAI, streaming: bool
) -> None:
    fake.answer = Answer(said=(Said("Let me see."), Said("It is 42.")))
    async with open_assistants_on(fake, bot_streaming=streaming) as engine:
        update = await ask(engine, await begin(engine), "what is it?")
    assert update.text == "Let me see.\n\nIt is 42."


async def test_a_refusal_is_the_answer(fake: FakeOpenAI, streaming: bool) -> None:
    fake.answer = Answer(refusal="I will not do that.")
    async with open_assistants_on(fake, bot_streaming=streaming) as engine:
        update = await ask(engine, await begin(engine), "hello")
    assert update.text == "I will not do that."


async def test_sources_point_into_the_whole_text(fake: FakeOpenAI, streaming: bool) -> None:
    cited = {
        "type": "file_citation",
        "text": "【4:0†source】",
        "start_index": 6,
        "end_index": 18,
        "file_citation": {"file_id": "file-1"},
    }
    made = {
        "type": "file_path",
        "text": "sandbox:/mnt/data/a.csv",
        "start_index": 4,
        "end_index": 27,
        "file_path": {"file_id": "file-2"},
    }
    fake.answer = Answer(
        said=(
            Said("Hello 【4:0†source】", annotations=(cited,)),
            Said("See sandbox:/mnt/data/a.csv", annotations=(made,)),
        )
    )
    async with open_assistants_on(fake, bot_streaming=streaming) as engine:
        update = await ask(engine, await begin(engine), "hello")
    assert update.citations == (
        Citation(6, 18, "file-1", file_id="file-1", text="【4:0†source】"),
        Citation(24, 47, "file-2", file_id="file-2", text="sandbox:/mnt/data/a.csv"),
    )
    assert update.text[24:47] == "sandbox:/mnt/data/a.csv"


async def test_a_missing_tool_gets_an_error_output_once(fake: FakeOpenAI, streaming: bool) -> None:
    fake.answer = [calling(Call("get_weather"), Call("get_time")), "I cannot know the weather."]
    async with open_assistants_on(fake, bot_streaming=streaming) as engine:
        update = await ask(engine, await begin(engine), "what is the weather?")
    assert update.text == "I cannot know the weather."
    (body,) = bodies(fake, "/submit_tool_outputs")
    assert len(body["tool_outputs"]) == 2


async def test_a_model_that_insists_on_its_tool_is_stopped(
    fake: FakeOpenAI, streaming: bool
) -> None:
    error = await end_of(fake, calling(Call("get_weather")), streaming)
    assert (error.status, error.reason) == ("requires_action", "requires_action")
    (run,) = fake.runs.values()
    assert run.status == "cancelled"


async def test_past_the_deadline_a_run_is_cancelled(fake: FakeOpenAI, streaming: bool) -> None:
    answer = held("one two three four five", after=1)
    error = await end_of(fake, answer, streaming, bot_run_deadline=1.0)
    assert (error.status, error.reason) == ("expired", "deadline")
    assert error.text == ("one two thre" if streaming else "")
    (run,) = fake.runs.values()
    assert run.status == "cancelled"


async def test_a_slow_cancellation_is_awaited() -> None:
    async with (
        open_fake_openai(cancelling=0.1) as fake,
        open_assistants_on(fake, bot_streaming=False) as engine,
    ):
        fake.answer = never()
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        await engine.cancel(run)
        assert (await last_update(engine, run, conversation)).status == "cancelled"


async def test_errors_between_polls_are_waited_out(fake: FakeOpenAI) -> None:
    fake.answer = after_polls("Hello", 3)
    for kind in ("rate_limit", "server_error", "overloaded", "bad_gateway", "drop_before"):
        fake.fault(kind, "GET", "/threads/*/runs/*", skip=1)
    async with open_assistants_on(fake, bot_streaming=False) as engine:
        assert (await ask(engine, await begin(engine), "hello")).text == "Hello"


async def test_an_answer_at_the_deadline_is_delivered(fake: FakeOpenAI) -> None:
    fake.answer = held("Just in time.")
    fake.options.cancels = "late"
    async with open_assistants_on(fake, bot_streaming=False, bot_run_deadline=0.2) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        assert (await last_update(engine, run, conversation)).text == "Just in time."


# Errors of a creation


async def test_while_a_run_is_active_messages_and_runs_wait(fake: FakeOpenAI) -> None:
    fake.answer = never()
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        await start(engine, conversation, said("hello"))
        with pytest.raises(Retry) as append:
            await engine.append(conversation, said("and"), turn_id="turn-2", again=False)
        with pytest.raises(Retry) as run:
            await engine.start(RunRequest(conversation, [], RunOptions(), "turn-2", again=True))
    assert not append.value.counts
    assert not run.value.counts


async def test_a_vanished_thread_is_reported(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        await last_update(engine, run, conversation)
        fake.vanish(conversation.id)
        with pytest.raises(ConversationGone):
            await last_update(engine, run, conversation)


async def test_a_missing_assistant_is_not_a_missing_thread(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake, openai_assistant_id="asst_gone") as engine:
        with pytest.raises(RunFailed, match="assistant_not_found"):
            await ask(engine, await begin(engine), "hello")


async def test_a_server_without_assistants_is_reported() -> None:
    async with open_fake_openai(assistants=False) as fake, open_assistants_on(fake) as engine:
        with pytest.raises(RunFailed, match="endpoint_not_found"):
            await begin(engine)


async def test_an_exhausted_quota_is_reported(fake: FakeOpenAI) -> None:
    fake.fault("quota", "POST", "/threads/*/runs")
    async with open_assistants_on(fake) as engine:
        with pytest.raises(RunFailed, match="insufficient_quota"):
            await ask(engine, await begin(engine), "hello")


# Repeated attempts


async def test_a_message_whose_receipt_was_lost_is_not_added_twice(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        one, two = said("same words"), said("same words")
        await engine.append(conversation, one, turn_id="turn-1", again=False)
        fake.fault("drop_after", "POST", "/threads/*/messages")
        with pytest.raises(Retry):
            await engine.append(conversation, two, turn_id="turn-1", again=False)
        found = await engine.append(conversation, two, turn_id="turn-1", again=True)
    messages = fake.threads[conversation.id].messages
    assert [message["metadata"]["slack_ts"] for message in messages] == [one.ts, two.ts]
    assert found == messages[1]["id"]


@pytest.mark.parametrize(("before", "last_is_known"), [(60, False), (130, True)])
async def test_a_message_is_found_however_many_followed_it(
    fake: FakeOpenAI, before: int, last_is_known: bool
) -> None:
    """A restored Redis does not know what was added since."""
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        if last_is_known:
            first = await ask(engine, conversation, "one")
            conversation = replace(conversation, last_item_id=first.last_item_id)
        message = said("hello")
        messages = fake.threads[conversation.id].messages
        for number in range(before):
            added = said(f"more {number}")
            await engine.append(conversation, added, turn_id="turn-2", again=False)
            if number == (0 if not last_is_known else before - 10):
                id = await engine.append(conversation, message, turn_id="turn-2", again=False)
        for age, each in enumerate(reversed(messages)):
            each["created_at"] -= age
        assert id == await engine.append(conversation, message, turn_id="turn-2", again=True)
    assert len(messages) == before + (3 if last_is_known else 1)


async def test_a_run_whose_receipt_was_lost_is_adopted(fake: FakeOpenAI, streaming: bool) -> None:
    async with open_assistants_on(fake, bot_streaming=streaming) as engine:
        conversation = await begin(engine)
        message = said("hello")
        fake.fault("drop_after", "POST", "/threads/*/runs")
        fake.answer = after_polls("It is done.", 2)
        with pytest.raises(Retry):
            await start(engine, conversation, message)
        run = await start(engine, conversation, message, again=True)
        update = await last_update(engine, run, conversation)
    assert update.text == "It is done."
    assert fake.created("/threads/*/runs") == 1
    assert user_texts(fake, conversation.id) == ["hello"]


async def test_an_adopted_run_that_failed_is_not_repeated(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        message = said("hello")
        fake.fault("drop_after", "POST", "/threads/*/runs")
        fake.answer = failed()
        with pytest.raises(Retry):
            await start(engine, conversation, message)
        run = await start(engine, conversation, message, again=True)
        with pytest.raises(RunFailed, match="server_error"):
            await last_update(engine, run, conversation)
    assert fake.created("/threads/*/runs") == 1


async def test_the_run_of_an_earlier_turn_is_not_adopted(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        await ask(engine, conversation, "one")
        run = await start(engine, conversation, said("two"), turn_id="turn-2", again=True)
        assert (await last_update(engine, run, conversation)).text == "turn 2: one | two"


async def test_the_same_text_in_the_history_is_not_mistaken_for_this_turn(fake: FakeOpenAI) -> None:
    history = [Record("user", "go on", "1.0"), Record("assistant", "and on", "1.0")]
    async with open_assistants_on(fake) as engine:
        conversation = known_as(engine, await engine.begin(THREAD, "U1", history))
        run = await start(engine, conversation, said("go on"), again=True)
        await last_update(engine, run, conversation)
    assert user_texts(fake, conversation.id) == ["go on", "go on"]


async def test_without_metadata_text_and_time_decide(fake: FakeOpenAI) -> None:
    def forget() -> None:
        for thread in fake.threads.values():
            thread.metadata.clear()
            for message in thread.messages:
                message["metadata"] = {}
        for run in fake.runs.values():
            run.body["metadata"] = None

    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        first = await ask(engine, conversation, "go on")
        conversation = replace(conversation, last_item_id=first.last_item_id)
        forget()
        for work in fake.runs.values():
            work.body["created_at"] -= 10
        message = said("go on")
        added = await engine.append(conversation, message, turn_id="turn-2", again=True)
        forget()
        assert added == await engine.append(conversation, message, turn_id="turn-2", again=True)
        run = await start(engine, conversation, message, turn_id="turn-2", again=True)
        await last_update(engine, run, conversation)
        forget()
        again = await start(engine, conversation, message, turn_id="turn-2", again=True)
    assert again.id == run.id
    assert user_texts(fake, conversation.id) == ["go on", "go on"]


async def test_a_server_with_fewer_fields_works() -> None:
    async with (
        open_fake_openai(variant="open_assistant_api") as fake,
        open_assistants_on(fake) as engine,
    ):
        conversation = await begin(engine)
        first = await ask(engine, conversation, "one")
        assert first.usage is None
        message = said("two")
        run = await start(engine, conversation, message, turn_id="turn-2")
        again = await start(engine, conversation, message, turn_id="turn-2", again=True)
        assert again.id == run.id
        assert (await last_update(engine, run, conversation)).text == "turn 2: one | two"


async def test_two_threads_do_not_wait_for_each_other(fake: FakeOpenAI) -> None:
    async with open_assistants_on(fake) as engine:
        one, two = await begin(engine), await begin(engine)
        fake.answer = [never(), "Hello"]
        slow = await start(engine, one, said("hello"))
        async with asyncio.timeout(60):
            assert (await ask(engine, two, "hello")).text == "Hello"
        await engine.cancel(slow)
