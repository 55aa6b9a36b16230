"""Engines on a fake server, as the tests of this folder use them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

from bot.engines import Engine, RunRequest
from bot.engines.assistants import AssistantsEngine, open_assistants
from bot.engines.echo import EchoEngine
from bot.engines.router import Router, open_responses
from bot.models import Conversation, Message, Run, RunOptions, Thread, Update
from bot.settings import Settings
from bot.timing import EngineTiming
from tests.fakes.openai import FakeOpenAI

THREAD = Thread("T1", "C1", "1700000000.000100")
OPTIONS = RunOptions()

_ts = count(1)


def settings_for(fake: FakeOpenAI, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "slack_bot_token": "xoxb-test",
        "slack_app_token": "xapp-test",
        "openai_api_key": fake.api_key,
        "openai_base_url": fake.base_url,
        "openai_assistant_id": fake.assistant_id,
        "bot_run_deadline": 30,
        **changes,
    }
    return Settings(_env_file=None, **values)


FAST = EngineTiming(poll_first=0.005, poll_longest=0.005, error_first=0.005)


@asynccontextmanager
async def open_responses_on(
    fake: FakeOpenAI, timing: EngineTiming = FAST, **changes: Any
) -> AsyncIterator[Router]:
    async with open_responses(settings_for(fake, **changes), timing) as engine:
        yield engine


@asynccontextmanager
async def open_assistants_on(
    fake: FakeOpenAI, timing: EngineTiming = FAST, **changes: Any
) -> AsyncIterator[AssistantsEngine]:
    async with open_assistants(settings_for(fake, **changes), timing) as engine:
        yield engine


@asynccontextmanager
async def open_echo_at(path: Path, **changes: Any) -> AsyncIterator[EchoEngine]:
    engine = EchoEngine(path, **{"first": 0.0, "word": 0.0, **changes})
    try:
        yield engine
    finally:
        engine.close()


def said(text: str, user_id: str = "U1") -> Message:
    """A message of the thread, later than all those before it."""
    return Message(THREAD, f"1700000000.{next(_ts):06}", user_id, text)


def known_as(engine: Engine, conversation_id: str, last_item_id: str = "") -> Conversation:
    return Conversation(conversation_id, engine.name, THREAD, "U1", 1.7e9, last_item_id)


async def begin(engine: Engine) -> Conversation:
    return known_as(engine, await engine.begin(THREAD, "U1"))


async def start(
    engine: Engine,
    conversation: Conversation,
    *messages: Message,
    turn_id: str = "turn-1",
    again: bool = False,
) -> Run:
    """Append and start, as a turn does."""
    for message in messages:
        await engine.append(conversation, message, turn_id=turn_id, again=again)
    return await engine.start(RunRequest(conversation, messages, OPTIONS, turn_id, again=again))


async def follow(engine: Engine, run: Run, conversation: Conversation) -> list[Update]:
    return [update async for update in engine.follow(run, conversation)]


async def follow_growth(
    fake: FakeOpenAI, engine: Engine, run: Run, conversation: Conversation
) -> list[Update]:
    """The updates of a held answer, which grows and ends when its text so far was seen."""
    updates: list[Update] = []
    async for update in engine.follow(run, conversation):
        updates.append(update)
        if len({update.text for update in updates if update.text}) < 2:
            fake.send_more()
        else:
            fake.finish()
    return updates


async def last_update(engine: Engine, run: Run, conversation: Conversation) -> Update:
    async for update in engine.follow(run, conversation):
        last = update  # the others are released
    return last


async def ask(
    engine: Engine, conversation: Conversation, *texts: str, turn_id: str = "turn-1"
) -> Update:
    """One whole turn; returns its last update."""
    run = await start(engine, conversation, *map(said, texts), turn_id=turn_id)
    return await last_update(engine, run, conversation)


def bodies(fake: FakeOpenAI, path: str) -> list[Any]:
    return [r.body for r in fake.requests if r.method == "POST" and r.path.endswith(path)]


def user_texts(fake: FakeOpenAI, conversation_id: str) -> list[str]:
    items = fake.conversations[conversation_id].items
    return [item["content"][0]["text"] for item in items if item.get("role") == "user"]
