"""The fake's Conversations and Responses, as the real SDK sees them."""

import asyncio
import base64

import pytest
from openai import AsyncOpenAI, BadRequestError, ConflictError, NotFoundError
from openai.types.responses import Response

from tests.fakes.conftest import Connect, wait_until
from tests.fakes.openai import (
    Answer,
    Call,
    FakeOpenAI,
    Prompt,
    Said,
    Tokens,
    after_polls,
    calling,
    failed,
    held,
    incomplete,
    never,
    open_fake_openai,
    parts,
    slow,
)

MODEL = "gpt-6-luna"


async def ask(client: AsyncOpenAI, text: str, conversation_id: str | None = None) -> Response:
    """One turn, polled to its end."""
    if conversation_id is None:
        response = await client.responses.create(model=MODEL, input=text, background=True)
    else:
        response = await client.responses.create(
            model=MODEL, input=text, background=True, conversation=conversation_id
        )
    return await poll(client, response)


async def poll(client: AsyncOpenAI, response: Response) -> Response:
    while response.status in ("queued", "in_progress"):
        await asyncio.sleep(0.002)
        response = await client.responses.retrieve(response.id)
    return response


async def test_the_default_answer_shows_what_the_conversation_holds(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(metadata={"team": "T1"})
    first = await ask(client, "hi", conversation.id)
    second = await ask(client, "how are you", conversation.id)
    assert [first.output_text, second.output_text] == ["turn 1: hi", "turn 2: hi | how are you"]
    assert second.conversation is not None
    assert second.conversation.id == conversation.id
    assert (await client.conversations.retrieve(conversation.id)).metadata == {"team": "T1"}


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


async def test_a_synchronous_response_comes_when_it_is_made(
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


async def test_what_is_not_stored_cannot_be_polled(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model=MODEL, input="hi", store=False)
    with pytest.raises(NotFoundError):
        await client.responses.retrieve(response.id)


async def test_a_conversation_is_locked_while_a_response_works_on_it(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create()
    fake.answer = held("Hello")
    await client.responses.create(
        model=MODEL, input="hi", background=True, conversation=conversation.id
    )
    with pytest.raises(BadRequestError) as refused:
        await client.responses.create(model=MODEL, input="again", conversation=conversation.id)
    assert refused.value.code == "conversation_locked"
    with pytest.raises(BadRequestError) as refused:
        await client.conversations.items.create(
            conversation.id, items=[{"role": "user", "content": "more"}]
        )
    assert refused.value.code == "conversation_locked"
    fake.finish()
    fake.answer = "Again"
    assert (await ask(client, "again", conversation.id)).output_text == "Again"


async def test_items_join_the_conversation_only_when_the_response_is_complete(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create()
    fake.answer = held("Hello")
    await client.responses.create(
        model=MODEL, input="hi", background=True, conversation=conversation.id
    )
    assert fake.conversations[conversation.id].items == []
    fake.finish()
    page = await client.conversations.items.list(conversation.id)
    assert [item.type for item in page.data] == ["message", "message"]
    roles = [item["role"] for item in fake.conversations[conversation.id].items]
    assert roles == ["user", "assistant"]


@pytest.mark.parametrize("answer", [failed(), incomplete("content_filter", "So"), never()])
@pytest.mark.parametrize(("leaves", "kept"), [("nothing", 0), ("input", 1)])
async def test_what_ends_badly_leaves_what_the_options_say(
    connect: Connect, answer: Answer, leaves: str, kept: int
) -> None:
    async with open_fake_openai(leaves=leaves) as fake:
        client = connect(fake)
        conversation = await client.conversations.create()
        fake.answer = answer
        response = await client.responses.create(
            model=MODEL, input="hi", background=True, conversation=conversation.id
        )
        if answer.hold is not None:
            await client.responses.cancel(response.id)
        await poll(client, response)
        assert len(fake.conversations[conversation.id].items) == kept


async def test_items_are_listed_newest_first_in_pages(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create()
    await client.conversations.items.create(
        conversation.id, items=[{"role": "user", "content": str(number)} for number in range(5)]
    )
    listed = []
    async for item in client.conversations.items.list(conversation.id, limit=2):
        assert item.type == "message"
        listed.append(getattr(item.content[0], "text", None))
    assert listed == ["4", "3", "2", "1", "0"]
    oldest = await client.conversations.items.list(conversation.id, order="asc", limit=1)
    assert oldest.has_more


async def test_an_item_and_a_conversation_can_be_deleted_once(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create(items=[{"role": "user", "content": "hi"}])
    item_id = fake.conversations[conversation.id].items[0]["id"]
    await client.conversations.items.delete(item_id, conversation_id=conversation.id)
    with pytest.raises(NotFoundError):
        await client.conversations.items.retrieve(item_id, conversation_id=conversation.id)
    assert (await client.conversations.delete(conversation.id)).deleted
    with pytest.raises(NotFoundError) as gone:
        await client.conversations.delete(conversation.id)
    assert gone.value.code is None
    assert f"Conversation with id '{conversation.id}' not found." in gone.value.message


async def test_a_vanished_conversation_is_404_for_the_next_turn(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create()
    fake.vanish(conversation.id)
    with pytest.raises(NotFoundError):
        await ask(client, "hi", conversation.id)


async def test_an_unanswered_function_call_bricks_the_conversation_until_it_is_answered(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create()
    fake.answer = [calling(Call("weather", '{"city":"Bonn"}', "call_1"))]
    response = await ask(client, "hi", conversation.id)
    assert response.status == "completed"
    assert [item.type for item in response.output] == ["function_call"]
    with pytest.raises(BadRequestError, match="No tool output found for function call call_1"):
        await ask(client, "and now?", conversation.id)
    answered = await client.responses.create(
        model=MODEL,
        conversation=conversation.id,
        input=[{"type": "function_call_output", "call_id": "call_1", "output": "sunny"}],
    )
    assert answered.output_text == "turn 1: sunny"
    assert (await ask(client, "and now?", conversation.id)).status == "completed"


async def test_a_bricked_conversation_is_repaired_by_adding_the_output(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create()
    fake.answer = [calling(Call("weather", call_id="call_1"))]
    await ask(client, "hi", conversation.id)
    await client.conversations.items.create(
        conversation.id,
        items=[{"type": "function_call_output", "call_id": "call_1", "output": "no answer"}],
    )
    assert (await ask(client, "and now?", conversation.id)).status == "completed"


async def test_an_output_without_its_call_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError, match="No tool call found"):
        await client.responses.create(
            model=MODEL,
            input=[{"type": "function_call_output", "call_id": "call_x", "output": "?"}],
        )


async def test_previous_responses_are_the_memory_without_a_conversation(
    client: AsyncOpenAI,
) -> None:
    first = await client.responses.create(model=MODEL, input="hi")
    second = await client.responses.create(
        model=MODEL, input="how are you", previous_response_id=first.id
    )
    assert second.output_text == "turn 2: hi | how are you"
    with pytest.raises(BadRequestError) as refused:
        await client.responses.create(model=MODEL, input="x", previous_response_id="resp_x")
    assert refused.value.code == "previous_response_not_found"


async def test_too_much_memory_exceeds_the_context_window(connect: Connect) -> None:
    async with open_fake_openai(context_window=100) as fake:
        client = connect(fake)
        fake.answer = "ok"
        conversation = await client.conversations.create()
        await ask(client, "x" * 300, conversation.id)
        with pytest.raises(BadRequestError) as refused:
            await ask(client, "y" * 300, conversation.id)
        assert refused.value.code == "context_length_exceeded"
        cut = await client.responses.create(
            model=MODEL, input="y" * 300, conversation=conversation.id, truncation="auto"
        )
        assert cut.output_text == "ok"
        assert fake.prompts[-1].user_messages == ("y" * 300,)


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


async def test_a_refusal_is_no_text(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
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


async def test_models_tell_when_they_shut_down(connect: Connect) -> None:
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


async def test_as_ogx_it_locks_nothing_and_speaks_in_details(connect: Connect) -> None:
    async with open_fake_openai(variant="ogx") as fake:
        client = connect(fake)
        conversation = await client.conversations.create()
        fake.answer = held("Hello")
        for _ in range(2):
            response = await client.responses.create(
                model=MODEL, input="hi", background=True, conversation=conversation.id
            )
            assert response.conversation is None
        with pytest.raises(NotFoundError) as gone:
            await client.conversations.retrieve("conv_x")
        assert gone.value.code is None
        assert gone.value.response.json() == {"detail": "Conversation with id 'conv_x' not found."}
        with pytest.raises(BadRequestError):
            await client.responses.create(model=MODEL, input="x", background=True, stream=True)
        fake.answer = "Hello"
        synchronous = await client.responses.create(model=MODEL, input="hi")
        with pytest.raises(ConflictError):
            await client.responses.cancel(synchronous.id)


async def test_a_server_without_conversations_answers_404(connect: Connect) -> None:
    async with open_fake_openai(variant="no_conversations") as fake:
        client = connect(fake)
        with pytest.raises(NotFoundError, match="Invalid URL"):
            await client.conversations.create()
        assert (await client.responses.create(model=MODEL, input="hi")).status == "completed"
