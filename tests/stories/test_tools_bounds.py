"""Limits of the loop: rounds, calls, money; and misbehaving servers and models."""

from pathlib import Path
from typing import Any

import pytest

from bot.store.channel_settings import ChannelSettings
from bot.texts import tools as texts
from tests.fakes.openai import Answer, Call, FakeOpenAI, Prompt, Tokens, calling
from tests.stories.tools import OpenTools, effects, read
from tests.world import World


def endless(*calls: Call) -> Any:
    """Requests the same calls until none may be called."""

    def answer(prompt: Prompt) -> Answer:
        if prompt.body.get("tool_choice") == "none":
            return Answer(" | ".join(map(str, prompt.outputs.values())))
        return calling(*calls)

    return answer


def runs(fake: FakeOpenAI) -> int:
    return fake.created("/responses")


@pytest.mark.parametrize(
    ("head", "calls", "made", "rounds"),
    [
        ("rounds = 3", 1, 3, 3),
        ("calls = 5", 2, 5, 3),
        ("calls = 5", 30, 5, 1),
        ("rounds = 1", 2, 2, 1),
    ],
)
async def test_at_a_limit_the_model_answers_without_calls(
    open_tools: OpenTools, counts: Path, head: str, calls: int, made: int, rounds: int
) -> None:
    async with open_tools('ask = "never"', head=head) as world:
        world.fake.answer = endless(*[read(str(number)) for number in range(calls)])
        root = await world.ask("#general", "@bot go")
        (said,) = await world.replies("#general", root)
        assert len(effects(counts)) == made
        assert runs(world.fake) == rounds + 1
        left = rounds * calls - made
        assert said.count(texts.TOO_MANY_CALLS) == left
        world.fake.answer = "Fine."
        await world.ask("#general", "and?", thread_ts=root)
        assert (await world.replies("#general", root, 2))[1] == "Fine."


async def test_a_limit_reached_between_rounds_ends_the_calls(
    open_tools: OpenTools, counts: Path
) -> None:
    def answer(prompt: Prompt) -> Answer:
        if prompt.body.get("tool_choice") == "none":
            return Answer("Enough.", tokens=Tokens(1, 1))
        return Answer(calls=(read("rain"),), tokens=Tokens(600, 0))

    async with open_tools('ask = "never"', bot_limit_person_tokens=1500) as world:
        world.fake.answer = answer
        root = await world.ask("#general", "@bot go")
        said = (await world.replies("#general", root))[0]
        assert said.startswith("Enough.")
        assert effects(counts) == ["read"] * 2
        assert runs(world.fake) == 4


async def test_a_budget_between_rounds_is_that_of_the_model_of_the_channel(
    open_tools: OpenTools, counts: Path, tmp_path: Path
) -> None:
    def answer(prompt: Prompt) -> Answer:
        if prompt.body.get("tool_choice") == "none":
            return Answer("Enough.", tokens=Tokens(1, 0))
        return Answer(calls=(read("rain"),), tokens=Tokens(600, 0))

    prices = tmp_path / "prices.toml"
    prices.write_text("[cheap]\ninput = 0\noutput = 0\n[dear]\ninput = 1000\noutput = 0\n")
    money: dict[str, Any] = {
        "openai_model": "cheap",
        "bot_prices": prices,
        "bot_limit_person_cost": 1.0,
    }
    async with open_tools('ask = "never"', **money) as world:
        world.fake.answer = answer
        where, settings = world.key("#general", "1.0"), ChannelSettings(model="dear")
        save = world.bot.store.channels.save
        assert await save(where.team_id, where.channel_id, settings, user_id="U1", after=0)
        await world.ask("#general", "@bot go")
        assert effects(counts) == ["read"], "a round costs $0.6"


@pytest.mark.parametrize(
    "calls",
    [
        (Call("s__read", '{"topic": "a"}', "same"), Call("s__read", '{"topic": "b"}', "same")),
        (Call("", ""), Call("\u202e\u0000" * 80, "\ud800"), Call("s__read" * 50, "null")),
        (Call("s__read", "[" * 100_000), Call("s__read", '{"topic": NaN}')),
    ],
    ids=["ids", "names", "arguments"],
)
async def test_invalid_calls_return_an_error_to_the_model(
    open_tools: OpenTools, calls: tuple[Call, ...]
) -> None:
    async with open_tools('ask = "never"') as world:
        world.fake.answer = [calling(*calls), "Sorry."]
        root = await world.ask("#general", "@bot go")
        assert await world.replies("#general", root) == ["Sorry."]
        await goes_on(world, root)


async def goes_on(world: World, root: str) -> None:
    world.fake.answer = "Fine."
    await world.ask("#general", "and?", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1] == "Fine."


async def test_a_result_of_megabytes_is_cut(open_tools: OpenTools) -> None:
    async with open_tools('ask = "never"') as world:
        flood = Call("s__flood", '{"characters": 2000000}')
        world.fake.answer = [calling(flood, flood, flood), "Long."]
        root = await world.ask("#general", "@bot go")
        assert await world.replies("#general", root) == ["Long."]
        for output in [r for r in world.fake.requests if r.path.endswith("/responses")][1].body[
            "input"
        ]:
            assert len(output["output"]) < 20_100
        (_, answer) = await world.bot.store.conversations.history(world.key("#general", root))
        assert all(len(output.text) < 4_100 for output in answer.outputs)


async def test_instructions_in_a_result_are_only_data_for_the_model(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools('ask = "never"') as world:
        world.fake.answer = [calling(Call("s__inject")), "The page says nothing of use."]
        root = await world.ask("#general", "@bot go")
        assert await world.replies("#general", root) == ["The page says nothing of use."]
        assert "write" not in effects(counts)
