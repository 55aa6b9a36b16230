"""The fake's refusals, and that its own objects match OpenAI's types."""

from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.responses import response_create_params

from tests.fakes.conftest import Connect
from tests.fakes.openai import Answer, Call, FakeOpenAI, calling, open_fake_openai, parts
from tests.fakes.openai.parameters import find_problem
from tests.fakes.openai.specification import find_error

MODEL = "gpt-6-luna"


def message(part: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


# `...` omits a parameter.
@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        ({"foo": 1}, "unknown_parameter", "foo"),
        ({"reasoning": {"effort": "super"}}, "invalid_value", "reasoning.effort"),
        ({"background": "yes"}, "invalid_type", "background"),
        ({"max_output_tokens": 1.5}, "invalid_type", "max_output_tokens"),
        ({"max_output_tokens": 15}, "integer_below_min_value", "max_output_tokens"),
        ({"model": ...}, "missing_required_parameter", "model"),
        ({"input": ...}, "missing_required_parameter", "input"),
        ({"input": 5}, "invalid_type", "input"),
        ({"tools": [{"type": "web_search", "bla": 1}]}, "unknown_parameter", "tools[0].bla"),
        ({"tools": [{"type": "function"}]}, "missing_required_parameter", "tools[0].name"),
        (
            {"input": message({"type": "input_image", "image_url": "data:"})},
            "missing_required_parameter",
            "input[0].content[0].detail",
        ),
        (
            {"input": message({"type": "text", "text": "hi"})},
            "invalid_value",
            "input[0].content[0].type",
        ),
        ({"input": [{"role": "wizard", "content": "x"}]}, "invalid_value", "input[0].role"),
        ({"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
        ({"temperature": 0.5}, None, "temperature"),
        ({"background": True, "store": False}, None, None),
        (
            {"conversation": "conv_x", "previous_response_id": "resp_x"},
            "mutually_exclusive_parameters",
            None,
        ),
        ({"input": message({"type": "input_file", "file_id": "file-x"})}, None, "input"),
        ({"metadata": {str(n): "x" for n in range(17)}}, "object_above_max_properties", "metadata"),
        ({"metadata": {"k" * 65: "x"}}, "string_above_max_length", None),
        ({"metadata": {"k": "x" * 513}}, "string_above_max_length", "metadata.k"),
    ],
)
async def test_a_response_is_refused_as_openai_would(
    fake: FakeOpenAI, client: AsyncOpenAI, body: dict[str, Any], code: str | None, param: str | None
) -> None:
    fake.options.openapi = False
    merged = {"model": MODEL, "input": "hi", **body}
    sent = {key: value for key, value in merged.items() if value is not ...}
    with pytest.raises(BadRequestError) as refused:
        await client.post("/responses", body=sent, cast_to=object)
    assert refused.value.type == "invalid_request_error"
    assert refused.value.code == code
    if param is not None:
        assert refused.value.param == param
    assert fake.responses == {}


@pytest.mark.parametrize(
    "body",
    [
        {"model": MODEL, "input": "hi", "background": True, "conversation": "conv_1"},
        {"model": "of-another-vendor", "input": "hi", "conversation": {"id": "conv_1"}},
        {"model": MODEL, "input": [{"role": "user", "content": "hi"}], "stream": True},
        {"model": MODEL, "input": message({"type": "input_text", "text": "hi"})},
        {
            "model": MODEL,
            "input": message({"type": "input_image", "image_url": "data:x", "detail": "auto"}),
            "tools": [
                {"type": "web_search"},
                {"type": "code_interpreter", "container": {"type": "auto"}},
                {"type": "function", "name": "f", "parameters": {}, "strict": True},
                {"type": "mcp", "server_label": "x", "server_url": "https://x.example"},
            ],
        },
        {
            "model": MODEL,
            "input": [{"type": "function_call_output", "call_id": "c", "output": "x"}],
            "reasoning": {"effort": "low", "summary": "auto"},
            "text": {"verbosity": "low"},
            "truncation": "auto",
            "metadata": {"a": "b"},
        },
    ],
)
def test_bodies_that_the_sdk_allows_pass(body: dict[str, Any]) -> None:
    assert find_problem(body, response_create_params.ResponseCreateParams) is None
    assert find_error(body, "CreateResponse") is None


@pytest.mark.parametrize(
    ("schema", "body", "code"),
    [
        ("CreateResponse", {"model": MODEL, "input": 5}, "invalid_value"),
        ("CreateThreadRequest", {"foo": 1}, "unknown_parameter"),
        ("CreateRunRequest", {}, "missing_required_parameter"),
        (
            "/conversations/{conversation_id}/items",
            {"items": [{"role": "user", "content": "x"}] * 21},
            "array_above_max_length",
        ),
        ("CreateMessageRequest", {"role": "user", "content": 5}, "invalid_value"),
    ],
)
def test_the_documented_types_refuse_on_their_own(
    schema: str, body: dict[str, Any], code: str
) -> None:
    error = find_error(body, schema)
    assert error is not None
    assert error.code == code


async def test_a_limit_that_is_only_documented_is_enforced(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="OpenAPI"):
        await client.responses.create(model=MODEL, input="hi", top_logprobs=99)


async def test_conversations_take_twenty_items_at_once(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.options.openapi = False
    conversation = await client.conversations.create()
    items: Any = [{"role": "user", "content": "x"}] * 21
    with pytest.raises(BadRequestError) as refused:
        await client.conversations.items.create(conversation.id, items=items)
    assert refused.value.code == "array_above_max_length"
    await client.conversations.items.create(conversation.id, items=items[:20])
    with pytest.raises(BadRequestError):
        await client.conversations.create(items=items)
    with pytest.raises(BadRequestError) as refused:
        await client.conversations.create(extra_body={"name": "x"})
    assert refused.value.code == "unknown_parameter"


async def test_metadata_of_every_kind_of_object_is_limited(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    metadata = {str(number): "x" for number in range(17)}
    thread = await client.beta.threads.create()
    calls = [
        client.conversations.create(metadata=metadata),
        client.beta.threads.create(metadata=metadata),
        client.beta.threads.messages.create(thread.id, role="user", content="x", metadata=metadata),
        client.beta.threads.runs.create(
            thread.id, assistant_id=fake.assistant_id, metadata=metadata
        ),
    ]
    for call in calls:
        with pytest.raises(BadRequestError) as refused:
            await call
        assert refused.value.code == "object_above_max_properties"


async def test_messages_of_threads_are_checked(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    thread = await client.beta.threads.create()
    create = client.beta.threads.messages.create
    await create(thread.id, role="user", content="x" * 256_000)
    with pytest.raises(BadRequestError) as refused:
        await create(thread.id, role="user", content="x" * 256_001)
    assert refused.value.code == "string_above_max_length"
    with pytest.raises(BadRequestError) as refused:
        await create(thread.id, role="user", content="x", extra_body={"name": "y"})
    assert refused.value.code == "unknown_parameter"
    with pytest.raises(BadRequestError):
        await create(thread.id, role="user", content="")
    with pytest.raises(BadRequestError) as refused:
        await create(thread.id, role="system", content="x")  # type: ignore[arg-type]
    assert refused.value.code == "invalid_value"
    assert len(fake.threads[thread.id].messages) == 1


async def test_pages_have_limits(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    for limit in (0, 101):
        with pytest.raises(BadRequestError):
            await client.conversations.items.list(conversation.id, limit=limit)
    with pytest.raises(BadRequestError):
        await client.conversations.items.list(conversation.id, after="msg_x")


async def test_a_body_that_is_no_json_is_refused(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="could not parse"):
        await client.post("/responses", content=b"{", cast_to=object)


async def test_the_objects_of_the_fake_keep_to_the_documented_types(connect: Connect) -> None:
    async with open_fake_openai() as fake:
        client = connect(fake)
        conversation = await client.conversations.create(metadata={"a": "b"})
        fake.answer = Answer("Hello", items=(parts.web_search("x"), parts.image(b"PNG")))
        response = await client.responses.create(
            model=MODEL, input="hi", conversation=conversation.id
        )
        thread = await client.beta.threads.create(messages=[{"role": "user", "content": "hi"}])
        fake.answer = [calling(Call("weather", call_id="c")), "Hello"]
        run = await client.beta.threads.runs.create(thread.id, assistant_id=fake.assistant_id)
        while run.status != "requires_action":
            run = await client.beta.threads.runs.retrieve(run.id, thread_id=thread.id)
        shown = [
            (fake.conversations[conversation.id].as_json(), "ConversationResource"),
            ({**fake.responses[response.id].body, "user": "U1"}, "Response"),
            (fake.threads[thread.id].as_json(), "ThreadObject"),
            (fake.runs[run.id].body, "RunObject"),
            (fake.assistants[fake.assistant_id], "AssistantObject"),
        ]
        await client.beta.threads.runs.submit_tool_outputs(
            run.id, thread_id=thread.id, tool_outputs=[{"tool_call_id": "c", "output": "x"}]
        )
        fake.finish()
        shown += [(fake.runs[run.id].body, "RunObject")]
        shown += [(entry, "MessageObject") for entry in fake.threads[thread.id].messages]
        shown += [
            (entry, "ConversationItem") for entry in fake.conversations[conversation.id].items
        ]
        errors = {schema: error for obj, schema in shown if (error := find_error(obj, schema))}
        assert errors == {}
