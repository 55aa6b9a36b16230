"""The responses engine: errors of a creation, and repeated attempts."""

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from bot.engines import Engine, RunRequest
from bot.errors import ConversationGone, DependencyDown, Retry, RunFailed
from bot.models import Conversation, Record, Run
from tests.engines.engines import (
    OPTIONS,
    THREAD,
    ask,
    begin,
    bodies,
    known_as,
    last_update,
    open_responses_on,
    said,
    start,
    user_texts,
)
from tests.fakes.openai import (
    Call,
    FakeOpenAI,
    calling,
    failed,
    held,
    never,
    open_fake_openai,
)
from tests.world import wait_until


@pytest.mark.parametrize("kind", ["server_error", "overloaded", "bad_gateway", "drop_before"])
async def test_a_failed_creation_is_retried(fake: FakeOpenAI, streaming: bool, kind: Any) -> None:
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        conversation = await begin(engine)
        fake.fault(kind, "POST", "/responses")
        message = said("hello")
        with pytest.raises(DependencyDown) as caught:
            await start(engine, conversation, message)
        assert not caught.value.counts
        run = await start(engine, conversation, message, again=True)
        assert (await last_update(engine, run, conversation)).text == "turn 1: hello"
    assert len([r for r in fake.requests if (r.method, r.path) == ("POST", "/responses")]) == 2


async def test_a_rate_limit_does_not_count_as_a_failure(fake: FakeOpenAI, streaming: bool) -> None:
    fake.fault("rate_limit", "POST", "/responses", retry_after=17)
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        with pytest.raises(Retry) as caught:
            await start(engine, await begin(engine), said("hello"))
    assert (caught.value.after, caught.value.counts) == (17, False)


async def test_an_exhausted_quota_is_reported(fake: FakeOpenAI) -> None:
    fake.fault("quota", "POST", "/responses")
    async with open_responses_on(fake) as engine:
        with pytest.raises(RunFailed, match="insufficient_quota"):
            await start(engine, await begin(engine), said("hello"))
    assert fake.created("/responses") == 0


async def test_a_wrong_key_is_reported() -> None:
    async with (
        open_fake_openai(api_key="sk-right") as fake,
        open_responses_on(fake, openai_api_key="sk-wrong") as engine,
    ):
        with pytest.raises(RunFailed, match="authentication"):
            await begin(engine)


async def test_an_unknown_model_is_reported() -> None:
    async with open_fake_openai(models={"gpt-6-sol": None}) as fake, open_responses_on(fake) as e:
        with pytest.raises(RunFailed, match="model_not_found"):
            await start(e, await begin(e), said("hello"))


async def test_a_message_that_is_too_long_is_reported() -> None:
    async with open_fake_openai(context_window=100) as fake, open_responses_on(fake) as engine:
        with pytest.raises(RunFailed, match="context_length_exceeded"):
            await start(engine, await begin(engine), said("long " * 1000))


async def test_a_conversation_that_is_too_long_is_truncated_at_its_start() -> None:
    async with open_fake_openai(context_window=300) as fake, open_responses_on(fake) as engine:
        conversation = await begin(engine)
        for number in range(8):
            update = await ask(engine, conversation, f"{number}", turn_id=f"turn-{number}")
        assert update.status == "completed"


async def test_a_vanished_conversation_is_reported(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        fake.vanish(conversation.id)
        with pytest.raises(ConversationGone):
            await start(engine, conversation, said("hello"))


async def test_a_turn_waits_while_the_conversation_is_locked(fake: FakeOpenAI) -> None:
    fake.answer = never()
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        await start(engine, conversation, said("hello"))
        with pytest.raises(Retry) as caught:
            await start(engine, conversation, said("and"), turn_id="turn-2")
    assert (caught.value.reason, caught.value.counts) == ("conversation_locked", False)


async def test_a_call_without_a_tool_does_not_block_the_conversation(fake: FakeOpenAI) -> None:
    calls = calling(Call("get_weather", call_id="call_1"), Call("get_time", call_id="call_2"))
    fake.answer = [calls, "Hello again."]
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        with pytest.raises(RunFailed, match="empty"):
            await ask(engine, conversation, "what is the weather?")
        update = await ask(engine, conversation, "hello?", turn_id="turn-2")
    assert update.text == "Hello again."
    outputs = bodies(fake, "/responses")[-1]["input"][:2]
    assert [output["call_id"] for output in outputs] == ["call_1", "call_2"]


async def test_refused_fields_are_omitted() -> None:
    async with open_fake_openai(variant="ogx") as fake, open_responses_on(fake) as engine:
        conversation = await begin(engine)
        first = await ask(engine, conversation, "one")
        conversation = replace(conversation, last_item_id=first.last_item_id)
        second = await ask(engine, conversation, "two", turn_id="turn-2")
        assert second.text == "turn 2: one | two"
    sent = [(body.get("stream"), body.get("background")) for body in bodies(fake, "/responses")]
    assert sent == [(True, True), (True, None), (True, None)]


async def test_a_foreground_run_lost_with_its_stream_is_repeated() -> None:
    async with open_fake_openai(variant="ogx") as fake:
        fake.answer = held("one two three", after=1)
        async with open_responses_on(fake) as engine:
            conversation = await begin(engine)
            run = await start(engine, conversation, said("count"))
            async with aclosing(engine.follow(run, conversation)) as updates:
                await anext(updates)
        async with open_responses_on(fake) as another:
            with pytest.raises(ConversationGone):
                await last_update(another, run, conversation)


async def test_concurrent_deletion_is_no_error(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        await ask(engine, conversation, "hello")
        fake.fault("not_found", "DELETE", "/conversations/*/items/*")
        await engine.delete(conversation.id)
        fake.vanish(conversation.id)
        await engine.delete(conversation.id)


async def test_a_failed_deletion_can_be_repeated(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        await ask(engine, conversation, "hello")
        fake.fault("server_error", "DELETE", "/conversations/*/items/*")
        with pytest.raises(Retry):
            await engine.delete(conversation.id)
        await engine.delete(conversation.id)
    assert not fake.conversations


async def test_deleting_a_conversation_deletes_its_items(fake: FakeOpenAI) -> None:
    history = [Record("user", f"line {number}", "1.0") for number in range(130)]
    async with open_responses_on(fake) as engine:
        conversation_id = await engine.begin(THREAD, "U1", history)
        held_by_server = fake.conversations[conversation_id]
        await engine.delete(conversation_id)
    assert held_by_server.items == []
    assert conversation_id not in fake.conversations


# Repeated attempts


async def test_a_creation_whose_response_was_lost_is_adopted(
    fake: FakeOpenAI, streaming: bool
) -> None:
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        conversation = await begin(engine)
        message = said("hello")
        fake.fault("drop_after", "POST", "/responses")
        fake.answer = never()
        with pytest.raises(Retry):
            await start(engine, conversation, message)
        with pytest.raises(Retry) as caught:
            await start(engine, conversation, message, again=True)
        assert not caught.value.counts
        fake.finish("It is done.")
        run = await start(engine, conversation, message, again=True)
        update = await last_update(engine, run, conversation)
    assert update.text == "It is done."
    assert update.last_item_id == fake.conversations[conversation.id].items[-1]["id"]
    assert fake.created("/responses") == 1
    assert user_texts(fake, conversation.id) == ["hello"]


async def race(fake: FakeOpenAI, engine: Engine) -> tuple[Conversation, Run]:
    """The second run of a request; the first, whose id was lost, ends just before it begins."""
    conversation = await begin(engine)
    message = said("hello")
    fake.fault("drop_after", "POST", "/responses")
    fake.answer = [never(), fake.answer]
    with pytest.raises(Retry):
        await start(engine, conversation, message)
    before = len(fake.requests)
    fake.fault("delay", "GET", "/conversations/*/items", seconds=0.1)
    starting = asyncio.create_task(start(engine, conversation, message, again=True))

    async def is_looking() -> bool:
        return any(request.path.endswith("/items") for request in fake.requests[before:])

    await wait_until(is_looking)
    fake.finish("The first.")
    return conversation, await starting


@pytest.mark.parametrize("cancels", [True, False])
async def test_a_second_run_that_the_server_accepts_is_withdrawn(
    fake: FakeOpenAI, streaming: bool, cancels: bool
) -> None:
    fake.answer, fake.options.cancels = held("The second.") if cancels else "The second.", cancels
    async with open_responses_on(fake, bot_streaming=streaming) as engine:
        conversation, run = await race(fake, engine)
        assert (await last_update(engine, run, conversation)).text == "The first."
    assert fake.created("/responses") == 2
    texts = [item["content"][0]["text"] for item in fake.conversations[conversation.id].items]
    assert texts == ["hello", "The first."]


async def test_a_second_run_that_cannot_be_withdrawn_costs_the_conversation(
    fake: FakeOpenAI,
) -> None:
    fake.answer, fake.options.cancels = held("The second."), False
    async with open_responses_on(fake) as engine:
        with pytest.raises(ConversationGone):
            await race(fake, engine)


async def test_the_answer_to_an_earlier_turn_with_the_same_words_is_no_first_run(
    fake: FakeOpenAI,
) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        for text in ("hello", "and you"):  # its last item is not known, as after a restore
            await last_update(engine, await start(engine, conversation, said(text)), conversation)
        fake.answer = never()
        run = await start(engine, conversation, said("hello"), again=True)
        fake.finish("Hello again.")
        assert (await last_update(engine, run, conversation)).text == "Hello again."
    assert user_texts(fake, conversation.id) == ["hello", "and you", "hello"]


async def test_an_answer_that_is_complete_at_once_is_no_second_one(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"), again=True)
        assert (await last_update(engine, run, conversation)).text == "turn 1: hello"
    assert user_texts(fake, conversation.id) == ["hello"]


async def test_a_lost_response_that_failed_is_repeated(fake: FakeOpenAI, streaming: bool) -> None:
    for leaves in ("nothing", "input"):
        fake.options.leaves = leaves
        async with open_responses_on(fake, bot_streaming=streaming) as engine:
            conversation = await begin(engine)
            messages = said("hello"), said("you")
            fake.answer = [failed(), "Hi."]
            fake.fault("drop_after", "POST", "/responses")
            with pytest.raises(Retry):
                await start(engine, conversation, *messages)
            fake.finish()
            run = await start(engine, conversation, *messages, again=True)
            assert (await last_update(engine, run, conversation)).text == "Hi."
        assert user_texts(fake, conversation.id) == ["hello", "you"]


async def test_an_adopted_answer_may_be_incomplete(fake: FakeOpenAI) -> None:
    fake.answer = "This much and"
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        message = said("hello")
        await last_update(engine, await start(engine, conversation, message), conversation)
        fake.conversations[conversation.id].items[-1]["status"] = "incomplete"
        run = await start(engine, conversation, message, again=True)
        with pytest.raises(RunFailed, match="incomplete") as caught:
            await last_update(engine, run, conversation)
    assert caught.value.text == "This much and"


async def test_the_same_text_in_an_earlier_turn_is_not_mistaken_for_this_turn(
    fake: FakeOpenAI,
) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        first = await ask(engine, conversation, "go on")
        conversation = replace(conversation, last_item_id=first.last_item_id)
        run = await start(engine, conversation, said("go on"), turn_id="turn-2", again=True)
        update = await last_update(engine, run, conversation)
    assert update.text == "turn 2: go on | go on"


async def test_the_same_text_in_the_history_is_not_mistaken_for_this_turn(fake: FakeOpenAI) -> None:
    history = [Record("user", "go on", "1.0"), Record("assistant", "and on", "1.0")]
    async with open_responses_on(fake) as engine:
        conversation = known_as(engine, await engine.begin(THREAD, "U1", history))
        run = await start(engine, conversation, said("go on"), again=True)
        update = await last_update(engine, run, conversation)
    assert update.text == "turn 2: go on | go on"


async def test_a_server_that_renumbers_its_items_is_supported(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        await ask(engine, conversation, "one")
        conversation = replace(conversation, last_item_id="msg_of_the_response")
        message = said("two")
        run = await start(engine, conversation, message, turn_id="turn-2")
        await last_update(engine, run, conversation)
        run = await start(engine, conversation, message, turn_id="turn-2", again=True)
        update = await last_update(engine, run, conversation)
    assert update.text == "turn 2: one | two"
    assert fake.created("/responses") == 2


async def test_an_adopted_run_cannot_be_cancelled_any_more(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        message = said("one")
        await last_update(engine, await start(engine, conversation, message), conversation)
        run = await start(engine, conversation, message, again=True)
        await engine.cancel(run)
        assert (await last_update(engine, run, conversation)).status == "completed"


async def test_a_run_without_new_messages_answers_the_existing_ones(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        await ask(engine, conversation, "one")
        run = await engine.start(RunRequest(conversation, [], OPTIONS, "turn-2"))
        assert (await last_update(engine, run, conversation)).text == "turn 2: one"
