"""The contract of every engine."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bot.engines import Engine, RunRequest
from bot.errors import ConversationGone
from bot.models import Record
from tests.engines.engines import (
    OPTIONS,
    THREAD,
    ask,
    begin,
    follow,
    known_as,
    last_update,
    open_echo_at,
    said,
    start,
)
from tests.fakes.openai import FakeOpenAI, held


@pytest.fixture
async def slow_engine(
    request: pytest.FixtureRequest, engine: Engine, fake: FakeOpenAI, tmp_path: Path
) -> AsyncIterator[Engine]:
    """The same engine with an answer that does not end."""
    fake.answer = held("one two three", after=1)
    if engine.name != "echo":
        yield engine
        return
    async with open_echo_at(tmp_path / "slow.db", word=60.0) as slow:
        yield slow


async def test_a_message_is_answered(engine: Engine) -> None:
    conversation = await begin(engine)
    update = await ask(engine, conversation, "What is the capital of France?")
    assert update.status == "completed"
    assert "What is the capital of France?" in update.text


async def test_the_text_of_the_updates_only_grows(engine: Engine) -> None:
    conversation = await begin(engine)
    run = await start(engine, conversation, said("tell me a long story " * 20))
    texts = [update.text for update in await follow(engine, run, conversation)]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))


async def test_several_messages_are_answered_together(engine: Engine) -> None:
    conversation = await begin(engine)
    update = await ask(engine, conversation, "first thing", "second thing")
    assert update.text.index("first thing") < update.text.index("second thing")


async def test_the_second_turn_sees_the_first(engine: Engine) -> None:
    conversation = await begin(engine)
    first = await ask(engine, conversation, "my name is Ada", turn_id="turn-1")
    conversation = replace(conversation, last_item_id=first.last_item_id)
    second = await ask(engine, conversation, "who am I?", turn_id="turn-2")
    assert second.text.index("my name is Ada") < second.text.index("who am I?")


async def test_history_fills_a_new_conversation_in_order(engine: Engine) -> None:
    history = [
        Record("user" if number % 2 else "assistant", f"line <{number}>", "1.0")
        for number in range(1, 46)
    ]
    conversation = known_as(engine, await engine.begin(THREAD, "U1", history))
    update = await ask(engine, conversation, "go on")
    places = [update.text.index(f"line <{number}>") for number in range(1, 46, 2)]
    assert places == sorted(places)


async def test_a_turn_without_effect_can_be_repeated(engine: Engine) -> None:
    conversation = await begin(engine)
    run = await start(engine, conversation, said("hello"), again=True)
    update = await last_update(engine, run, conversation)
    assert update.text.count("hello") == 1


async def test_a_turn_with_full_effect_can_be_repeated(engine: Engine, fake: FakeOpenAI) -> None:
    conversation = await begin(engine)
    message = said("hello")
    run = await start(engine, conversation, message)
    answer = await last_update(engine, run, conversation)
    run = await start(engine, conversation, message, again=True)
    update = await last_update(engine, run, conversation)
    assert update.text == answer.text
    assert sum(map(fake.created, ("/responses", "/chat/completions", "/threads/*/runs"))) == (
        0 if engine.name == "echo" else 1
    )
    conversation = replace(conversation, last_item_id=update.last_item_id)
    later = await ask(engine, conversation, "bye", turn_id="turn-2")
    assert later.text.count("hello") == 1


async def test_a_repeated_append_changes_nothing(engine: Engine) -> None:
    conversation = await begin(engine)
    message = said("hello")
    first = await engine.append(conversation, message, turn_id="turn-1", again=False)
    second = await engine.append(conversation, message, turn_id="turn-1", again=True)
    assert first == second
    run = await engine.start(RunRequest(conversation, [message], OPTIONS, "turn-1"))
    update = await last_update(engine, run, conversation)
    assert update.text.count("hello") == 1


async def test_a_run_can_be_followed_twice(engine: Engine) -> None:
    conversation = await begin(engine)
    run = await start(engine, conversation, said("hello"))
    first = await last_update(engine, run, conversation)
    second = await last_update(engine, run, conversation)
    assert (first.text, first.status, first.last_item_id) == (
        second.text,
        second.status,
        second.last_item_id,
    )


async def test_a_cancelled_run_ends_with_the_text_so_far(slow_engine: Engine) -> None:
    conversation = await begin(slow_engine)
    run = await start(slow_engine, conversation, said("hello"))
    updates = slow_engine.follow(run, conversation)
    await anext(updates)
    await slow_engine.cancel(run)
    rest = [update async for update in updates]
    assert rest[-1].status == "cancelled"


async def test_cancelling_twice_is_no_error(slow_engine: Engine) -> None:
    conversation = await begin(slow_engine)
    run = await start(slow_engine, conversation, said("hello"))
    await slow_engine.cancel(run)
    await slow_engine.cancel(run)


async def test_cancelling_a_finished_run_leaves_its_answer(engine: Engine) -> None:
    conversation = await begin(engine)
    run = await start(engine, conversation, said("hello"))
    await last_update(engine, run, conversation)
    await engine.cancel(run)
    assert (await last_update(engine, run, conversation)).status == "completed"


async def test_a_deleted_conversation_is_gone(engine: Engine) -> None:
    conversation = await begin(engine)
    await ask(engine, conversation, "hello")
    await engine.delete(conversation.id)
    with pytest.raises(ConversationGone):
        await start(engine, conversation, said("still there?"), turn_id="turn-2")


@pytest.mark.parametrize("again", [False, True])
async def test_a_repeated_turn_notices_a_deleted_conversation(engine: Engine, again: bool) -> None:
    conversation = await begin(engine)
    await engine.delete(conversation.id)
    with pytest.raises(ConversationGone):
        await start(engine, conversation, said("still there?"), again=again)


async def test_deleting_twice_is_no_error(engine: Engine) -> None:
    conversation = await begin(engine)
    await engine.delete(conversation.id)
    await engine.delete(conversation.id)


async def test_a_retracted_message_is_removed_and_an_equal_one_stays(engine: Engine) -> None:
    conversation = await begin(engine)
    first, second = said("same"), said("same")
    for number, message in enumerate((first, second)):
        run = await start(engine, conversation, message, turn_id=f"turn-{number}")
        update = await last_update(engine, run, conversation)
        conversation = replace(conversation, last_item_id=update.last_item_id)
    history = [Record("user", message.text, message.ts) for message in (first, second)]
    await engine.retract(conversation, history, second.ts, again=False)
    await engine.retract(conversation, history, second.ts, again=True)
    later = await ask(engine, conversation, "bye", turn_id="turn-3")
    assert later.text.count("same") == 1


async def test_messages_outside_the_record_are_not_retracted(engine: Engine) -> None:
    conversation = await begin(engine)
    await ask(engine, conversation, "hello")
    await engine.retract(conversation, [Record("user", "hello", "1.0")], "2.0", again=False)
    later = await ask(engine, conversation, "bye", turn_id="turn-2")
    assert later.text.count("hello") == 1
