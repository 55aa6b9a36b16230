"""What is kept of the data of an AI server, event by event, is bounded in bytes."""

import asyncio
import json
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
import openai
import pytest

from bot.engines.answer import PartialResponse
from bot.engines.chat_calls import ChatCalls
from bot.engines.connection import HEAD_BYTES, HttpConnection
from bot.engines.errors import MESSAGE_CHARS, parse_error
from bot.engines.events import MOST_TOGETHER, EventStream
from bot.engines.runs import PartialRun
from bot.engines.size import size_of
from bot.errors import RunFailed
from tests.engines.engines import open_responses_on
from tests.fakes.openai import open_fake_openai
from tests.hostile.counting import counted
from tests.hostile.test_ai_server import JSON, Writer, open_liar

BIG = "x" * 1_000_000
MANY: list[Any] = [{}] * 100_000
EVENTS = 200
"""More than 48 MB of any kind."""


def delta(n: int) -> dict[str, Any]:
    kind = "response.output_text.delta"
    return {"type": kind, "item_id": f"{n}{BIG}", "output_index": 0, "delta": ""}


def note(n: int) -> dict[str, Any]:
    kind = "response.output_text.annotation.added"
    return {"type": kind, "item_id": "m", "output_index": 0, "annotation": {"title": f"{n}{BIG}"}}


def part(n: int, **content: Any) -> dict[str, Any]:
    kind = "response.content_part.done"
    return {"type": kind, "item_id": "m", "output_index": 0, "content_index": n, "part": content}


def item(n: int, **content: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": n, "item": content}


Making = Callable[[int], dict[str, Any]]


def take_all(partial: PartialResponse | PartialRun, make: Making) -> None:
    for number in range(EVENTS):
        partial.take(make(number))


OF_RESPONSES: dict[str, Making] = {
    "ids": delta,
    "annotations": note,
    "texts of parts": lambda n: part(n, text=BIG),
    "annotations of parts": lambda n: part(n, text="", annotations=[{"title": BIG}]),
    "texts of items": lambda n: item(n, type="message", content=BIG),
    "small values": lambda n: item(n, type="x", content=MANY),
}


@pytest.mark.parametrize("kind", OF_RESPONSES)
def test_a_response_keeps_a_bounded_size(kind: str) -> None:
    partial = PartialResponse()
    with pytest.raises(RunFailed, match="answer_too_large"):
        take_all(partial, OF_RESPONSES[kind])


def test_a_text_that_is_sent_again_is_counted_once() -> None:
    partial = PartialResponse()
    for number in range(3):
        partial.take(item(number, type="message", content=BIG[:300_000]))
        for _ in range(5):
            partial.take(item(number, type="message", content=BIG[:300_000]))
    assert len(partial.text) > 900_000


OF_ASSISTANTS: dict[str, Making] = {
    "ids": lambda n: {"event": "thread.message.delta", "data": {"id": f"{n}{BIG}"}},
    "steps": lambda n: {
        "event": "thread.run.step.delta",
        "data": {"step_details": {"tool_calls": [{"id": f"{n}", "function": {"name": BIG}}]}},
    },
}


@pytest.mark.parametrize("kind", OF_ASSISTANTS)
def test_a_run_keeps_a_bounded_size(kind: str) -> None:
    partial = PartialRun()
    with pytest.raises(RunFailed, match="answer_too_large"):
        take_all(partial, OF_ASSISTANTS[kind])


def test_calls_of_chat_completions_cost_the_same_however_many_there_are() -> None:
    def steps(count: int) -> int:
        calls = ChatCalls()
        with counted() as found:
            for number in range(count):
                calls.take({"index": number, "function": {"name": "f", "arguments": "{"}})
        return found.steps

    assert steps(800) < 12 * steps(100)


def test_many_calls_count_by_what_they_take() -> None:
    calls = ChatCalls()
    for number in range(100):
        calls.take({"index": number})
    assert calls.size >= 100 * size_of({"id": "", "name": "", "chunks": []})


async def test_the_error_of_a_stream_is_cut_off() -> None:
    class Once(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            error = {"code": "c", "message": BIG, "more": MANY}
            yield b"data: " + json.dumps({"type": "error", "error": error}).encode() + b"\n\n"

    request = httpx2.Request("POST", "http://x")
    async with openai.AsyncOpenAI(api_key="k") as client:
        response = httpx2.Response(200, stream=Once(), request=request)
        stream = EventStream(cast_to=object, response=response, client=client)
        with pytest.raises(openai.APIError) as raised:
            await anext(aiter(stream))
    assert raised.value.code == "c"
    assert size_of(raised.value.body) < 2 * MESSAGE_CHARS


class Silent(asyncio.Transport):
    """A transport to which requests are written, and nothing else."""

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


async def asked() -> tuple[HttpConnection, asyncio.Task[Any]]:
    connection = HttpConnection()
    connection.connection_made(Silent())
    task = asyncio.create_task(connection.send(b"GET / HTTP/1.1\r\n\r\n", None, None))
    await asyncio.sleep(0)
    connection.data_received(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    return connection, task


@pytest.mark.parametrize(
    ("start", "more"),
    [(b"0\r\n", b"A: b\r\n"), (b"0\r\nA: ", b"bbbbbb"), (b"5;", b"aaaaaa")],
    ids=["trailers", "one trailer", "extension of a chunk"],
)
async def test_what_comes_besides_a_body_is_bounded(start: bytes, more: bytes) -> None:
    connection, task = await asked()
    connection.data_received(start)
    for _ in range(3):
        connection.data_received(more * (HEAD_BYTES // 12))
    with pytest.raises(httpx2.RemoteProtocolError, match="too long"):
        await task


async def test_a_body_in_tiny_chunks_takes_no_more_memory_than_in_one() -> None:
    connection, task = await asked()
    tracemalloc.start()
    for _ in range(20):
        connection.data_received(b"2\r\nxx\r\n" * 5_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * 200_000
    connection.data_received(b"0\r\n\r\n")
    assert len((await task).body) == 200_002


async def test_a_response_that_switches_the_protocol_is_refused() -> None:
    connection, task = await asked()
    connection.data_received(b"0\r\n\r\n")
    await task
    task = asyncio.create_task(connection.send(b"GET / HTTP/1.1\r\n\r\n", None, None))
    await asyncio.sleep(0)
    head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nabc"
    connection.data_received(head)
    with pytest.raises(httpx2.RemoteProtocolError):
        await task


class Once(httpx2.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"data: {}\n\n" * 20_000


async def test_other_tasks_run_between_the_events_of_one_read() -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with openai.AsyncOpenAI(api_key="sk-1", base_url="http://server") as client:
        request = httpx2.Request("GET", "http://server")
        response = httpx2.Response(200, stream=Once(), request=request)
        stream = EventStream(cast_to=object, response=response, client=client)
        task = asyncio.create_task(turn())
        lists = [events async for events in stream]
        task.cancel()
    assert sum(map(len, lists)) == 20_000
    assert max(map(len, lists)) <= MOST_TOGETHER
    assert turns > 3


ADDED = {"type": "response.output_item.added", "item": {"type": "reasoning"}}
DELTA = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "delta": "x"}


def test_items_with_one_index_are_found_without_a_search() -> None:
    """Work that grows with the number of items for each event would be quadratic."""

    def steps(items: int) -> int:
        partial = PartialResponse(is_numbered=False)
        for index in range(items):
            partial.take(ADDED | {"output_index": index})
        with counted() as count:
            for _ in range(50):
                partial.take(DELTA)
        return count.steps

    assert steps(400) < 2 * steps(4)


async def test_a_list_of_large_entries_is_abandoned() -> None:
    pages = 0

    async def reply(writer: Writer) -> None:
        nonlocal pages
        pages += 1
        entries = [{"id": f"m{pages}_{n}", "content": BIG} for n in range(6)]
        writer.write(JSON + json.dumps({"data": entries, "has_more": True}).encode())
        await writer.drain()

    async with (
        open_fake_openai() as fake,
        open_liar(reply) as url,
        open_responses_on(fake, openai_base_url=url) as engine,
    ):
        with pytest.raises(RunFailed, match="answer_too_large"):
            await engine.native._api.all("models")
    assert pages < 8


def test_only_the_beginning_of_an_error_is_searched() -> None:
    request = httpx2.Request("POST", "http://server")
    body = {"message": "x" * MESSAGE_CHARS + " context_length_exceeded"}
    response = httpx2.Response(400, request=request)
    error = parse_error(openai.APIStatusError("", response=response, body=body))
    assert isinstance(error, RunFailed)
    assert error.reason == "bad_request"
