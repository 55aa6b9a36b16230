"""The fake's responses, files and models, through the real SDK."""

import base64

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from tests.fakes.conftest import Connect
from tests.fakes.openai import (
    Answer,
    FakeOpenAI,
    Prompt,
    Said,
    Tokens,
    after_polls,
    failed,
    held,
    incomplete,
    never,
    open_fake_openai,
    parts,
    slow,
)
from tests.fakes.turns import MODEL, ask, poll, wait_until


async def test_a_background_response_is_queued_first_and_finished_by_polls(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = after_polls("Hello", 2)
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    seen = [response.status]
    for _ in range(3):
        response = await client.responses.retrieve(response.id)
        seen.append(response.status)
    assert seen == ["queued", "in_progress", "in_progress", "completed"]
    assert response.output_text == "Hello"


async def test_an_answer_takes_the_time_that_its_script_says(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = slow("Hello", seconds=0.05, queued=0.05)
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    assert (await client.responses.retrieve(response.id)).status == "queued"
    await wait_until(lambda: fake.responses[response.id].status == "in_progress")
    assert (await poll(client, response)).output_text == "Hello"


async def test_a_synchronous_response_arrives_when_it_is_complete(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = after_polls("Hello", 5)
    response = await client.responses.create(model=MODEL, input="hi")
    assert (response.status, response.output_text) == ("completed", "Hello")


async def test_a_held_response_ends_when_the_test_says_so(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = held("Hello")
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    await wait_until(lambda: fake.responses[response.id].status == "in_progress")
    fake.responses[response.id].finish()
    assert (await client.responses.retrieve(response.id)).output_text == "Hello"


async def test_a_script_is_a_queue_or_a_function_of_the_prompt(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    def shout(prompt: Prompt) -> str:
        return prompt.user_messages[-1].upper()

    fake.answer = ["one", Answer("two")]
    fake.answer = shout
    texts = [(await ask(client, "hi")).output_text for _ in range(3)]
    assert texts == ["one", "two", "HI"]


async def test_a_failed_response_is_http_200_with_an_error(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = failed("rate_limit_exceeded", "Slow down.")
    response = await ask(client, "hi")
    assert response.status == "failed"
    assert response.error is not None
    assert (response.error.code, response.error.message) == ("rate_limit_exceeded", "Slow down.")


@pytest.mark.parametrize("text", ["", "This much and"])
async def test_an_incomplete_response_may_have_text(
    fake: FakeOpenAI, client: AsyncOpenAI, text: str
) -> None:
    fake.answer = incomplete("max_output_tokens", text)
    response = await ask(client, "hi")
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"
    assert response.output_text == text


async def test_cancel_is_idempotent_and_only_for_background_responses(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = [never(), "Hello"]
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    assert (await client.responses.cancel(response.id)).status == "cancelled"
    assert (await client.responses.cancel(response.id)).status == "cancelled"
    synchronous = await client.responses.create(model=MODEL, input="hi")
    with pytest.raises(BadRequestError):
        await client.responses.cancel(synchronous.id)


async def test_a_response_can_be_cancelled_from_outside(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    fake.answer = never()
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    fake.responses[response.id].cancel()
    assert (await client.responses.retrieve(response.id)).status == "cancelled"


async def test_a_deleted_response_is_gone(client: AsyncOpenAI) -> None:
    response = await ask(client, "hi")
    await client.responses.delete(response.id)
    with pytest.raises(NotFoundError, match="not found"):
        await client.responses.retrieve(response.id)


async def test_an_unstored_response_cannot_be_polled(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model=MODEL, input="hi", store=False)
    with pytest.raises(NotFoundError):
        await client.responses.retrieve(response.id)


async def test_an_answer_can_have_citations_phases_tools_and_usage(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    file_id = fake.add_container_file("cntr_1", "plot.png", b"PNG")
    citations = (
        parts.url_citation(0, 2, "https://example.com", "Example"),
        parts.file_citation("file-1", "a.pdf", 1),
        parts.container_file_citation("cntr_1", file_id, "plot.png", 0, 2),
        parts.file_path("file-2", 1),
    )
    fake.answer = Answer(
        said=(Said("Looking.", "commentary"), Said("It is.", "final_answer", citations)),
        items=(
            parts.reasoning("Thinking about it"),
            parts.web_search("weather"),
            parts.file_search("weather"),
            parts.code("cntr_1", "plot()"),
            parts.image(b"PNG"),
        ),
        tokens=Tokens(input=100, output=20, cached=64, reasoning=8),
    )
    response = await ask(client, "hi")
    kinds = [item.type for item in response.output]
    assert kinds[-2:] == ["message", "message"]
    assert {"web_search_call", "image_generation_call", "code_interpreter_call"} <= set(kinds)
    image = next(item for item in response.output if item.type == "image_generation_call")
    assert base64.b64decode(image.result or "") == b"PNG"
    final = response.output[-1]
    assert final.type == "message"
    assert final.phase == "final_answer"
    content = final.content[0]
    assert content.type == "output_text"
    assert [note.type for note in content.annotations] == [
        "url_citation",
        "file_citation",
        "container_file_citation",
        "file_path",
    ]
    assert response.usage is not None
    assert response.usage.input_tokens_details.cached_tokens == 64
    assert response.usage.output_tokens_details.reasoning_tokens == 8
    download = await client.containers.files.content.retrieve(file_id, container_id="cntr_1")
    assert download.content == b"PNG"


async def test_a_refusal_is_not_text(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    fake.answer = Answer(refusal="I cannot help with that.")
    response = await ask(client, "hi")
    assert response.output_text == ""
    message = response.output[0]
    assert message.type == "message"
    assert message.content[0].type == "refusal"


async def test_files_are_uploaded_read_and_deleted(client: AsyncOpenAI) -> None:
    uploaded = await client.files.create(
        file=("notes.txt", b"hello"),
        purpose="user_data",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert uploaded.expires_at == uploaded.created_at + 3600
    assert (await client.files.content(uploaded.id)).content == b"hello"
    response = await client.responses.create(
        model=MODEL,
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "read this"},
                    {"type": "input_file", "file_id": uploaded.id},
                ],
            }
        ],
    )
    assert response.output_text == "turn 1: read this"
    await client.files.delete(uploaded.id)
    with pytest.raises(NotFoundError):
        await client.files.retrieve(uploaded.id)


async def test_models_have_a_shutdown_date(connect: Connect) -> None:
    async with open_fake_openai(models={"gpt-6-luna": None, "gpt-5-mini": "2026-12-11"}) as fake:
        client = connect(fake)
        assert (await client.models.retrieve("gpt-5-mini")).shutdown_date == "2026-12-11"
        assert [model.id async for model in client.models.list()] == ["gpt-6-luna", "gpt-5-mini"]
        with pytest.raises(NotFoundError) as unknown:
            await client.models.retrieve("gpt-2")
        assert unknown.value.code == "model_not_found"
        with pytest.raises(BadRequestError) as refused:
            await client.responses.create(model="gpt-2", input="hi")
        assert refused.value.code == "model_not_found"
