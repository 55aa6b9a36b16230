"""The echo engine: its answers, and that its conversations survive the process."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.engines import open_engine
from bot.errors import ConversationGone, RunFailed
from bot.settings import Settings
from tests.engines.engines import ask, begin, follow, last_update, open_echo_at, said, start


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "echo.db"


async def test_it_shows_its_name_and_the_conversation(file: Path) -> None:
    async with open_echo_at(file) as engine:
        conversation = await begin(engine)
        await ask(engine, conversation, "hello", turn_id="turn-1")
        update = await ask(engine, conversation, "two\nlines", "and more", turn_id="turn-2")
    assert update.text == (
        "I am the echo engine: no AI is behind me. This conversation holds 3 messages:\n\n"
        "1. hello\n2. two lines\n3. and more"
    )


async def test_a_single_message_is_counted_as_one(file: Path) -> None:
    async with open_echo_at(file) as engine:
        assert "holds 1 message:" in (await ask(engine, await begin(engine), "hello")).text


async def test_its_answer_grows_word_by_word(file: Path) -> None:
    async with open_echo_at(file, word=0.03) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        updates = await follow(engine, run, conversation)
    assert len(updates) > 2
    assert updates[0].text.startswith("I")
    assert updates[0].status == "in_progress"


async def test_another_process_finds_the_conversation_and_the_run(file: Path) -> None:
    async with open_echo_at(file, word=0.02) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
    async with open_echo_at(file, word=0.02) as other:
        assert "1. hello" in (await last_update(other, run, conversation)).text


async def test_two_processes_share_the_file(file: Path) -> None:
    async with open_echo_at(file) as one, open_echo_at(file) as two:
        conversation = await begin(one)
        await ask(one, conversation, "from one", turn_id="turn-1")
        update = await ask(two, conversation, "from two", turn_id="turn-2")
    assert update.text.index("from one") < update.text.index("from two")


async def test_a_cancelled_run_stops_growing(file: Path) -> None:
    async with open_echo_at(file, word=60.0) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        await engine.cancel(run)
        late = await last_update(engine, run, conversation)
    assert (late.status, late.text) == ("cancelled", "I")


async def test_past_the_deadline_a_run_is_cancelled(file: Path) -> None:
    async with open_echo_at(file, word=60.0, deadline=0.0) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        with pytest.raises(RunFailed, match="deadline"):
            await last_update(engine, run, conversation)
        assert (await last_update(engine, run, conversation)).status == "cancelled"


async def test_a_run_is_deleted_with_its_conversation(file: Path) -> None:
    async with open_echo_at(file) as engine:
        conversation = await begin(engine)
        run = await start(engine, conversation, said("hello"))
        await engine.delete(conversation.id)
        with pytest.raises(ConversationGone):
            await last_update(engine, run, conversation)


async def test_it_opens_without_a_key_or_a_network(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        slack_bot_token="xoxb-test",
        bot_engine="echo",
        bot_state_dir=tmp_path / "state",
    )
    async with open_engine(settings) as engine:
        conversation = replace(await begin(engine), user_id="U2")
        assert (await ask(engine, conversation, "hello")).status == "completed"
    assert (tmp_path / "state" / "echo.db").exists()
