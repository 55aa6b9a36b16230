"""The fake as a separate process, driven over its control API."""

import pytest
from openai import AsyncOpenAI, NotFoundError, RateLimitError

from tests.fakes.openai import RemoteFake, start_fake_openai
from tests.fakes.turns import MODEL


async def test_another_process_can_be_driven_and_read() -> None:
    async with start_fake_openai() as fake:
        client = AsyncOpenAI(api_key=fake.api_key, base_url=fake.base_url, max_retries=0)
        await drive(fake, client)
        await client.close()


async def drive(fake: RemoteFake, client: AsyncOpenAI) -> None:
    await fake.fault("rate_limit", "POST", "/responses", retry_after=1)
    with pytest.raises(RateLimitError):
        await client.responses.create(model=MODEL, input="hi")
    conversation = await client.conversations.create()
    await fake.answer(name="held")
    await fake.queue({"text": "queued", "hold": 0})
    for expected in ("queued", "turn 2: hi | again"):
        response = await client.responses.create(
            model=MODEL,
            input="hi" if expected == "queued" else "again",
            background=True,
            conversation=conversation.id,
        )
        assert await fake.working() == 1
        await fake.finish(response.id)
        assert (await client.responses.retrieve(response.id)).output_text == expected
    state = await fake.state()
    assert state["created"]["/responses"] == 2
    assert len(state["conversations"][conversation.id]["items"]) == 4
    requests = await fake.requests()
    assert [request["status"] for request in requests[:2]] == [429, 200]
    await fake.answer(text="x", hold=0)
    response = await client.responses.create(model=MODEL, input="hi", background=True)
    await fake.cancel(response.id)
    assert (await client.responses.retrieve(response.id)).status == "cancelled"
    await fake.options(leaves="input")
    await fake.fault("quota", times=None)
    await fake.clear_faults()
    await fake.vanish(conversation.id)
    with pytest.raises(NotFoundError):
        await client.conversations.retrieve(conversation.id)


async def test_answers_of_another_process_can_be_mixed_and_timed() -> None:
    async with start_fake_openai() as fake:
        client = AsyncOpenAI(api_key=fake.api_key, base_url=fake.base_url, max_retries=0)
        echo = {"weight": 3, "name": "echo", "seconds": [0.001, 0.01]}
        await fake.answer(mix=[echo, {"weight": 1, "status": "failed"}], seed=7)
        statuses = [
            (await client.responses.create(model=MODEL, input="hi")).status for _ in range(40)
        ]
        assert set(statuses) == {"completed", "failed"}
        assert 20 <= statuses.count("completed") < 40
        await client.close()


async def test_it_starts_as_another_server_too() -> None:
    async with start_fake_openai(variant="no_conversations") as fake:
        client = AsyncOpenAI(api_key=fake.api_key, base_url=fake.base_url, max_retries=0)
        with pytest.raises(NotFoundError):
            await client.conversations.create()
        await client.close()
