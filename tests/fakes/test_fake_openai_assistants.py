"""The fake's Assistants v2 threads, messages and runs, through the real SDK."""

import asyncio

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError
from openai.types.beta.threads import Message, Run

from tests.fakes.conftest import Connect
from tests.fakes.openai import (
    Answer,
    Call,
    FakeOpenAI,
    Said,
    after_polls,
    calling,
    expired,
    failed,
    held,
    incomplete,
    never,
    open_fake_openai,
    parts,
)
from tests.fakes.turns import wait_until

ACTIVE = ("queued", "in_progress", "cancelling")


async def begin(client: AsyncOpenAI, text: str = "hi") -> str:
    """A new thread with one message; its id."""
    thread = await client.beta.threads.create()
    await client.beta.threads.messages.create(thread.id, role="user", content=text)
    return thread.id


async def run(fake: FakeOpenAI, client: AsyncOpenAI, thread_id: str) -> Run:
    """One run, polled until it is over or wants something."""
    run = await client.beta.threads.runs.create(thread_id, assistant_id=fake.assistant_id)
    return await poll(client, run)


async def poll(client: AsyncOpenAI, run: Run) -> Run:
    while run.status in ACTIVE:
        await asyncio.sleep(0.002)
        run = await client.beta.threads.runs.retrieve(run.id, thread_id=run.thread_id)
    return run


def text_of(message: Message) -> str:
    part = message.content[0]
    assert part.type == "text"
    return part.text.value


async def test_a_run_adds_its_answer_to_the_thread(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    thread_id = await begin(client)
    first = await run(fake, client, thread_id)
    assert first.status == "completed"
    assert first.usage is not None
    await client.beta.threads.messages.create(thread_id, role="user", content="how are you")
    second = await run(fake, client, thread_id)
    answers = await client.beta.threads.messages.list(thread_id, run_id=second.id, order="asc")
    assert [text_of(message) for message in answers.data] == ["turn 2: hi | how are you"]
    steps = await client.beta.threads.runs.steps.list(second.id, thread_id=thread_id)
    assert [step.type for step in steps.data] == ["message_creation"]


async def test_within_one_second_the_newest_message_does_not_come_first(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    thread_id = await begin(client)
    await run(fake, client, thread_id)
    for message in fake.threads[thread_id].messages:
        message["created_at"] = 1_750_000_000
    newest = await client.beta.threads.messages.list(thread_id, limit=1)
    assert [message.role for message in newest.data] == ["user"]
    fake.threads[thread_id].messages[1]["created_at"] += 1
    newest = await client.beta.threads.messages.list(thread_id, limit=1)
    assert [message.role for message in newest.data] == ["assistant"]


async def test_a_thread_with_an_active_run_takes_no_message_and_no_run(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    thread_id = await begin(client)
    fake.answer = never()
    active = await client.beta.threads.runs.create(thread_id, assistant_id=fake.assistant_id)
    with pytest.raises(BadRequestError) as no_message:
        await client.beta.threads.messages.create(thread_id, role="user", content="more")
    with pytest.raises(BadRequestError) as no_run:
        await client.beta.threads.runs.create(thread_id, assistant_id=fake.assistant_id)
    assert no_message.value.body == {
        "message": f"Can't add messages to {thread_id} while a run {active.id} is active.",
        "type": "invalid_request_error",
        "param": None,
        "code": None,
    }
    assert isinstance(no_run.value.body, dict)
    expected = f"Thread {thread_id} already has an active run {active.id}."
    assert no_run.value.body["message"] == expected
    fake.finish("done")
    await client.beta.threads.messages.create(thread_id, role="user", content="more")


async def test_a_cancelled_run_is_cancelling_first(connect: Connect) -> None:
    async with open_fake_openai(cancelling=0.05) as fake:
        client = connect(fake)
        thread_id = await begin(client)
        fake.answer = never()
        started = await client.beta.threads.runs.create(thread_id, assistant_id=fake.assistant_id)
        cancelling = await client.beta.threads.runs.cancel(started.id, thread_id=thread_id)
        assert cancelling.status == "cancelling"
        assert (await poll(client, cancelling)).status == "cancelled"
        with pytest.raises(BadRequestError, match="Cannot cancel run with status 'cancelled'"):
            await client.beta.threads.runs.cancel(started.id, thread_id=thread_id)


async def test_a_run_expires_at_the_end_of_its_lifetime(connect: Connect) -> None:
    async with open_fake_openai(run_lifetime=0.05) as fake:
        client = connect(fake)
        thread_id = await begin(client)
        fake.answer = never()
        assert (await run(fake, client, thread_id)).status == "expired"


async def test_a_run_that_waits_for_outputs_expires_too(connect: Connect) -> None:
    async with open_fake_openai(run_lifetime=1.0) as fake:
        client = connect(fake)
        thread_id = await begin(client)
        fake.answer = calling(Call("weather"))
        waiting = await run(fake, client, thread_id)
        assert waiting.status == "requires_action"
        await wait_until(lambda: fake.runs[waiting.id].status == "expired")


async def test_runs_end_as_their_script_says(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    thread_id = await begin(client)
    fake.answer = [
        failed("rate_limit_exceeded", "Slow down."),
        expired(),
        incomplete("max_completion_tokens", "This much and"),
        incomplete("max_prompt_tokens"),
        after_polls("Hello", 2),
    ]
    failure = await run(fake, client, thread_id)
    assert failure.last_error is not None
    assert failure.status == "failed"
    assert failure.last_error.code == "rate_limit_exceeded"
    assert (await run(fake, client, thread_id)).status == "expired"
    cut = await run(fake, client, thread_id)
    assert cut.incomplete_details is not None
    assert cut.status == "incomplete"
    assert cut.incomplete_details.reason == "max_completion_tokens"
    kept = await client.beta.threads.messages.list(thread_id, run_id=cut.id)
    assert [(text_of(m), m.status) for m in kept.data] == [("This much and", "incomplete")]
    empty = await run(fake, client, thread_id)
    assert (await client.beta.threads.messages.list(thread_id, run_id=empty.id)).data == []
    assert (await run(fake, client, thread_id)).status == "completed"


async def test_a_run_waits_for_all_outputs_of_its_calls(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    thread_id = await begin(client)
    fake.answer = [calling(Call("a", call_id="call_a"), Call("b", call_id="call_b"))]
    waiting = await run(fake, client, thread_id)
    assert waiting.required_action is not None
    calls = waiting.required_action.submit_tool_outputs.tool_calls
    assert [call.function.name for call in calls] == ["a", "b"]
    submit = client.beta.threads.runs.submit_tool_outputs
    with pytest.raises(BadRequestError, match="Expected tool outputs"):
        await submit(
            waiting.id,
            thread_id=thread_id,
            tool_outputs=[{"tool_call_id": "call_a", "output": "1"}],
        )
    going_on = await submit(
        waiting.id,
        thread_id=thread_id,
        tool_outputs=[
            {"tool_call_id": "call_a", "output": "1"},
            {"tool_call_id": "call_b", "output": "2"},
        ],
    )
    assert going_on.status == "queued"
    assert (await poll(client, going_on)).status == "completed"
    answers = await client.beta.threads.messages.list(thread_id, run_id=waiting.id)
    assert [text_of(message) for message in answers.data] == ["turn 1: 1 | 2"]
    with pytest.raises(BadRequestError, match="do not accept tool outputs"):
        await submit(waiting.id, thread_id=thread_id, tool_outputs=[])


async def test_a_run_may_bring_messages_and_a_thread_of_its_own(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    thread = await client.beta.threads.create(
        messages=[{"role": "user", "content": "one"}], metadata={"team": "T1"}
    )
    await client.beta.threads.runs.create(
        thread.id,
        assistant_id=fake.assistant_id,
        additional_messages=[{"role": "user", "content": "two"}],
    )
    assert list(fake.prompts[-1].user_messages) == ["one", "two"]
    await client.beta.threads.create_and_run(
        assistant_id=fake.assistant_id, thread={"messages": [{"role": "user", "content": "three"}]}
    )
    assert list(fake.prompts[-1].user_messages) == ["three"]


async def test_an_answer_can_have_files_citations_and_several_messages(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    file_id = fake.add_file("plot.png", b"PNG")
    mark = "【4:0†source】"
    note = parts.thread_file_citation(mark, 6, "file_source")
    link = parts.thread_file_path("sandbox:/mnt/data/plot.png", 0, file_id)
    fake.answer = Answer(
        said=(
            Said("It is " + mark, annotations=(note,)),
            Said("sandbox:/mnt/data/plot.png", annotations=(link,)),
        ),
        files=(file_id,),
    )
    thread_id = await begin(client)
    done = await run(fake, client, thread_id)
    page = await client.beta.threads.messages.list(thread_id, run_id=done.id, order="asc")
    kinds = [[part.type for part in message.content] for message in page.data]
    assert kinds == [["image_file", "text"], ["image_file", "text"]]
    text = page.data[0].content[1]
    assert text.type == "text"
    assert [a.text for a in text.text.annotations] == [mark]
    assert (await client.files.content(file_id)).content == b"PNG"


async def test_threads_and_messages_can_be_changed_and_deleted(client: AsyncOpenAI) -> None:
    thread_id = await begin(client)
    messages = client.beta.threads.messages
    message = (await messages.list(thread_id)).data[0]
    await messages.update(message.id, thread_id=thread_id, metadata={"ts": "1.2"})
    assert (await messages.retrieve(message.id, thread_id=thread_id)).metadata == {"ts": "1.2"}
    await messages.delete(message.id, thread_id=thread_id)
    assert (await messages.list(thread_id)).data == []
    await client.beta.threads.delete(thread_id)
    with pytest.raises(NotFoundError, match="No thread found"):
        await client.beta.threads.retrieve(thread_id)


async def test_runs_are_listed_and_a_vanished_thread_is_404(
    fake: FakeOpenAI, client: AsyncOpenAI
) -> None:
    thread_id = await begin(client)
    done = await run(fake, client, thread_id)
    listed = await client.beta.threads.runs.list(thread_id)
    assert [entry.id for entry in listed.data] == [done.id]
    fake.vanish(thread_id)
    with pytest.raises(NotFoundError, match=f"No thread found with id '{thread_id}'"):
        await client.beta.threads.runs.create(thread_id, assistant_id=fake.assistant_id)


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_an_unknown_assistant_is_404(client: AsyncOpenAI) -> None:
    thread_id = await begin(client)
    with pytest.raises(NotFoundError, match="No assistant found with id 'asst_x'"):
        await client.beta.threads.runs.create(thread_id, assistant_id="asst_x")
    with pytest.raises(NotFoundError):
        await client.beta.assistants.retrieve("asst_x")


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_the_beta_header_is_required(fake: FakeOpenAI, client: AsyncOpenAI) -> None:
    assert (await client.beta.assistants.retrieve(fake.assistant_id)).model == "gpt-6-luna"
    with pytest.raises(BadRequestError) as refused:
        await client.beta.threads.create(extra_headers={"OpenAI-Beta": "assistants=v1"})
    assert refused.value.code == "invalid_beta"


async def test_openai_itself_has_no_assistants_any_more(connect: Connect) -> None:
    async with open_fake_openai(assistants=False) as fake:
        with pytest.raises(NotFoundError):
            await connect(fake).beta.threads.create()


async def test_as_open_assistant_api_it_has_bare_ids_and_null_fields(fake: FakeOpenAI) -> None:
    async with open_fake_openai(variant="open_assistant_api") as bare:
        client = AsyncOpenAI(api_key=bare.api_key, base_url=bare.base_url, max_retries=0)
        thread_id = await begin(client)
        assert len(thread_id) == 24
        bare.answer = held("Hello")
        started = await client.beta.threads.runs.create(thread_id, assistant_id=bare.assistant_id)
        assert started.expires_at is None
        await client.beta.threads.messages.create(thread_id, role="user", content="not locked")
        bare.finish()
        done = await poll(client, started)
        assert (done.status, done.usage, done.metadata) == ("completed", None, None)
        with pytest.raises(NotFoundError):
            await client.beta.threads.create_and_run(assistant_id=bare.assistant_id)
        await client.close()
