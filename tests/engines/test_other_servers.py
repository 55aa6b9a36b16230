"""Servers and proxies that do not speak the protocol."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bot.engines import Engine, RunRequest
from bot.errors import RateLimited, Retry, RunFailed
from bot.media import Attachment
from bot.models import Run
from tests.engines.engines import (
    OPTIONS,
    THREAD,
    ask,
    begin,
    known_as,
    last_update,
    open_assistants_on,
    open_responses_on,
    said,
    start,
)
from tests.fakes.openai import FakeOpenAI, open_fake_openai

BODIES = {
    "page": ("text/html", "<html>Please log in</html>"),
    "error": ("application/json", json.dumps({"error": "Unexpected endpoint or method."})),
    "list": ("application/json", "[]"),
    "broken": ("application/json", '{"id": "resp_1", "stat'),
}


@pytest.fixture(params=BODIES)
async def other_server(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The address of a server that answers every request with the same 200."""
    content_type, body = BODIES[request.param]

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=body, content_type=content_type)

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/v1"))


async def start_a_run(engine: Engine) -> Any:
    conversation = known_as(engine, "conv_1")
    message = said("hello")
    await engine.append(conversation, message, turn_id="turn-1", again=False)
    return await engine.start(RunRequest(conversation, [message], OPTIONS, "turn-1"))


async def follow_a_run(engine: Engine) -> Any:
    run = Run("resp_1", "conv_1", time.time())
    return await last_update(engine, run, known_as(engine, "conv_1"))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("open_engine", [open_responses_on, open_assistants_on])
async def test_a_run_cannot_be_started_on_a_foreign_server(
    fake: FakeOpenAI, other_server: str, streaming: bool, open_engine: Any
) -> None:
    opened = open_engine(fake, openai_base_url=other_server, bot_streaming=streaming)
    async with opened as engine:
        with pytest.raises(Retry):
            await start_a_run(engine)


@pytest.mark.parametrize("open_engine", [open_responses_on, open_assistants_on])
async def test_a_run_is_polled_on_a_foreign_server_until_its_deadline(
    fake: FakeOpenAI, other_server: str, open_engine: Any
) -> None:
    opened = open_engine(fake, openai_base_url=other_server, bot_run_deadline=0.2)
    async with opened as engine:
        with pytest.raises(RunFailed, match="deadline"):
            await follow_a_run(engine)


async def test_a_thread_cannot_be_opened_on_a_foreign_server(
    fake: FakeOpenAI, other_server: str
) -> None:
    async with open_assistants_on(fake, openai_base_url=other_server) as engine:
        with pytest.raises(Retry):
            await engine.begin(THREAD, "U1")


async def test_llama_cpp_works_and_a_refused_image_is_omitted_alone() -> None:
    async with open_fake_openai(variant="llama_cpp") as fake, open_responses_on(fake) as engine:
        conversation = await begin(engine)
        assert (await ask(engine, conversation, "hello")).text == "turn 1: hello"
        message = said("look")
        image = Attachment("dot.png", "image/png", "image", b"\x89PNG")
        files = {message.ts: [image]}
        request = RunRequest(conversation, [message], OPTIONS, "turn-2", files=files)
        with pytest.raises(RunFailed, match="bad_request"):
            await engine.start(request)
        run = await engine.start(replace(request, files={}))
        assert (await last_update(engine, run, conversation)).text == "turn 1: hello | look"


@pytest.mark.parametrize("variant", ["no_conversations", "chat_completions"])
async def test_a_rate_limit_is_raised_at_the_start_of_the_run(variant: str) -> None:
    async with open_fake_openai(variant=variant) as fake, open_responses_on(fake) as engine:
        fake.fault("rate_limit", "POST", retry_after=7, skip=1 if variant[0] == "n" else 2)
        with pytest.raises(RateLimited) as caught:
            await start(engine, await begin(engine), said("hello"))
    assert caught.value.after == 7


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("variant", ["openai", "no_conversations", "chat_completions"])
async def test_an_unknown_model_is_named_as_such(variant: str, streaming: bool) -> None:
    async with (
        open_fake_openai(variant=variant, models={"tiny": None}) as fake,
        open_responses_on(fake, bot_streaming=streaming) as engine,
    ):
        with pytest.raises(RunFailed, match="model_not_found"):
            await ask(engine, await begin(engine), "hello")


async def test_an_address_without_v1_is_named_as_such(fake: FakeOpenAI) -> None:
    url = fake.base_url.removesuffix("/v1")
    async with open_responses_on(fake, openai_base_url=url) as engine:
        with pytest.raises(RunFailed, match="endpoint_not_found"):
            await ask(engine, await begin(engine), "hello")
