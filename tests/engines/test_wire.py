"""Responses as other servers and proxies write them, byte by byte."""

import gzip
import json
import time
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Any

import httpx2
import pytest

from bot.engines import RunRequest
from bot.engines.answer import PartialResponse
from bot.engines.api import Api
from bot.engines.chat_completions import _Reader
from bot.engines.client import open_client
from bot.engines.router import open_responses
from bot.errors import BotError, DependencyDown, RateLimited, RunFailed
from bot.models import Update
from bot.settings import Settings
from tests.engines.engines import FAST, OPTIONS, begin, last_update, said
from tests.engines.raw_server import open_raw_server, replying, settings_for

JSON = "Content-Type: application/json"
EVENTS = "Content-Type: text/event-stream"
TEXT = "Hello world"


def response(body: bytes | str, *headers: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode() + (body.encode() if isinstance(body, str) else body)


def chunk(text: Any, **fields: Any) -> Any:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": text}, **fields}]}


def events(*data: Any, end: str = "\n\n", mark: str = "data: ") -> str:
    return "".join(f"{mark}{json.dumps(each)}{end}" for each in data) + f"{mark}[DONE]{end}"


STOP = chunk(None, finish_reason="stop")
CHUNKS = chunk("Hello "), chunk("world"), STOP
WHOLE = json.dumps(
    {"id": "c", "choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}
)
ANSWERS = {
    "lines with CR LF": response(events(*CHUNKS, end="\r\n\r\n"), EVENTS),
    "lines with CR": response(events(*CHUNKS, end="\r\r"), EVENTS),
    "a byte order mark": response("\ufeff" + events(*CHUNKS), EVENTS),
    "comments, ids and names": response(f": ping\n\nid: 1\n{events(*CHUNKS)}", EVENTS),
    "no space after the colon": response(events(*CHUNKS, mark="data:"), EVENTS),
    "no end": response(events(*CHUNKS).removesuffix("data: [DONE]\n\n").rstrip(), EVENTS),
    "another type": response(events(*CHUNKS), "Content-Type: text/plain"),
    "no type": response(events(*CHUNKS)),
    "x-gzip": response(gzip.compress(events(*CHUNKS).encode()), EVENTS, "Content-Encoding: x-gzip"),
    "early hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" + response(events(*CHUNKS), EVENTS),
    "a whole answer": response(WHOLE, JSON),
    "a whole answer of a subtype": response(WHOLE, "Content-Type: application/vnd.api+json"),
    "a message that repeats the text": response(
        events(*CHUNKS[:2], {"choices": [{"message": {"content": TEXT}, "finish_reason": "stop"}]}),
        EVENTS,
    ),
    "a second choice": response(events(*CHUNKS[:2], chunk("no", index=1), STOP), EVENTS),
    "null in many places": response(
        events({"id": None, "choices": None}, {"choices": [{"delta": None}]}, *CHUNKS), EVENTS
    ),
    "no blank lines": response(events(*CHUNKS, end="\n"), EVENTS),
    "no end of the last line": response(events(*CHUNKS[:2]) + f"data: {json.dumps(STOP)}", EVENTS),
    "messages instead of deltas": response(
        events(
            {"choices": [{"message": {"content": "Hello "}}]},
            {"choices": [{"message": {"content": "world"}, "finish_reason": "stop"}]},
        ),
        EVENTS,
    ),
    "the texts of completions": response(
        events({"choices": [{"text": "Hello "}]}, {"choices": [{"text": "world"}]}), EVENTS
    ),
    "a whole answer without a type": response(WHOLE),
    "a whole answer as an event stream": response(WHOLE, EVENTS),
    "lines of JSON": response(
        "\n".join(map(json.dumps, CHUNKS)), "Content-Type: application/x-ndjson"
    ),
    "deflate without a header": response(
        zlib.compress(WHOLE.encode())[2:-4], JSON, "Content-Encoding: deflate"
    ),
    "a connection that breaks behind the end": response(
        events(*CHUNKS), EVENTS, "Content-Length: 9999"
    ).replace(b"data: [DONE]\n\n", b""),
    "gzip of several members": response(
        b"".join(gzip.compress(f"data: {json.dumps(each)}\n\n".encode()) for each in CHUNKS)
        + b"\0",
        EVENTS,
        "Content-Encoding: gzip",
    ),
    "an encoding without a name": response(events(*CHUNKS), EVENTS, "Content-Encoding: "),
    "events that are called JSON": response(": ping\n\n" + events(*CHUNKS), JSON),
    "deltas that are text": response(
        events({"choices": [{"delta": "Hello "}]}, {"choices": [{"delta": "world"}]}, STOP), EVENTS
    ),
    "an index that is text": response(events(*CHUNKS[:1], chunk("world", index="0")), EVENTS),
    "parts with thoughts": response(
        events(
            chunk([{"type": "thinking", "thinking": [{"type": "text", "text": "no"}]}]),
            chunk([{"type": "text", "text": TEXT}]),
            STOP,
        ),
        EVENTS,
    ),
}


@asynccontextmanager
async def answering(content: bytes, protocol: str = "chat") -> AsyncIterator[Settings]:
    """The settings for a server that answers everything with these bytes."""
    async with open_raw_server(replying(lambda head: content)) as url:
        yield settings_for(url, openai_model="tiny", bot_protocol=protocol, bot_run_deadline=30)


async def the_answer(content: bytes, protocol: str = "chat") -> Update:
    async with answering(content, protocol) as settings, open_responses(settings, FAST) as engine:
        conversation = await begin(engine)
        run = await engine.start(RunRequest(conversation, [said("hello")], OPTIONS, "turn-1"))
        return await last_update(engine, run, conversation)


async def the_error(content: bytes) -> BotError:
    with pytest.raises(BotError) as raised:
        await the_answer(content)
    return raised.value


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_is_read_however_it_is_written(kind: str) -> None:
    assert (await the_answer(ANSWERS[kind])).text == TEXT


async def test_parts_that_are_equal_are_all_of_the_answer() -> None:
    parts = ["1", "0", "0", "0", "!", "!"]
    content = response(events(*({"choices": [{"text": part}]} for part in parts)), EVENTS)
    assert (await the_answer(content)).text == "1000!!"


DELTA = {"type": "response.output_text.delta", "item_id": "m", "delta": "Hello "}
DELTAS = DELTA, DELTA | {"delta": "world"}
END = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}
REASONING = {
    "type": "response.output_item.added",
    "output_index": 0,
    "item": {"type": "reasoning", "id": "rs"},
}


def ended(**item: Any) -> Any:
    return END | {"response": {"status": "completed", "output": [item]}}


RESPONSES: dict[str, Sequence[Any]] = {
    "an item without a type": (*DELTAS, ended(role="assistant", content=[{"text": TEXT}])),
    "an item without a role": (ended(type="message", content=[{"text": TEXT}]),),
    "an item without its text": (*DELTAS, ended(type="message", role="assistant", id="m")),
    "an output that is text": (END | {"response": {"status": "completed", "output": TEXT}},),
    "an end without a response": (*DELTAS, {"type": "response.completed"}),
    "the response in place of events": ({"status": "completed", "output": [{"content": TEXT}]},),
    "a complete part only": ({"type": "response.content_part.done", "part": {"text": TEXT}},),
    "the same number for all events": [each | {"sequence_number": 0} for each in (*DELTAS, END)],
    "a beginning without a status": ({"type": "response.created", "response": {}}, *DELTAS, END),
    "an end in progress": (*DELTAS, END | {"response": {"status": "in_progress", "output": []}}),
    "the same index for all items": (
        REASONING,
        *(each | {"output_index": 0} for each in DELTAS),
        END,
    ),
    "deltas that are objects": (
        *(each | {"delta": {"text": each["delta"]}} for each in DELTAS),
        END,
    ),
    "deltas behind the end": (ended(type="message", role="assistant", content=TEXT), *DELTAS),
    "the whole text at its end only": ({"type": "response.output_text.done", "text": TEXT},),
    "no last event": (DELTA, {"type": "response.output_text.done", "item_id": "m", "text": TEXT}),
    "a refusal in one piece": ({"type": "response.refusal.done", "refusal": TEXT}, END),
    "no end but the last line": DELTAS,
    "an end in other words": (*DELTAS, END | {"response": {"status": "Succeeded"}}),
    "a comment without an answer": (ended(content=TEXT, phase="commentary"),),
    "an unknown phase": (ended(content=TEXT, phase="analysis"),),
    "the text beside the items": (
        {"type": "response.completed", "response": {"output": [], "output_text": TEXT}},
    ),
}


PHASES = ("first I look", "commentary"), (TEXT, "final_answer")


@pytest.mark.parametrize("kind", RESPONSES)
async def test_a_response_is_read_however_it_is_written(kind: str) -> None:
    content = response(events({"type": "response.created"}, *RESPONSES[kind]), EVENTS)
    assert (await the_answer(content, "responses")).text == TEXT


async def test_a_comment_is_not_part_of_an_answer() -> None:
    comment, answer = ({"content": each, "phase": phase} for each, phase in PHASES)
    last = END | {"response": {"status": "completed", "output": [comment, answer]}}
    update = await the_answer(
        response(events({"type": "response.created"}, last), EVENTS), "responses"
    )
    assert update.text == TEXT


async def test_the_type_of_an_event_may_be_its_name() -> None:
    named = ""
    for each in (*DELTAS, END):
        data = {key: value for key, value in each.items() if key != "type"}
        named += f"event: {each['type']}\ndata: {json.dumps(data)}\n"
    assert (await the_answer(response(named, EVENTS), "responses")).text == TEXT


async def test_a_json_body_that_breaks_leaves_no_connection_open() -> None:
    content = response('{"id":', JSON, "Content-Length: 99")
    async with answering(content) as settings, open_client(settings) as client:
        api = Api(client, FAST)
        opened = await api._open("/x", {}, api.slow_timeout(5))
        with pytest.raises(httpx2.RequestError):
            await api._stream_or_body(opened)
        assert opened.response.is_closed


async def test_a_stream_that_ends_within_a_call_is_no_answer() -> None:
    """The text before the call was complete, but the arguments are not."""
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "x", "arguments": '{"a'}
    content = response(
        events(
            {"type": "response.created"},
            {"type": "response.output_text.done", "item_id": "m", "text": TEXT},
            {"type": "response.output_item.added", "output_index": 1, "item": call},
        ).removesuffix("data: [DONE]\n\n"),
        EVENTS,
    )
    with pytest.raises(RunFailed):
        await the_answer(content, "responses")


@pytest.mark.parametrize("arguments", ['{"a', '{"a":1}', ""])
async def test_chunks_that_end_within_a_call_are_no_answer(arguments: str) -> None:
    call = {"index": 0, "id": "a", "function": {"name": "x", "arguments": arguments}}
    partial = PartialResponse(is_numbered=False)
    reader = _Reader(partial, takes_calls=True)
    reader.take({"choices": [{"delta": {"content": TEXT, "tool_calls": [call]}}]})
    if arguments == '{"a':
        with pytest.raises(RunFailed):
            reader.end()
    else:
        reader.end()
        assert partial.finish(takes_calls=True).calls


async def test_bytes_that_are_no_text_cost_only_themselves() -> None:
    data = b'data: {"choices":[{"delta":{"content":"a \xff b \xe2\x82"}}]}\n\n'
    update = await the_answer(response(data + events(STOP).encode(), EVENTS))
    assert update.text == "a \ufffd b \ufffd"


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 7, "completion_tokens": 5}, (7, 5, 0)),
        ({"input_tokens": 7, "output_tokens": 5}, (7, 5, 0)),
        ({"prompt_tokens": 7}, (7, 3, 3)),
        ({"prompt_tokens": 7, "completion_tokens": None}, (7, 3, 3)),
        ({"prompt_tokens": -1, "completion_tokens": -5}, None),
        ({"prompt_tokens": "7", "completion_tokens": 1e99}, None),
        ([1], None),
        (None, None),
    ],
)
async def test_usage_that_is_not_reported_is_estimated(
    usage: Any, counted: tuple[int, int, int] | None
) -> None:
    found = (await the_answer(response(events(*CHUNKS[:2], STOP | {"usage": usage}), EVENTS))).usage
    assert found is not None
    if counted is None:
        assert found.estimated == found.input_tokens + found.output_tokens > 0
    else:
        assert (found.input_tokens, found.output_tokens, found.estimated) == counted


LIST = [{"error": {"code": 404, "message": "models/tiny is not found for API version v1beta"}}]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (response(json.dumps(LIST), JSON, status="404 X"), "model_not_found"),
        (response("{}", status="402 X"), "insufficient_quota"),
        (
            response(
                '{"error":{"message":"Your credit balance is too low"}}',
                JSON,
                status="400 X",
            ),
            "insufficient_quota",
        ),
        (response("{}", status="413 X"), "context_length_exceeded"),
        (
            response(
                '{"error":{"message":"The model tiny does not exist","code":"model_not_found"}}',
                JSON,
            ),
            "model_not_found",
        ),
        (
            response('{"error":{"message":"Unknown request URL: POST /v1/x"}}', JSON),
            "endpoint_not_found",
        ),
        (
            response('{"id":1,"choices":[],"error":{"message":"No model tiny: not found"}}', JSON),
            "model_not_found",
        ),
        (response('{"error":{"code":413,"message":"too much"}}', JSON), "context_length_exceeded"),
        (response('{"choices":null,"error":{"code":"400","message":"no"}}', JSON), "bad_request"),
        (response('{"error":"Unknown endpoint"}', JSON), "endpoint_not_found"),
        (response(events(chunk("a", finish_reason="RECITATION")), EVENTS), "content_filter"),
        (response(events(chunk("a", finish_reason="refusal")), EVENTS), "content_filter"),
        (
            response(events({"type": "error", "code": "context_length_exceeded"}), EVENTS),
            "context_length_exceeded",
        ),
        (response(events(chunk("a", finish_reason="network_error")), EVENTS), "server_error"),
        (response(events(chunk("a")).removesuffix("data: [DONE]\n\n"), EVENTS), "stream_cut"),
        (response(events(chunk("a", finish_reason="error")), EVENTS), "server_error"),
        (
            response(
                events(chunk("a"), chunk("", error={"code": 502}, finish_reason="error")),
                EVENTS,
            ),
            "stream_cut",
        ),
    ],
)
async def test_failures_have_their_reason(content: bytes, reason: str) -> None:
    error = await the_error(content)
    assert isinstance(error, RunFailed)
    assert error.reason == reason


@pytest.mark.parametrize("protocol", ["chat", "responses"])
@pytest.mark.parametrize(
    "body",
    [
        '{"error":{"message":"overloaded","type":"server_error"}}',
        '{"error":"overloaded"}',
        '{"id":null,"output":null,"choices":null,"error":{"code":502,"message":"upstream"}}',
    ],
)
async def test_an_error_in_a_response_with_status_200_is_waited_out(
    protocol: str, body: str
) -> None:
    content = response(body, JSON)
    with pytest.raises(DependencyDown):
        await the_answer(content, protocol)


@pytest.mark.parametrize(("after", "least", "most"), [("30", 30, 30), ("in a while", None, None)])
async def test_the_pause_that_a_server_asks_for(
    after: str, least: float | None, most: float | None
) -> None:
    error = await the_error(response("{}", f"Retry-After: {after}", status="429 X"))
    assert isinstance(error, RateLimited)
    assert error.after == least == most


async def test_the_pause_may_be_a_date() -> None:
    date = formatdate(time.time() + 90, usegmt=True)
    error = await the_error(response("{}", f"Retry-After: {date}", status="429 X"))
    assert isinstance(error, RateLimited)
    assert error.after is not None
    assert 60 < error.after <= 90
    past = await the_error(response("{}", f"Retry-After: {formatdate(0)}", status="429 X"))
    assert isinstance(past, RateLimited)
    assert past.after == 0


WHAT_WAS_DELETED = '{"id":"conv_1","items":"' + "x" * 300_000 + '"}'


@pytest.mark.parametrize(
    "body",
    ["", "ok", "null", '{"id":"\udcff"}', WHAT_WAS_DELETED],
    ids=["empty", "ok", "null", "no text", "long"],
)
@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "204 No Content"])
async def test_a_deletion_succeeds_whatever_the_body(status: str, body: str) -> None:
    sent = body.encode(errors="surrogateescape") if not status.startswith("204") else b""
    content = response(sent, JSON, status=status)
    async with answering(content) as settings, open_client(settings) as client:
        await Api(client, FAST).delete("conversations", "conv_1")
