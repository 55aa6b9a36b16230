"""Tools that the AI server runs: approved by the right person, shown, audited, replayed."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.slack import approval_card as card
from tests.fakes.openai import Answer, Call, Prompt, calling
from tests.fakes.openai.parts import mcp_approval_request, mcp_call, web_search
from tests.stories.test_approvals import answers, ask, cards
from tests.stories.tools import OpenTools, audit, effects
from tests.world import World

SERVER_SIDE = ("server_side = true", 'headers = {Authorization = "Bearer sesame"}')
WANTED = Answer(items=(mcp_approval_request("s", "write", '{"text": "hello"}'),))


@pytest.fixture
async def world(open_tools: OpenTools) -> AsyncIterator[World]:
    async with open_tools(*SERVER_SIDE, head="[built_in]\nweb_search = true") as world:
        yield world


def wrote(output: str | None = "written: hello") -> Any:
    """Asks for approval of a write; makes the call once it is approved."""

    def answer(prompt: Prompt) -> Answer:
        if not prompt.outputs:
            return WANTED
        ((approval, approved),) = prompt.outputs.items()
        if not approved:
            return Answer("Not written.")
        made = mcp_call("s", "write", output, '{"text": "hello"}', approval=approval)
        return Answer("Written.", items=(made,))

    return answer


def sent(world: World) -> list[Any]:
    return [each.body for each in world.fake.requests if each.path.endswith("/responses")]


async def test_the_server_gets_the_tools_and_the_policy(world: World) -> None:
    world.fake.answer = "hello"
    await world.ask("#general", "@bot hello")
    search, server = sent(world)[-1]["tools"]
    assert search["type"] == "web_search"
    assert server["server_label"] == "s"
    assert server["headers"] == {"Authorization": "Bearer sesame"}
    assert "read" in server["require_approval"]["never"]["tool_names"]
    assert "write" in server["require_approval"]["always"]["tool_names"]


async def test_an_approved_call_is_made_once_and_audited(world: World) -> None:
    world.fake.answer = wrote()
    root, asked = await ask(world)
    await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
    assert await answers(world, root) == ["Written."]
    approvals = [
        item
        for body in sent(world)
        for item in body.get("input", ())
        if item["type"] == "mcp_approval_response"
    ]
    assert [item["approve"] for item in approvals] == [True]
    shown = [(line.server, line.tool, line.decision, line.outcome) for line in await audit(world)]
    assert shown == [("s", "write", "run", "approved"), ("s", "write", "run", "done")]
    assert "hello" in asked.text or "hello" in str(asked.blocks)
    (_, answer) = await world.bot.store.conversations.history(world.key("#general", root))
    (output,) = answer.outputs
    assert (output.call.name, output.text) == ("s__write", "written: hello")


async def test_a_denied_call_is_denied_at_the_server(world: World) -> None:
    world.fake.answer = wrote()
    root, asked = await ask(world)
    alice = world.slack.user("alice")
    await alice.clicks("#general", asked.ts, card.DENY)
    await alice.submits({"reason": "too early"})
    assert await answers(world, root) == ["Not written."]
    (response,) = sent(world)[-1]["input"]
    assert (response["approve"], "too early" in response["reason"]) == (False, True)


async def test_a_stop_denies_it_and_the_thread_continues(world: World) -> None:
    world.fake.answer = wrote()
    root, _ = await ask(world)
    await world.slack.user("alice").says("#general", "stop", thread_ts=root)
    await world.rests("#general", root)
    world.fake.answer = "hello"
    await world.ask("#general", "hello?", thread_ts=root)
    assert (await answers(world, root))[-1] == "hello"


async def test_a_call_without_a_result_is_reported_as_unknown(world: World) -> None:
    world.fake.answer = wrote(output=None)
    root, asked = await ask(world)
    await world.slack.user("alice").clicks("#general", asked.ts, card.ALLOW)
    (said,) = await answers(world, root)
    assert "`s: write`" in said


async def test_a_search_by_the_server_makes_later_writes_ask(open_tools: OpenTools) -> None:
    async with open_tools('ask = "never"', head="[built_in]\nweb_search = true") as world:
        write = Call("s__write", '{"text": "pwned"}')
        world.fake.answer = Answer(calls=(write,), items=(web_search("tides"),))
        root, _ = await ask(world)
        assert len(cards(world, root)) == 1
        (line,) = await audit(world)
        assert (line.server, line.tool, line.policy) == ("", "web_search", "ai_server")


async def test_a_server_turned_off_in_the_channel_is_neither_allowed_nor_approved(
    open_tools: OpenTools, counts: Path
) -> None:
    lines = (*SERVER_SIDE, 'channels = ["C000OTHER"]')
    async with open_tools(*lines, head='own = ["current_time"]') as world:
        world.fake.answer = [WANTED, "Not written."]
        root = await world.ask("#general", "@bot go")
        assert await world.replies("#general", root) == ["Not written."]
        assert effects(counts) == []
        assert [item["approve"] for item in sent(world)[-1]["input"]] == [False]


async def test_servers_without_conversations_call_nothing_themselves(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools(*SERVER_SIDE, fake={"conversations": False}) as world:
        world.fake.answer = calling(Call("s__write", "{}"))
        root = await world.ask("#general", "@bot go")
        await world.rests("#general", root)
        assert not any("tools" in body for body in sent(world))
        assert effects(counts) == []
