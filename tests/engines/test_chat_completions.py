"""Servers with chat completions only, the older protocol."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.engines import RunRequest
from bot.engines.router import Router
from bot.errors import ConversationGone, Retry, RunFailed
from bot.media import Attachment
from bot.models import Record
from bot.settings import DEFAULT_INSTRUCTIONS
from tests.engines.engines import (
    OPTIONS,
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
from tests.fakes.openai import (
    Answer,
    Call,
    FakeOpenAI,
    calling,
    failed,
    held,
    incomplete,
    open_fake_openai,
)

PIXEL = Attachment("dot.png", "image/png", "image", b"\x89PNG")
NOTES = Attachment("notes.txt", "text/plain", "text", b"the code is 4711")
PAPER = Attachment("paper.pdf", "application/pdf", "document", b"%PDF")
SOUND = Attachment("voice.mp3", "audio/mpeg", "audio", b"ID3")


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai(variant="chat_completions") as server:
        yield server


@pytest.fixture
async def engine(fake: FakeOpenAI) -> AsyncIterator[Router]:
    async with open_responses_on(fake) as opened:
        yield opened


def sent(fake: FakeOpenAI) -> list[Any]:
    return [r.body for r in fake.requests if r.path == "/chat/completions"]


async def ask_with(engine: Router, *files: Attachment) -> Any:
    conversation, message = await begin(engine), said("look")
    request = RunRequest(conversation, [message], OPTIONS, "turn-1", files={message.ts: files})
    return await last_update(engine, await engine.start(request), conversation)


async def test_the_protocol_is_detected_once(fake: FakeOpenAI, engine: Router) -> None:
    await ask(engine, await begin(engine), "one")
    await ask(engine, await begin(engine), "two")
    paths = [request.path for request in fake.requests]
    assert paths == ["/conversations", "/responses", "/chat/completions", "/chat/completions"]


@pytest.mark.parametrize(
    ("protocol", "path"), [("chat", "/chat/completions"), ("responses", "/responses")]
)
async def test_a_configured_protocol_is_used_immediately(protocol: str, path: str) -> None:
    async with (
        open_fake_openai() as fake,
        open_responses_on(fake, bot_protocol=protocol) as engine,
    ):
        conversation = await begin(engine)
        await ask(engine, conversation, "one")
        assert (await ask(engine, conversation, "two")).text.endswith(": one | two")
        assert [request.path for request in fake.requests] == [path, path]
        with pytest.raises(ConversationGone):
            await start(engine, known_as(engine, "conv_of_auto"), said("three"))


@pytest.mark.parametrize("protocol", ["conversations", "responses"])
async def test_only_the_configured_protocol_is_tried(fake: FakeOpenAI, protocol: str) -> None:
    async with open_responses_on(fake, bot_protocol=protocol) as engine:
        with pytest.raises(RunFailed, match="endpoint_not_found"):
            await start(engine, await begin(engine), said("hello"))
    assert len(fake.requests) == 1


async def test_roles_alternate_whatever_the_history(fake: FakeOpenAI, engine: Router) -> None:
    history = [
        Record("user", "one", "1.0"),
        Record("user", "two", "2.0"),
        Record("assistant", "Hello.", "3.0"),
    ]
    conversation = known_as(engine, await engine.begin(THREAD, "U1", history))
    await ask(engine, conversation, "three", "four")
    assert [(m["role"], m["content"]) for m in sent(fake)[-1]["messages"]] == [
        ("system", DEFAULT_INSTRUCTIONS),
        ("user", "one\n\ntwo"),
        ("assistant", "Hello."),
        ("user", "three\n\nfour"),
    ]


async def test_the_answer_grows_and_is_remembered(fake: FakeOpenAI, engine: Router) -> None:
    fake.answer = [held("one two three four five six seven eight", after=1)]
    conversation = await begin(engine)
    run = await start(engine, conversation, said("hello"))
    updates = await follow_growth(fake, engine, run, conversation)
    assert len({update.text for update in updates}) > 2
    await ask(engine, conversation, "and?", turn_id="turn-2")
    assert sent(fake)[-1]["messages"][2]["content"] == updates[-1].text


async def test_the_usage_is_the_server_s(engine: Router) -> None:
    update = await ask(engine, await begin(engine), "hello")
    assert update.usage is not None
    assert not update.usage.estimated
    assert update.usage.output_tokens > 0


@pytest.mark.parametrize("variant", ["chat_completions", "no_conversations"])
@pytest.mark.parametrize("streams", [True, False])
async def test_usage_that_is_not_reported_is_estimated(variant: str, streams: bool) -> None:
    async with (
        open_fake_openai(variant=variant, usage=False) as fake,
        open_responses_on(fake) as engine,
    ):
        if not streams:
            engine.replay.chat.requests._refused.add("stream")
            engine.replay.responses.requests._refused.add("stream")
        fake.answer = "word " * 100
        update = await ask(engine, await begin(engine), "question " * 200)
    assert update.usage is not None
    assert update.usage.estimated
    assert 400 < update.usage.input_tokens < 600
    assert 100 < update.usage.output_tokens < 150


@pytest.mark.parametrize("streams", [True, False])
async def test_reasoning_is_not_part_of_the_text(
    fake: FakeOpenAI, engine: Router, streams: bool
) -> None:
    if not streams:
        engine.replay.chat.requests._refused.add("stream")
    fake.answer = Answer("Four.", reasoning="Two and two make four.")
    assert (await ask(engine, await begin(engine), "2+2?")).text == "Four."


async def test_files_are_sent_in_the_form_of_the_protocol(fake: FakeOpenAI, engine: Router) -> None:
    await ask_with(engine, PIXEL, NOTES, PAPER, SOUND)
    words, image, notes, paper, sound = sent(fake)[-1]["messages"][-1]["content"]
    assert words == {"type": "text", "text": "look"}
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    assert "the code is 4711" in notes["text"]
    assert (paper["type"], paper["file"]["filename"]) == ("file", "paper.pdf")
    assert sound["input_audio"]["format"] == "mp3"


@pytest.mark.parametrize("status", [400, 500])
async def test_a_refused_file_fails_the_start(fake: FakeOpenAI, status: int) -> None:
    fake.options.takes_files = False
    fake.options.file_status = status
    async with open_responses_on(fake) as engine:
        with pytest.raises(RunFailed, match="bad_request"):
            await ask_with(engine, PIXEL)
        assert (await ask_with(engine, NOTES)).status == "completed"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (incomplete("max_output_tokens", "This much"), "max_output_tokens"),
        (incomplete("content_filter"), "content_filter"),
        (calling(Call("get_time")), "requires_action"),
    ],
)
@pytest.mark.parametrize("streams", [True, False])
async def test_other_ends_have_their_reason(
    fake: FakeOpenAI, engine: Router, answer: Answer, reason: str, streams: bool
) -> None:
    if not streams:
        engine.replay.chat.requests._refused.add("stream")
    fake.answer = answer
    with pytest.raises(RunFailed) as caught:
        await ask(engine, await begin(engine), "hello")
    assert (caught.value.reason, caught.value.text) == (reason, answer.text)


async def test_after_an_error_in_the_stream_the_run_can_be_repeated(
    fake: FakeOpenAI, engine: Router
) -> None:
    fake.answer = [failed(), "Now."]
    conversation, message = await begin(engine), said("hello")
    run = await start(engine, conversation, message)
    with pytest.raises(RunFailed, match="stream_cut"):
        await last_update(engine, run, conversation)
    run = await start(engine, conversation, message)
    assert (await last_update(engine, run, conversation)).text == "Now."


async def test_stop_closes_the_connection(fake: FakeOpenAI, engine: Router) -> None:
    fake.answer = held("one two three four", after=1)
    conversation = await begin(engine)
    run = await start(engine, conversation, said("hello"))
    updates = engine.follow(run, conversation)
    async for update in updates:
        if update.text:
            break
    await engine.cancel(run)
    last = [update async for update in updates][-1]
    assert (last.status, last.text) == ("cancelled", update.text)
    async with asyncio.timeout(60):
        (work,) = fake.responses.values()
        await work.over()
    assert work.status == "cancelled"


async def test_stream_options_are_omitted_if_unknown(fake: FakeOpenAI) -> None:
    fake.fault("error", "POST", "/chat/completions", message="Unknown parameter: 'stream_options'.")
    async with open_responses_on(fake) as engine:
        assert (await ask(engine, await begin(engine), "hello")).text == "turn 1: hello"
    assert sent(fake)[-1]["stream"]
    assert "stream_options" not in sent(fake)[-1]


async def test_without_any_known_protocol_the_address_is_reported_as_wrong(
    fake: FakeOpenAI,
) -> None:
    fake.options.chat_completions = False
    async with open_responses_on(fake) as engine:
        for _ in range(2):
            with pytest.raises(RunFailed, match="endpoint_not_found"):
                await ask(engine, await begin(engine), "hello")
        fake.options.responses = True
        assert (await ask(engine, await begin(engine), "hello")).text == "turn 1: hello"


async def test_a_model_of_a_channel_is_asked_for(fake: FakeOpenAI, engine: Router) -> None:
    conversation, message = await begin(engine), said("hello")
    options = replace(OPTIONS, model="other", instructions="Be kind.")
    await engine.start(RunRequest(conversation, [message], options, "turn-1"))
    assert sent(fake)[-1]["model"] == "other"
    assert sent(fake)[-1]["messages"][0]["content"] == "Be kind."


async def test_a_rate_limit_does_not_restart_protocol_detection(
    fake: FakeOpenAI, engine: Router
) -> None:
    fake.fault("rate_limit", "POST", "/chat/completions")
    conversation, message = await begin(engine), said("hello")
    with pytest.raises(Retry):
        await start(engine, conversation, message)
    await start(engine, conversation, message, again=True)
    assert [request.path for request in fake.requests].count("/responses") == 1
