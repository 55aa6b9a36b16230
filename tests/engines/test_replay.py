"""Servers that keep no conversations: this process keeps them and sends everything each time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.errors import ConversationGone, Retry, RunFailed
from bot.models import Record
from tests.engines.engines import (
    THREAD,
    ask,
    begin,
    follow_growth,
    known_as,
    last_update,
    open_responses_on,
    said,
    start,
)
from tests.fakes.openai import FakeOpenAI, failed, held, incomplete, open_fake_openai, slow


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai(variant="no_conversations") as server:
        yield server


def sent(fake: FakeOpenAI) -> list[Any]:
    return [r.body for r in fake.requests if r.path == "/responses"]


async def test_each_turn_sends_all_that_was_said(fake: FakeOpenAI) -> None:
    fake.answer = ["Hello Ada.", "You are Ada."]
    history = [Record("user", "hi", "1.0"), Record("assistant", "Hi!", "1.0")]
    async with open_responses_on(fake) as engine:
        conversation = known_as(engine, await engine.begin(THREAD, "U1", history))
        await ask(engine, conversation, "I am Ada", turn_id="turn-1")
        await ask(engine, conversation, "who am I?", turn_id="turn-2")
    messages_before = [item["content"] for item in sent(fake)[-1]["input"]]
    assert messages_before == [
        [{"type": "input_text", "text": "hi"}],
        "Hi!",
        [{"type": "input_text", "text": "I am Ada"}],
        "Hello Ada.",
        [{"type": "input_text", "text": "who am I?"}],
    ]
    assert not any("conversation" in body or "background" in body for body in sent(fake))


async def test_the_server_is_asked_for_conversations_only_once(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        await begin(engine)
        await begin(engine)
    assert [request.path for request in fake.requests] == ["/conversations"]


async def test_the_answer_grows(fake: FakeOpenAI) -> None:
    fake.answer = held("one two three four five six seven eight", after=1)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = await follow_growth(fake, engine, run, conversation)
    assert len({update.text for update in updates}) > 2


async def test_another_process_raises_conversation_gone(fake: FakeOpenAI) -> None:
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        async with open_responses_on(fake) as other:
            with pytest.raises(ConversationGone):
                await last_update(other, run, conversation)
            with pytest.raises(ConversationGone):
                await start(other, conversation, said("hello"))
            await other.cancel(run)
            await other.delete(conversation.id)


async def test_a_run_that_is_still_known_is_not_started_twice(fake: FakeOpenAI) -> None:
    fake.answer = slow("Hello", 0.1)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        message = said("hello")
        first = await start(engine, conversation, message)
        second = await start(engine, conversation, message, again=True)
        assert first == second
        await last_update(engine, second, conversation)
    assert fake.created("/responses") == 1


@pytest.mark.parametrize("kind", ["server_error", "drop_before", "rate_limit"])
async def test_a_failed_request_is_repeated(fake: FakeOpenAI, kind: Any) -> None:
    fake.fault(kind, "POST", "/responses")
    async with open_responses_on(fake) as engine:
        conversation, message = await begin(engine), said("hello")
        with pytest.raises(Retry):
            await start(engine, conversation, message)
        run = await start(engine, conversation, message, again=True)
        assert (await last_update(engine, run, conversation)).text == "turn 1: hello"


async def test_a_cut_answer_is_repeated(fake: FakeOpenAI) -> None:
    fake.answer = slow("one two three", 0.05)
    fake.fault("drop_stream", "POST", "/responses", events=6)
    async with open_responses_on(fake) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        with pytest.raises(RunFailed, match="stream_cut"):
            await last_update(engine, run, conversation)
        run = await start(engine, conversation, said("hello"))
        assert (await last_update(engine, run, conversation)).text == "one two three"
        assert (await ask(engine, conversation, "and?", turn_id="turn-2")).text == "one two three"
    assert len(sent(fake)[-1]["input"]) == 3


@pytest.mark.parametrize(
    ("answer", "reason"), [(failed(), "server_error"), (incomplete("content_filter"), "filter")]
)
async def test_a_failed_response_is_reported(fake: FakeOpenAI, answer: Any, reason: str) -> None:
    fake.answer = answer
    async with open_responses_on(fake) as engine:
        with pytest.raises(RunFailed, match=reason):
            await ask(engine, await begin(engine), "hello")


async def test_past_the_deadline_the_connection_is_closed(fake: FakeOpenAI) -> None:
    fake.answer = held("one two three", after=1)
    async with open_responses_on(fake, bot_run_deadline=1.0) as engine:
        with pytest.raises(RunFailed, match="deadline") as caught:
            await ask(engine, await begin(engine), "hello")
        assert caught.value.text == "one two thre"
        async with asyncio.timeout(60):
            (work,) = fake.responses.values()
            await work.over()
    assert work.status == "cancelled"


async def test_a_server_without_streaming_works() -> None:
    async with (
        open_fake_openai(variant="no_conversations") as fake,
        open_responses_on(fake) as engine,
    ):
        engine.replay.responses.requests._refused.add("stream")
        assert (await ask(engine, await begin(engine), "hello")).text == "turn 1: hello"


async def test_a_server_that_answers_200_to_unknown_paths_keeps_no_conversations() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"error": f"Unexpected endpoint or method. ({request.path})"})

    app = web.Application()
    app.add_routes([web.post("/v1/conversations", answer)])
    async with TestServer(app) as server, open_fake_openai() as fake:
        url = str(server.make_url("/v1"))
        async with open_responses_on(fake, openai_base_url=url) as engine:
            assert (await begin(engine)).id.startswith("replay_")
