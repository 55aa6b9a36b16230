"""Requests past the SDK's layers behave like those through them."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import openai
import pytest
from aiohttp import web

from bot.engines import client as module
from bot.engines.api import Api
from bot.engines.client import open_client
from bot.engines.events import EventStream
from bot.engines.transport import BODY_BYTES
from bot.errors import BotError, ConversationGone, DependencyDown, RateLimited, Retry, RunFailed
from bot.settings import Settings
from bot.timing import EngineTiming

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def open_api(answer: Answer, timing: EngineTiming = EngineTiming()) -> AsyncIterator[Api]:
    """An `Api` on a server with this answer to every request."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    settings = Settings(
        _env_file=None,
        slack_bot_token="xoxb-1",
        openai_api_key="sk-secret",
        openai_base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1/",
    )
    try:
        async with open_client(settings, timing) as client:
            yield Api(client, timing)
    finally:
        await runner.cleanup()


async def test_a_read_has_the_headers_and_the_url_of_the_sdk() -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.raw_path, dict(request.headers)))
        return web.json_response({"id": "a"})

    async with open_api(answer) as api:
        assert await api.get("responses", "a/b ä") == {"id": "a"}
        await api.client.get("/responses/a%2Fb%20%C3%A4", cast_to=object)
    (path, headers), (expected_path, expected) = seen
    assert path == expected_path
    own = {"Connection", "Content-Type", "x-stainless-retry-count", "x-stainless-read-timeout"}
    assert {k: v for k, v in headers.items() if k not in own} == {
        k: v for k, v in expected.items() if k not in own
    }
    assert headers["Authorization"] == "Bearer sk-secret"


async def test_a_write_has_the_body_and_the_headers_of_the_sdk() -> None:
    seen: list[tuple[bytes, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((await request.read(), dict(request.headers)))
        return web.json_response({"id": "a"})

    body = {"input": [{"text": 'ä \u2028 "x"'}], "store": True, "n": 1.5, "none": None}
    async with open_api(answer) as api:
        assert await api.post("responses", body=body) == {"id": "a"}
        await api.client.post("/responses", cast_to=object, body=body)
    own = {"Connection", "x-stainless-retry-count", "x-stainless-read-timeout"}
    (sent, headers), (expected_body, expected) = seen
    assert sent == expected_body
    assert {k: v for k, v in headers.items() if k not in own} == {
        k: v for k, v in expected.items() if k not in own
    }


async def test_a_redirected_write_is_followed_once() -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(f"{request.method} {request.path} {(await request.json()).get('stream')}")
        if not request.path.startswith("/v2"):
            raise web.HTTPTemporaryRedirect(f"/v2{request.path}")
        if "stream" not in await request.json():
            return web.json_response({"id": "a"})
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"type": "x"}\n\ndata: [DONE]\n\n')
        return response

    async with open_api(answer) as api:
        assert await api.post("a", body={}) == {"id": "a"}
        stream = await api.stream("a", body={})
        assert isinstance(stream, EventStream)
        async with stream:
            assert [events async for events in stream] == [[{"type": "x"}]]
    assert seen[-1] == "POST /v2/v1/a True"


@pytest.mark.parametrize("status", [400, 404, 429, 500])
async def test_a_refused_stream_is_the_same_error_as_a_refused_write(status: int) -> None:
    async with open_api(replying(status, GONE, retry_after="3")) as api:
        with pytest.raises(BotError) as refused:
            await api.post("a", body={})
        with pytest.raises(type(refused.value)) as streamed:
            await api.stream("a", body={})
    assert vars(streamed.value) == vars(refused.value)


def replying(status: int, body: str, **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(
            status=status, text=body, headers=named, content_type="application/json"
        )

    return answer


GONE = json.dumps({"error": {"message": "Conversation with id 'c' not found.", "code": None}})


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (replying(200, "<html>"), Retry),
        (replying(200, "[]"), Retry),
        (replying(401, '{"error": {"message": "no"}}'), RunFailed),
        (replying(404, GONE), ConversationGone),
        (replying(429, '{"error": {"code": "rate_limit_exceeded"}}', Retry_After="7"), RateLimited),
        (replying(503, "down"), DependencyDown),
    ],
)
async def test_errors_are_classified_as_those_of_the_sdk(
    answer: Answer, expected: type[BotError]
) -> None:
    async with open_api(answer) as api:
        with pytest.raises(expected) as lean:
            await api.get("conversations", "c")
        with pytest.raises(expected) as full:
            await api.get("conversations", "c", include="all")
    assert str(lean.value) == str(full.value)
    assert getattr(lean.value, "after", None) == getattr(full.value, "after", None)


async def test_redirects_and_cookies_are_followed() -> None:
    cookies: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        cookies.append(request.headers.get("Cookie", ""))
        if request.path == "/v1/responses/old":
            raise web.HTTPTemporaryRedirect("/v1/responses/new")
        response = web.json_response({"path": request.path})
        response.set_cookie("node", "3")
        return response

    async with open_api(answer) as api:
        assert await api.get("responses", "old") == {"path": "/v1/responses/new"}
        await api.get("responses", "new")
    assert cookies[-1] == "node=3"


async def test_a_read_is_bounded_in_size_and_time() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("bomb"):
            body, headers = gzip.compress(b" " * (BODY_BYTES + 1), 1), {"Content-Encoding": "gzip"}
            return web.Response(body=body, headers=headers)
        response = web.StreamResponse()
        await response.prepare(request)
        await release.wait()
        return response

    release = asyncio.Event()
    async with open_api(answer) as api:
        with pytest.raises(RunFailed, match="answer_too_large"):
            await api.get("responses", "bomb")
    async with open_api(answer, EngineTiming(read_timeout=0.2, write_timeout=0.1)) as api:
        with pytest.raises(Retry, match="timeout"):
            await api.get("responses", "slow")
        release.set()


async def test_a_refused_connection_is_an_outage() -> None:
    async with open_api(replying(200, "{}")) as api:
        api.client.base_url = "http://127.0.0.1:1/"
        broken = Api(api.client)
        with pytest.raises(DependencyDown):
            await broken.get("responses", "a")


async def test_polls_pass_the_layers_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a poll built a request through the SDK")

    async with open_api(replying(200, '{"id": "a"}')) as api:
        monkeypatch.setattr(openai.AsyncOpenAI, "_build_request", refuse)
        assert isinstance(api.client._client, module.GatedClient)
        assert await api.get("responses", "a") == {"id": "a"}
