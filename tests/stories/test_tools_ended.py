"""Turns that end during their calls: every call has an output, and the thread continues."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from bot.engines.functions import UNKNOWN
from bot.engines.router import Router
from bot.texts.answers import WORDS
from bot.texts.tools import outcome_unknown
from bot.tools.tool import ToolResult
from bot.tools.toolbox import Toolbox
from tests.fakes.openai import Answer, Call, Prompt, calling, failed, held
from tests.stories.tools import ENGINES, OpenTools, audit, effects, read, script
from tests.world import World, network_engine, wait_until

REMOTE = tuple(name for name in ENGINES if name != "echo")
LINGER = Call("s__linger", '{"name": "x"}', "call_linger")
SLOW = Call("s__slow", '{"seconds": 600}', "call_slow")


@pytest.fixture(params=REMOTE)
async def world(request: pytest.FixtureRequest, open_tools: OpenTools) -> AsyncIterator[World]:
    async with open_tools('ask = "never"', **ENGINES[request.param]) as world:
        yield world


@pytest.fixture
async def responses_world(open_tools: OpenTools) -> AsyncIterator[World]:
    async with open_tools('ask = "never"') as world:
        yield world


def after_each_call(monkeypatch: pytest.MonkeyPatch, then: Callable[[], None]) -> None:
    """Do something after each call of a tool, before its result is recorded."""
    call = Toolbox.call

    async def call_and_then(*args: Any) -> ToolResult:
        result = await call(*args)
        then()
        return result

    monkeypatch.setattr(Toolbox, "call", call_and_then)


async def goes_on(world: World, root: str) -> None:
    """The thread accepts another question, and no call is left open on the server."""
    count = len(world.slack.replies("#general", root))
    await world.ask("#general", "and then?", thread_ts=root)
    assert "and then?" in (await world.replies("#general", root, count + 1))[-1]
    for conversation in world.fake.conversations.values():
        calls = {i["call_id"] for i in conversation.items if i["type"] == "function_call"}
        outputs = [i["call_id"] for i in conversation.items if i["type"] == "function_call_output"]
        assert sorted(calls) == sorted(outputs)


async def called(world: World, counts: Path, what: str) -> None:
    async def is_called() -> bool:
        return what in effects(counts)

    await wait_until(is_called)


@pytest.mark.parametrize("order", ["stop", "reset"])
async def test_a_stop_ends_the_calls_and_reports_unknown_outcomes(
    world: World, counts: Path, order: str
) -> None:
    world.fake.answer = script(calling(LINGER, SLOW))
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot go")
    await called(world, counts, "linger:x")
    await called(world, counts, "slow")
    await alice.says("#general", order, thread_ts=root)
    said = (await world.replies("#general", root))[0]
    assert said == f"_Stopped._\n\n{outcome_unknown(['s: linger'])}"
    outcomes = {line.tool: line.outcome for line in await audit(world)}
    assert outcomes == {"linger": "unknown", "slow": "not_run"}
    await goes_on(world, root)


async def test_a_run_that_fails_after_the_calls_leaves_their_results(
    world: World, counts: Path
) -> None:
    if not world.fake.options.responses:
        return  # where a completion fails, the request is repeated
    world.fake.answer = [calling(read("rain")), failed("server_error"), said_so]
    root = await world.ask("#general", "@bot go")
    (said,) = await world.replies("#general", root)
    assert said == f"⚠️ {WORDS['server_error']}"
    world.fake.answer = said_so
    await goes_on(world, root)
    assert effects(counts) == ["read"]
    for conversation in world.fake.conversations.values():
        (output,) = [i for i in conversation.items if i["type"] == "function_call_output"]
        assert output["output"] == "about rain"


def said_so(prompt: Prompt) -> str:
    return " | ".join(prompt.user_messages)


async def test_a_turn_waits_for_a_server_that_is_down_after_the_calls(
    world: World, counts: Path
) -> None:
    world.fake.answer = script(calling(read("rain")))
    for path in ("/responses", "/chat/completions", "/threads/*/runs/*/submit_tool_outputs"):
        skip = 0 if path.endswith("outputs") else 1
        world.fake.fault("error", "POST", path, skip=skip, status=500)
    root = await world.ask("#general", "@bot go")
    (said,) = await world.replies("#general", root)
    assert "about rain" in said
    assert effects(counts) == ["read"]


async def test_a_conversation_lost_with_its_calls_is_rebuilt_with_the_results(
    world: World, counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model in the new conversation gets the calls with their results."""

    def lose() -> None:
        world.fake.conversations.clear()
        world.fake.threads.clear()
        engine = network_engine(world)
        if isinstance(engine, Router):
            engine.replay._memories.clear()

    def answer(prompt: Prompt) -> Answer:
        reported = " ".join([*map(str, prompt.outputs.values()), prompt.instructions])
        return Answer(reported) if "added" in reported else calling(Call("s__add", '{"name": "x"}'))

    after_each_call(monkeypatch, lose)
    world.fake.answer = answer
    root = await world.ask("#general", "@bot go")
    (said,) = await world.replies("#general", root)
    assert "added: x" in said
    assert effects(counts) == ["add:x"]


async def test_an_expired_run_is_followed_by_one_with_the_results(
    open_tools: OpenTools, counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(prompt: Prompt) -> Answer:
        add = calling(Call("s__add", '{"name": "x"}'))
        return Answer(prompt.instructions) if "added" in prompt.instructions else add

    async with open_tools('ask = "never"', engine="assistants") as late:

        def expire() -> None:
            for run in late.fake.runs.values():
                run.expire()

        after_each_call(monkeypatch, expire)
        late.fake.answer = answer
        root = await late.ask("#general", "@bot go")
        (said,) = await late.replies("#general", root)
        assert "added: x" in said
    assert effects(counts) == ["add:x"]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "c", "name": "f", "input": "x"},
        {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "call_id": "c", "operation": {"type": "delete_file"}},
        {"type": "mcp_approval_request", "server_label": "s", "name": "f", "arguments": "{}"},
    ],
    ids=lambda item: item["type"],
)
async def test_an_open_call_of_an_earlier_turn_is_closed(
    responses_world: World, item: dict[str, Any]
) -> None:
    world = responses_world
    world.fake.answer = said_so
    root = await world.ask("#general", "@bot one")
    (conversation,) = world.fake.conversations.values()
    conversation.items.append({"id": "item_1", "status": "completed", **item})
    await world.ask("#general", "two", thread_ts=root)
    assert (await world.replies("#general", root, 2))[1] == "one | two"
    closing = conversation.items[-3]
    assert UNKNOWN in str(closing) or closing.get("approve") is False
    assert await world.bot.store.dead.list() == ()


async def test_a_call_lost_by_the_server_is_sent_with_its_output(
    responses_world: World,
) -> None:
    world = responses_world

    def forget_call(prompt: Prompt) -> Answer:
        world.fake.answer = script()
        return calling(read("rain"))

    world.fake.answer = forget_call
    message = "No tool call found for function call output with call_id x."
    world.fake.fault("error", "POST", "/responses", skip=1, message=message)
    root = await world.ask("#general", "@bot go")
    assert await world.replies("#general", root) == ["about rain"]
    sent = [r.body["input"] for r in world.fake.requests if r.path.endswith("/responses")]
    assert [item["type"] for item in sent[-1]] == ["function_call", "function_call_output"]


async def test_a_held_second_round_is_stopped_like_a_first_one(world: World, counts: Path) -> None:
    def hold(prompt: Prompt) -> Answer:
        return held("about it all", after=1) if prompt.outputs else calling(read("rain"))

    world.fake.answer = hold
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot go")
    await called(world, counts, "read")

    async def is_held() -> bool:
        return bool(world.fake.working)

    await wait_until(is_held)
    await alice.says("#general", "stop", thread_ts=root)
    (said,) = await world.replies("#general", root)
    assert said.endswith("_Stopped._")
    world.fake.answer = said_so
    await goes_on(world, root)
