"""The fake's conversations and their locks, through the real SDK."""

import pytest
from openai import AsyncOpenAI, BadRequestError, ConflictError, NotFoundError

from tests.fakes.conftest import Connect
from tests.fakes.openai import (
    Answer,
    Call,
    FakeOpenAI,
    calling,
    failed,
    held,
    incomplete,
    never,
    open_fake_openai,
)
from tests.fakes.turns import MODEL, ask, poll


async def test_the_default_answer_shows_what_the_conversation_holds(client: AsyncOpenAI) -> None:
    conversation = await client.conversations.create(metadata={"team": "T1"})
    first = await ask(client, "hi", conversation.id)
    second = await ask(client, "how are you", conversation.id)
    assert [first.output_text, second.output_text] == ["turn 1: hi", "turn 2: hi | how are you"]
    assert second.conversation is not None
    assert second.conversation.id == conversation.id
    assert (await client.conversations.retrieve(conversation.id)).metadata == {"team": "T1"}


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
async def test_a_failed_response_leaves_what_the_options_say(
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


async def test_an_unanswered_function_call_blocks_the_conversation(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    conversation = await client.conversations.create()
    fake.answer = [calling(Call("weather", '{"deployment":"Bonn"}', "call_1"))]
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


async def test_a_blocked_conversation_is_repaired_by_adding_the_output(
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
