"""Tools that the AI server runs itself: offered, reported, approved, and left out where unknown."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.calls import FunctionCall, FunctionOutput, FunctionSpec, HostedCall
from bot.engines import Engine, RunRequest
from bot.engines.hosted import KEPT_CHARS, hosted_calls
from tests.engines.engines import (
    OPTIONS,
    begin,
    last_update,
    open_assistants_on,
    open_responses_on,
    said,
)
from tests.fakes.openai import Answer, FakeOpenAI
from tests.fakes.openai.parts import code, mcp_approval_request, mcp_call, web_search

WEATHER = FunctionSpec("weather", "The weather of a city.", {"type": "object", "properties": {}})
CLOCK = FunctionSpec("clock", "The time.", {"type": "object", "properties": {}})
SEARCH = {"type": "web_search", "user_location": {"type": "approximate"}}
WIKI = {
    "type": "mcp",
    "server_label": "wiki",
    "server_url": "https://wiki.example/mcp",
    "allowed_tools": ["edit", "read"],
    "require_approval": {"always": {"tool_names": ["edit"]}, "never": {"tool_names": ["read"]}},
    "headers": {"Authorization": "Bearer secret"},
}


@pytest.fixture
async def responses_engine(fake: FakeOpenAI) -> AsyncIterator[Engine]:
    async with open_responses_on(fake) as engine:
        yield engine


@pytest.fixture
async def request_(responses_engine: Engine) -> RunRequest:
    conversation = await begin(responses_engine)
    functions = (CLOCK, WEATHER)
    return RunRequest(
        conversation, [said("go")], OPTIONS, "turn-1", functions=functions, hosted=(SEARCH, WIKI)
    )


def sent(fake: FakeOpenAI) -> dict[str, Any]:
    bodies: list[Any] = [each.body for each in fake.requests if each.path.endswith("/responses")]
    return dict(bodies[-1])


async def run(engine: Engine, request: RunRequest) -> Any:
    started = await engine.start(request)
    return started, await last_update(engine, started, request.conversation)


async def test_the_list_is_the_same_whatever_is_withheld(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    await run(responses_engine, request_)
    everything = sent(fake)
    assert "tool_choice" not in everything
    withheld = frozenset({"weather", "mcp:wiki"})
    await run(responses_engine, replace(request_, turn_id="turn-2", withheld=withheld))
    narrowed = sent(fake)
    assert narrowed["tools"] == everything["tools"]
    allowed = [{"type": "function", "name": "clock"}, {"type": "web_search"}]
    assert narrowed["tool_choice"] == {"type": "allowed_tools", "mode": "auto", "tools": allowed}


async def test_a_server_without_allowed_tools_gets_a_shorter_list(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    fake.options.allowed_tools = False
    for turn_id in ("turn-1", "turn-2"):
        refused = len(fake.requests)
        order = replace(request_, turn_id=turn_id, withheld=frozenset({"weather", "mcp:wiki"}))
        await run(responses_engine, order)
        assert [tool.get("name", tool["type"]) for tool in sent(fake)["tools"]] == [
            "clock",
            "web_search",
        ]
    tries = [each for each in fake.requests[refused:] if each.path.endswith("/responses")]
    assert len(tries) == 1  # remembered


async def test_a_server_without_hosted_tools_keeps_the_functions(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    fake.options.hosted_tools = False
    await run(responses_engine, replace(request_, withheld=frozenset({"weather"})))
    assert [tool["name"] for tool in sent(fake)["tools"]] == ["clock"]
    fake.options.takes_tools = False
    await run(responses_engine, replace(request_, turn_id="turn-2"))
    assert "tools" not in sent(fake)


async def test_the_calls_that_the_server_made_are_reported(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    fake.answer = Answer(
        "done",
        items=(
            web_search("tides"),
            code("cntr_1", "print(1)", "1"),
            mcp_call("wiki", "read", "about tides", '{"page": "tides"}'),
            mcp_call(
                "wiki", "read", None, error={"type": "http_error", "code": 500, "message": "down"}
            ),
        ),
    )
    _, update = await run(responses_engine, request_)
    shown = [(call.server, call.name, call.outcome, call.text) for call in update.hosted]
    assert shown == [
        ("", "web_search", "done", ""),
        ("", "code_interpreter", "done", ""),
        ("wiki", "read", "done", "about tides"),
        ("wiki", "read", "failed", "Error: down"),
    ]
    assert update.hosted[2].arguments == '{"page": "tides"}'
    assert [step.title for step in update.cards][2:] == ["wiki: read", "wiki: read"]


async def test_a_request_for_approval_is_a_call_and_its_output_the_approval(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    fake.answer = [
        Answer(items=(mcp_approval_request("wiki", "edit", '{"page": "tides"}'),)),
        Answer("edited", items=(mcp_call("wiki", "edit", "ok", '{"page": "tides"}'),)),
    ]
    asked, update = await run(responses_engine, request_)
    (call,) = update.calls
    assert (call.server, call.name, call.arguments) == ("wiki", "edit", '{"page": "tides"}')
    outputs = (FunctionOutput(call, "Approved.", approved=True),)
    order = replace(request_, asked_by=asked, asked_after=update.last_item_id, outputs=outputs)
    await run(responses_engine, order)
    assert sent(fake)["input"] == [
        {"type": "mcp_approval_response", "approval_request_id": call.id, "approve": True}
    ]
    # Repeated after a crash, the answer is adopted and nothing is approved a second time.
    before = len(fake.requests)
    _, last = await run(responses_engine, replace(order, again=True))
    assert last.text == "edited"
    assert not any(each.method == "POST" for each in fake.requests[before:])


async def test_an_open_request_for_approval_is_denied_before_the_next_turn(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    fake.answer = [Answer(items=(mcp_approval_request("wiki", "edit"),)), "hello"]
    asked, update = await run(responses_engine, request_)
    if asked:
        _, next_one = await run(responses_engine, replace(request_, turn_id="turn-2"))
    assert next_one.text == "hello"
    denied = sent(fake)["input"][0]
    assert (denied["approval_request_id"], denied["approve"]) == (update.calls[0].id, False)


async def test_a_closed_request_for_approval_carries_the_reason(
    responses_engine: Engine, fake: FakeOpenAI, request_: RunRequest
) -> None:
    fake.answer = [Answer(items=(mcp_approval_request("wiki", "edit"),)), "hello"]
    asked, update = await run(responses_engine, request_)
    outputs = [FunctionOutput(update.calls[0], "Not run: denied.")]
    await responses_engine.close_calls(request_.conversation, asked, outputs)
    (conversation,) = fake.conversations.values()
    assert conversation.items[-1]["reason"] == "Not run: denied."
    assert conversation.items[-1]["approve"] is False


def test_a_call_that_has_not_ended_is_of_unknown_outcome() -> None:
    item = {**mcp_call("wiki", "edit", None), "id": "mcp_1"}
    (call,) = hosted_calls([item])
    assert call == HostedCall("mcp_1", "edit", "{}", "wiki", outcome="unknown")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("boom", "Error: boom"),
        ({"type": "mcp_protocol_error", "code": -32000, "message": "boom"}, "Error: boom"),
        (
            {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": "boom"}]},
            "Error: boom",
        ),
        ({"type": "mcp_tool_execution_error", "content": [7]}, "Error: the call failed"),
    ],
)
def test_errors_of_every_form_are_read(error: Any, said: str) -> None:
    (call,) = hosted_calls([{**mcp_call("wiki", "edit", None, error=error), "id": "mcp_1"}])
    assert (call.text, call.outcome) == (said, "failed")


def test_endless_and_malformed_items_are_bounded() -> None:
    endless = mcp_call("wiki", "edit", "x" * 100_000, "y" * 100_000)
    odd: list[Any] = [{"type": "mcp_call", "id": None, "name": 7, "arguments": [], "output": {}}]
    many = [{**endless, "id": str(number)} for number in range(1_000)]
    first, *rest = hosted_calls([*odd, *many])
    assert first == HostedCall("item:0", "", "{}", outcome="unknown")
    assert len(rest) < 250
    assert rest[0].arguments == "{}"
    assert len(rest[0].text) <= KEPT_CHARS


def test_a_call_of_another_conversation_becomes_a_function_call() -> None:
    from bot.engines.functions import pair

    output = FunctionOutput(FunctionCall("mcpr_1", "edit", "{}", "wiki"), "ok", approved=True)
    assert [item["type"] for item in pair(output)] == ["function_call", "function_call_output"]


async def test_assistants_get_their_built_in_tools_and_the_vector_store(fake: FakeOpenAI) -> None:
    hosted = (
        SEARCH,
        {"type": "code_interpreter", "container": {"type": "auto"}},
        {"type": "file_search", "vector_store_ids": ["vs_1", "vs_2"]},
    )
    async with open_assistants_on(fake) as engine:
        conversation = await begin(engine)
        for number in range(2):
            message = said("go")
            turn_id = f"turn-{number}"
            await engine.append(conversation, message, turn_id=turn_id, again=False)
            order = RunRequest(
                conversation, [message], OPTIONS, turn_id, functions=(CLOCK,), hosted=hosted
            )
            await run(engine, order)
    bodies: list[Any] = [each.body for each in fake.requests if each.path.endswith("/runs")]
    kinds = [tool["type"] for tool in bodies[-1]["tools"]]
    assert kinds == ["code_interpreter", "file_search", "function"]
    attached = [each for each in fake.requests if "tool_resources" in (each.body or {})]
    assert len(attached) == 1, "once for a thread"
    stores: Any = attached[0].body
    assert stores["tool_resources"] == {"file_search": {"vector_store_ids": ["vs_1"]}}
