"""Tools per channel: tools disabled by the file or by admins are neither offered nor called."""

from pathlib import Path
from typing import Any

from bot.texts import tools as texts
from tests.fakes.openai import Call, calling
from tests.stories.tools import OpenTools, effects, read, script
from tests.world import World


def offered(world: World) -> set[str]:
    """The functions that may be called, according to the newest request."""
    bodies: list[Any] = [r.body for r in world.fake.requests if r.path.endswith("/responses")]
    choice = bodies[-1].get("tool_choice")
    tools = choice["tools"] if isinstance(choice, dict) else bodies[-1].get("tools", [])
    return {tool["name"] for tool in tools}


async def set_servers(world: World, channel: str, servers: list[str]) -> None:
    chief = world.slack.user("chief")
    await chief.opens_home()
    await world.slack.settled()
    assert chief.home is not None
    channel_id = world.slack.channel(channel).id
    await chief.clicks_in_view("configure_channel", channel_id, view_id=chief.home["id"])
    await chief.submits({"servers": servers})
    await world.slack.settled()


async def reported(world: World, who: str, channel: str) -> str:
    person = world.slack.user(who)
    await person.slash("/tools", channel=channel)
    await world.slack.settled()
    return person.ephemerals(channel)[-1].text


async def test_an_admin_turns_a_server_off_for_a_channel(
    open_tools: OpenTools, counts: Path
) -> None:
    async with open_tools('ask = "never"') as world:
        await world.slack.add_user("chief", is_admin=True).joins("#general")
        await set_servers(world, "#general", [])
        world.fake.answer = script(calling(read("rain")))
        root = await world.ask("#general", "@bot go")
        assert len(await world.replies("#general", root)) == 1
        assert effects(counts) == []
        assert offered(world) == set()
        assert texts.OFF_BY_CHANNEL in await reported(world, "alice", "#general")

        world.fake.answer = script(calling(read("rain")))
        root = await world.ask("#random", "@bot go")
        assert await world.replies("#random", root) == ["about rain"]
        assert "s__read" in offered(world)

        await set_servers(world, "#general", ["s"])
        world.fake.answer = script(calling(read("snow")))
        root = await world.ask("#general", "@bot go")
        assert await world.replies("#general", root) == ["about snow"]


async def test_a_server_of_other_channels_is_not_offered(
    open_tools: OpenTools, counts: Path
) -> None:
    lines = ('ask = "never"', 'channels = ["C000OTHER"]')
    async with open_tools(*lines, head='own = ["current_time"]') as world:
        clock = Call("current_time", "{}")
        world.fake.answer = script(calling(read("rain"), clock))
        root = await world.ask("#general", "@bot go")
        (said,) = await world.replies("#general", root)
        assert texts.NOT_OFFERED in said
        assert "UTC" in said
        assert offered(world) == {"current_time"}
        assert effects(counts) == []
        shown = await reported(world, "alice", "#general")
        assert texts.OFF_BY_FILE in shown
        assert "`current_time`" in shown


async def test_tools_says_how_each_server_is_handled(open_tools: OpenTools) -> None:
    lines = ('always_ask = ["delete_*"]', 'deny = ["write"]', 'allow = ["read", "write"]')
    async with open_tools(*lines) as world:
        shown = await reported(world, "alice", "#general")
    assert (
        "• *s*: asks before a tool that may change something; always asks before `delete_*`; "
        "only `read`, `write`; without `write`"
    ) in shown
    assert "at most 20 calls, in 8 rounds" in shown


async def test_without_tools_it_says_so(world: World) -> None:
    assert await reported(world, "alice", "#general") == texts.NONE_CONFIGURED
