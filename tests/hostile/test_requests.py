"""Requests from the open internet, and malformed requests with a valid signature."""

import asyncio
import gzip
import hashlib
import hmac
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bot.slack.delivery_notes import DeliveryNotes
from bot.slack.http_server import listening
from bot.slack.server import add_events_route
from bot.slack.signatures import Verifier
from local_slack.delivery.events import Event
from tests.hostile.counting import counted
from tests.mutations import mutate
from tests.slack.test_content import payloads
from tests.world import World, wait_until

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(body: bytes, secret: str = SECRET, at: str | None = None) -> dict[str, str]:
    timestamp = at or str(int(time.time()))
    base = b"v0:" + timestamp.encode() + b":" + body
    digest = hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": timestamp, "X-Slack-Signature": f"v0={digest}"}


class Quiet(DeliveryNotes):
    """Keeps the reasons instead of writing them to Redis."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def rejected(self, reason: str) -> None:
        self.reasons.append(reason)


class Dispatched:
    """Replaces Bolt's app: counts the requests that reach it."""

    def __init__(self) -> None:
        self.requests: list[AsyncBoltRequest] = []

    async def async_dispatch(self, request: AsyncBoltRequest) -> BoltResponse:
        self.requests.append(request)
        return BoltResponse(status=200)


@asynccontextmanager
async def door(
    *, seconds: float = 10.0, most: int = 100
) -> AsyncIterator[tuple[str, int, Dispatched, Quiet]]:
    """Only the route of Slack's requests, at its own port."""
    site, app, notes = web.Application(), Dispatched(), Quiet()
    add_events_route(site, app, Verifier(SECRET), notes, seconds=seconds)  # type: ignore[arg-type]
    async with listening(site, "127.0.0.1", 0, "PORT", most=most, seconds=seconds) as (host, port):
        yield host, port, app, notes


DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
EVENT = b'{"type":"event_callback","event":{"type":"message"}}'


Sign = Callable[[bytes], dict[str, str]]
"""Makes the headers when the test runs: a signature is valid for five minutes."""


def unsigned(body: bytes) -> dict[str, str]:
    return {}


def with_header(name: str, value: str) -> Sign:
    return lambda body: signed(body) | {name: value}


REQUESTS: list[tuple[bytes, Sign, int]] = [
    (EVENT, unsigned, 401),
    (DEEP, unsigned, 401),
    (b"\xff\xfe\x00", unsigned, 401),
    (b"", unsigned, 401),
    (EVENT, partial(signed, secret="another app's secret"), 401),
    (EVENT, partial(signed, at="1"), 401),
    (EVENT, partial(signed, at="9" * 400), 401),
    (EVENT, partial(signed, at="-5"), 401),
    (EVENT, partial(signed, at="1e9"), 401),
    (EVENT, with_header("X-Slack-Request-Timestamp", "١٢٣"), 401),
    (EVENT, with_header("X-Slack-Signature", "v0=ü"), 401),
    (EVENT, with_header("X-Slack-Signature", "v0=" + "0" * 64), 401),
    (EVENT, lambda body: signed(body + b" "), 401),
    (DEEP, signed, 400),
    (b"[]", signed, 400),
    (b"\xff\xfe", signed, 400),
    (b"1" * 5000, signed, 400),
    (EVENT, signed, 200),
]


@pytest.mark.parametrize(("body", "sign", "status"), REQUESTS)
async def test_malformed_and_unsigned_requests_are_rejected_without_side_effects(
    body: bytes, sign: Sign, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with door() as (host, port, app, _), aiohttp.ClientSession() as session:
        url = f"http://{host}:{port}/slack/events"
        async with session.post(url, data=body, headers=JSON | sign(body)) as response:
            assert response.status == status
        assert len(app.requests) == (status == 200)
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip"])
async def test_a_compressed_body_is_refused_unread(encoding: str) -> None:
    """Its declared length never arrives."""
    async with door(seconds=0.5) as (host, port, app, _):
        reader, writer = await asyncio.open_connection(host, port)
        headers = signed(b"hello") | {"Content-Encoding": encoding, "Content-Length": "500"}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        writer.write(f"POST /slack/events HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        async with asyncio.timeout(60):
            assert b" 415 " in await reader.read(200)
        writer.close()
        assert app.requests == []


async def test_no_route_decompresses_a_body() -> None:
    """The signature is that of the bytes as they came."""
    site, bodies = web.Application(), list[bytes]()

    async def keep(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        return web.Response()

    site.router.add_post("/", keep)
    body = gzip.compress(b"x" * 1000)
    async with (
        listening(site, "127.0.0.1", 0, "PORT") as (host, port),
        aiohttp.ClientSession(headers={"Content-Encoding": "gzip"}) as session,
        session.post(f"http://{host}:{port}/", data=body) as response,
    ):
        assert response.status == 200
    assert bodies == [body]


@pytest.mark.parametrize("length", ["Content-Length: 99999999", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize("sign", [unsigned, signed])
async def test_a_connection_that_sends_too_much_is_closed(
    length: str, sign: Sign, caplog: pytest.LogCaptureFixture
) -> None:
    async with door(seconds=60) as (host, port, app, _):
        reader, writer = await asyncio.open_connection(host, port)
        headers = "".join(f"{name}: {value}\r\n" for name, value in sign(b"").items())
        head = f"POST /slack/events HTTP/1.1\r\nHost: x\r\n{headers}{length}\r\n\r\n"
        writer.write(head.encode() + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 64)
        with suppress(ConnectionError):
            while await reader.read(1000):
                pass
        assert app.requests == []
    assert "Traceback" not in caplog.text


async def test_a_broken_call_to_another_service_is_not_blamed_on_the_peer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = web.Application()

    async def fail(request: web.Request) -> web.Response:
        raise ConnectionResetError("of another connection")

    site.router.add_get("/", fail)
    async with (
        listening(site, "127.0.0.1", 0, "PORT") as (host, port),
        aiohttp.ClientSession() as session,
        session.get(f"http://{host}:{port}/") as response,
    ):
        assert response.status == 500
    assert "of another connection" in caplog.text


@pytest.mark.parametrize("more", [b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n"])
async def test_a_body_that_is_not_what_its_headers_say_is_rejected_without_a_trace(
    more: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with door() as (host, port, app, _):
        reader, writer = await asyncio.open_connection(host, port)
        headers = "".join(f"{name}: {value}\r\n" for name, value in signed(b"hello").items())
        writer.write(f"POST /slack/events HTTP/1.1\r\nHost: x\r\n{headers}".encode() + more)
        async with asyncio.timeout(60):
            assert b" 400 " in await reader.read(200)
        writer.close()
        assert app.requests == []
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("payload", [b"payload=" + b"%5B" * 50_000, b"payload=%5B%5D", b"payload"])
async def test_a_form_is_parsed_after_its_signature(payload: bytes) -> None:
    async with door() as (host, port, _, __), aiohttp.ClientSession() as session:
        url = f"http://{host}:{port}/slack/events"
        async with session.post(url, data=payload, headers=FORM) as response:
            assert response.status == 401
        async with session.post(url, data=payload, headers=FORM | signed(payload)) as response:
            assert response.status < 500


async def test_an_unset_secret_verifies_nothing() -> None:
    headers = signed(EVENT, "")
    assert Verifier("").reject_body(headers, EVENT)


async def test_reasons_are_distinguished() -> None:
    async with door() as (host, port, _, notes), aiohttp.ClientSession() as session:
        url = f"http://{host}:{port}/slack/events"
        for headers in ({}, signed(EVENT, at="1"), signed(EVENT, "other")):
            await session.post(url, data=EVENT, headers=JSON | headers)
        assert notes.reasons == ["unsigned", "clock", "secret"]


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /slack/events HTTP/1.1\r\nHost: x\r\nX-A: ",
        b"GET /",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x00" * 200,
    ],
)
async def test_an_incomplete_request_is_cut_off(sent: bytes) -> None:
    async with door(seconds=0.3) as (host, port, _, __):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(sent)
        async with asyncio.timeout(60):
            await reader.read()
        writer.close()


async def test_headers_that_trickle_are_cut_off() -> None:
    async with door(seconds=0.3) as (host, port, _, __):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"POST /slack/events HTTP/1.1\r\n")
        async with asyncio.timeout(60):
            while not reader.at_eof():
                writer.write(b"X-A: b\r\n")
                try:
                    await asyncio.wait_for(reader.read(100), 0.05)
                except TimeoutError:
                    continue
                except ConnectionError:
                    break
        writer.close()


async def test_a_body_that_trickles_is_cut_off() -> None:
    async with door(seconds=0.3) as (host, port, app, _):
        reader, writer = await asyncio.open_connection(host, port)
        headers = "".join(f"{name}: {value}\r\n" for name, value in signed(EVENT).items())
        head = f"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n{headers}\r\n{{"
        writer.write(head.encode())
        async with asyncio.timeout(60):
            answer = await reader.read(200)
        assert b" 408 " in answer
        assert app.requests == []
        writer.close()


async def test_an_idle_connection_is_kept_between_requests() -> None:
    async with door(seconds=0.2) as (host, port, app, _):
        reader, writer = await asyncio.open_connection(host, port)
        for _ in range(2):
            headers = "".join(f"{name}: {value}\r\n" for name, value in signed(EVENT).items())
            head = (
                "POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(EVENT)}\r\n{headers}\r\n"
            )
            writer.write(head.encode() + EVENT)
            assert b" 200 " in await reader.read(1000)
            await asyncio.sleep(0.5)
        assert len(app.requests) == 2
        writer.close()


async def ended(reader: asyncio.StreamReader) -> None:
    with suppress(ConnectionError):
        assert await reader.read(1) == b""


async def reached(count: int, least: int) -> bool:
    return count >= least


async def test_connections_are_bounded_and_slack_still_gets_in() -> None:
    async with door(most=5) as (host, port, _, __):
        idle = [await asyncio.open_connection(host, port) for _ in range(50)]
        async with aiohttp.ClientSession() as session:
            url = f"http://{host}:{port}/slack/events"
            async with session.post(url, data=EVENT, headers=JSON | signed(EVENT)) as response:
                assert response.status == 200
        ends = [asyncio.create_task(ended(reader)) for reader, _ in idle]
        await wait_until(lambda: reached(sum(end.done() for end in ends), 45))
        for end in ends:
            end.cancel()
        for _, writer in idle:
            writer.close()


async def test_a_rejection_costs_less_than_an_acceptance(world: World) -> None:
    body = json.dumps({"type": "event_callback", "team_id": "T", "event": {"type": "x"}}).encode()
    url, secret = f"{world.url}/slack/events", world.slack.signing_secret

    async def steps(headers: dict[str, str]) -> int:
        with counted() as count:
            for _ in range(50):
                async with session.post(url, data=body, headers=JSON | headers):
                    pass
        return count.steps

    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        assert await steps({}) < await steps(signed(body, secret))


# Odd requests with a valid signature


async def test_odd_signed_requests_are_refused_without_harm(world: World) -> None:
    events: list[Any] = [None, [], "x", {}, {"type": None}, {"type": ["message"]}]
    bodies = [{"type": "event_callback", "event": event} for event in events]
    odd = [(JSON, json.dumps(body).encode()) for body in bodies]
    odd += [(FORM, body) for body in (b"command=%2Freset", b"command=%2Freset&user_id=U1")]
    url, secret = f"{world.url}/slack/events", world.slack.signing_secret
    async with aiohttp.ClientSession() as session:
        for headers, body in odd:
            async with session.post(
                url, data=body, headers=headers | signed(body, secret)
            ) as response:
                assert response.status == 400, body
    assert await world.ask("#general", "@bot still there?")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"type": "event_callback", "event": {"type": "reaction_added", "user": "U1"}}, 200),
        ({"type": "event_callback", "event": {"type": "new_in\n2030"}}, 200),
        ({"command": "/unknown", "user_id": "U1", "channel_id": "C1"}, 404),
    ],
)
async def test_an_event_that_the_bot_does_not_use_is_acknowledged(
    world: World, body: dict[str, Any], status: int
) -> None:
    """Slack repeats a refused event, and disables the events of an app that refuses many."""
    raw = json.dumps(body | {"team_id": world.slack.workspace.team_id}).encode()
    headers = JSON | signed(raw, world.slack.signing_secret)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{world.url}/slack/events", data=raw, headers=headers) as response,
    ):
        assert response.status == status
        assert "aiohttp" not in response.headers["Server"]


async def test_rejections_leave_a_note_for_the_doctor(world: World) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(3):
            headers = JSON | signed(EVENT, "another app's")
            await session.post(f"{world.url}/slack/events", data=EVENT, headers=headers)

    async def noted() -> str | None:
        return await world.bot.store.flags.read("last_rejected")

    assert (await wait_until(noted)).endswith(" secret")


async def test_the_bot_survives_mutated_payloads(each_way_world: World) -> None:
    world, chance = each_way_world, random.Random(7)
    samples = payloads()
    for _ in range(50):
        event: Any = mutate(chance.choice(samples), chance)
        if isinstance(event, dict):
            event = {"type": "message", "channel": world.slack.channel("#general").id} | event
            world.slack.deliveries_to_app.send_event(Event("message", event))
    assert await world.ask("#general", "@bot still there?")


async def test_our_own_messages_are_dropped_after_the_signature_check(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    ask = world.bot.store.routing.route

    async def hear(message: Any, *rest: Any) -> Any:
        heard.append(message.user_id)
        return await ask(message, *rest)

    monkeypatch.setattr(world.bot.store.routing, "route", hear)
    await world.ask("#general", "@bot hi")
    assert set(heard) == {world.slack.user("alice").id}
