"""Tools: the model requests calls, they are made once, and it continues with their results."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.texts import tools as texts
from tests.fakes.openai import Answer, Call, Tokens, calling, held
from tests.stories.tools import ENGINES, OpenTools, audit, effects, read, script
from tests.world import World, wait_until


@pytest.fixture(params=ENGINES)
async def world(request: pytest.FixtureRequest, open_tools: OpenTools) -> AsyncIterator[World]:
    """A world for each engine whose tools may all be called."""
    async with open_tools('ask = "never"', **ENGINES[request.param]) as world:
        yield world


@pytest.fixture
async def responses_world(open_tools: OpenTools) -> AsyncIterator[World]:
    async with open_tools('ask = "never"') as world:
        yield world


async def test_a_call_is_made_and_the_model_continues_with_its_result(
    world: World, counts: Path
) -> None:
    world.fake.answer = script(calling(read("rain")))
    root = await world.ask("#general", '@bot weather?\ncall s__read {"topic": "rain"}')
    (said,) = await world.replies("#general", root)
    assert "about rain" in said
    assert effects(counts) == ["read"]
    (line,) = await audit(world)
    assert (line.server, line.tool, line.decision, line.outcome) == ("s", "read", "run", "done")
    assert line.decided_by == "policy"


async def test_the_next_turn_of_the_thread_works(world: World) -> None:
    world.fake.answer = script(calling(read("rain")))
    root = await world.ask("#general", '@bot weather?\ncall s__read {"topic": "rain"}')
    await world.ask("#general", "thanks", thread_ts=root)
    _, said = await world.replies("#general", root, 2)
    assert "thanks" in said


async def test_several_rounds_and_calls_make_one_answer(world: World, counts: Path) -> None:
    world.fake.answer = script(calling(read("rain"), read("snow")), calling(read("hail")))
    lines = ("rain", "snow", "then", "hail")
    asked = "\n".join(
        line if line == "then" else f'call s__read {{"topic": "{line}"}}' for line in lines
    )
    root = await world.ask("#general", f"@bot weather?\n{asked}")
    (said,) = await world.replies("#general", root)
    assert "about hail" in said
    assert effects(counts) == ["read"] * 3


async def test_a_rebuilt_conversation_holds_the_calls(world: World) -> None:
    if world.settings.bot_engine == "echo":
        return
    world.fake.answer = script(calling(read("rain")))
    root = await world.ask("#general", "@bot weather?")
    (_, answer) = await world.bot.store.conversations.history(world.key("#general", root))
    (output,) = answer.outputs
    assert (output.call.name, output.text) == ("s__read", "about rain")


async def test_text_after_a_call_is_shown_below_the_text_before_it(
    responses_world: World,
) -> None:
    world = responses_world
    world.fake.answer = [Answer("Let me see.", calls=(read("rain"),)), "It rains."]
    root = await world.ask("#general", "@bot weather?")
    assert await world.replies("#general", root) == ["Let me see.\n\nIt rains."]


async def test_usage_of_all_rounds_is_counted_once(responses_world: World) -> None:
    world = responses_world
    world.fake.answer = [
        Answer(calls=(read("rain"),), tokens=Tokens(100, 10)),
        Answer("It rains.", tokens=Tokens(200, 20)),
    ]
    root = await world.ask("#general", "@bot weather?")
    thread = world.key("#general", root)
    day = datetime.fromtimestamp(float(root), UTC).date()
    (row,) = await world.bot.store.spending.rows([day])
    assert row.spent.tokens == 330
    assert row.spent.turns == 1
    assert thread.channel_id == row.channel_id


@pytest.mark.parametrize(
    ("call", "reported"),
    [
        (Call("s__nothing"), texts.NOT_OFFERED),
        (Call("write", '{"text": "x"}'), texts.NOT_OFFERED),
        (Call("s__read", "[1]"), "not a JSON object"),
        (Call("s__read", '{"topic": '), "not valid JSON"),
        (Call("s__read", '{"topic": "' + "x" * 200_000 + '"}'), "too long"),
        (Call("s__read", '{"subject": "rain"}'), "topic"),
        (Call("s__fail"), "fail"),
    ],
)
async def test_a_call_that_cannot_be_made_is_reported_to_the_model(
    open_tools: OpenTools, counts: Path, call: Call, reported: str
) -> None:
    async with open_tools() as world:
        world.fake.answer = script(calling(call))
        root = await world.ask("#general", "@bot go")
        (said,) = await world.replies("#general", root)
        assert reported in said
        assert "write" not in effects(counts)
        (line,) = await audit(world)
        assert line.outcome in ("not_run", "failed")


async def test_each_call_has_a_card_with_server_tool_time_and_result(
    open_tools: OpenTools,
) -> None:
    def cards() -> list[dict[str, Any]]:
        blocks = [block for m in world.slack.replies("#general", root) for block in m.blocks]
        return [block for block in blocks if block["type"] == "task_card"]

    async def all_shown() -> bool:
        return len(cards()) == 2

    async with open_tools('ask = "never"') as world:
        text = "It rains a lot. " * 20
        world.fake.answer = [calling(read("rain"), Call("s__fail")), held(text, after=10)]
        root = await world.slack.user("alice").says("#general", "@bot weather?")
        await wait_until(all_shown)
        world.fake.finish()
        await world.rests("#general", root)
        shown = [(card["title"], card["status"]) for card in cards()]
        assert shown == [("s: read", "complete"), ("s: fail", "error")]
        assert "about rain" in str(cards()[0]["details"])
