"""Slack as a source: what the asker may see, and nothing of it is kept."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.slack.scopes import SCOPES
from bot.slack.source import SEARCH_SCOPE
from bot.texts import source as texts
from bot.texts.tools import NOT_KEPT, missing_scope
from bot.timing import Timing
from tests.deployment import open_deployment
from tests.fakes.openai import Call, calling, held
from tests.redis_server import RedisServer
from tests.stories.tools import ENGINES, audit, script
from tests.world import World, open_world

SECRET = "the launch is on the fourteenth"
HEAD = 'own = ["slack_search", "slack_read_thread", "slack_read_canvas"]'


def open_source(
    redis_url: str, tmp_path: Path, timing: Timing, **given: Any
) -> AbstractAsyncContextManager[World]:
    path = tmp_path / "tools.toml"
    path.write_text(HEAD)
    return open_world(redis_url, tmp_path, timing=timing, bot_tools=path, **given)


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    async with open_source(redis_url, tmp_path, timing) as world:
        yield world


def call(link: str, tool: str = "slack_read_thread") -> Any:
    return script(calling(Call(tool, f'{{"link": "{link}"}}')))


async def linked(world: World, channel: str, who: str = "alice", text: str = SECRET) -> str:
    person = world.slack.user(who)
    ts = await person.says(channel, text)
    (message,) = [each for each in world.slack.messages(channel) if each.ts == ts]
    return world.slack.permalink(message)


def private(world: World, *members: str) -> str:
    """A private channel with the bot and these members."""
    world.slack.add_channel("board", members, private=True)
    return "#board"


async def answer(world: World, channel: str, who: str = "alice", text: str = "@bot go") -> str:
    root = await world.ask(channel, text, who=who)
    return (await world.replies(channel, root))[-1]


async def test_a_linked_thread_of_a_public_channel_is_read(world: World) -> None:
    link = await linked(world, "#random")
    world.fake.answer = call(link)
    assert SECRET in await answer(world, "#general")
    (line,) = await audit(world)
    assert (line.tool, line.outcome) == ("slack_read_thread", "done")


@pytest.mark.parametrize("name", ["responses", "replayed", "assistants"])
async def test_the_result_is_kept_nowhere_after_the_turn(
    redis_url: str,
    redis_server: RedisServer,
    tmp_path: Path,
    timing: Timing,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    async with open_source(redis_url, tmp_path, timing, **ENGINES[name]) as world:
        link = await linked(world, "#random")
        rounds: Any = [
            calling(Call("slack_read_thread", f'{{"link": "{link}"}}')),
            "Soon.",
            "Again.",
        ]
        world.fake.answer = rounds
        root = await world.ask("#general", "@bot when?")
        assert await world.replies("#general", root) == ["Soon."]
        (sent,) = [each for each in world.fake.requests if SECRET in str(each.body)]
        assert sent.method == "POST"

        def remote() -> str:
            fake = world.fake
            stored = [each for each in fake.responses.values() if getattr(each, "stored", True)]
            kept = [*fake.conversations.values(), *fake.threads.values(), *stored]
            return str([vars(each) for each in kept])

        # The worker deletes the conversation after it has settled the turn.
        await world.slack.wait_for(lambda: SECRET not in remote())
        with redis_server.client() as client:
            assert SECRET not in everything_in(client)
        assert SECRET not in capsys.readouterr().out
        await world.ask("#general", "and then?", thread_ts=root)
        assert (await world.replies("#general", root, 2))[-1] == "Again."
        assert name == "assistants" or NOT_KEPT in str([each.body for each in world.fake.requests])


def conversations_replies(world: World) -> int:
    """How often the linked thread was read."""
    return sum(each.method == "conversations.replies" for each in world.slack.calls)


def everything_in(client: Any) -> str:
    """All values of a Redis."""
    read: dict[str, Any] = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
    }
    return "\n".join(str(read[client.type(key)](key)) for key in client.keys("*"))


async def test_a_private_channel_is_read_by_its_members_in_a_direct_message(world: World) -> None:
    board = private(world, "alice")
    link = await linked(world, board)
    dm = world.slack.user("alice").dm()
    world.fake.answer = call(link)
    assert SECRET in await answer(world, dm, text="read it")
    world.fake.answer = call(link)
    assert texts.ELSEWHERE in await answer(world, "#general")
    world.fake.answer = call(link)
    assert SECRET in await answer(world, board)


async def test_a_person_who_has_left_reads_it_no_more(world: World) -> None:
    board = private(world, "alice", "bob")
    link = await linked(world, board)
    alice = world.slack.user("alice")
    dm = alice.dm()
    world.fake.answer = call(link)
    assert SECRET in await answer(world, dm, text="read it")
    world.slack.workspace.leave(world.slack.channel(board), alice.id)
    world.fake.answer = call(link)
    assert texts.NOT_VISIBLE in await answer(world, dm, text="read it again")


async def test_who_is_no_member_sees_nothing(world: World) -> None:
    board = private(world, "alice")
    link = await linked(world, board)
    dm = world.slack.user("bob").dm()
    for place, text in (("#general", "@bot go"), (dm, "go")):
        world.fake.answer = call(link)
        said = await answer(world, place, who="bob", text=text)
        assert texts.NOT_VISIBLE in said
        assert SECRET not in said


async def test_guests_are_refused(redis_url: str, tmp_path: Path, timing: Timing) -> None:
    async with open_source(redis_url, tmp_path, timing, bot_allow_guests=True) as world:
        await world.slack.add_user("gail", is_guest=True).joins("#general")
        world.fake.answer = call(await linked(world, "#random"))
        assert texts.MEMBERS_ONLY in await answer(world, "#general", who="gail")


async def test_nothing_is_read_for_readers_of_other_organizations(world: World) -> None:
    world.slack.channel("#general").is_ext_shared = True
    world.fake.answer = call(await linked(world, "#random"))
    assert texts.SHARED in await answer(world, "#general")


async def test_all_authors_of_a_turn_must_see_it(world: World) -> None:
    """Otherwise a person could get it through another person who may see it."""
    link = await linked(world, private(world, "alice"))
    world.fake.answer = [
        held("Hello."),
        calling(Call("slack_read_thread", f'{{"link": "{link}"}}')),
    ]
    root = await world.slack.user("alice").says("#general", "@bot hello")
    await world.slack.wait_for(lambda: world.fake.working)
    await world.slack.user("bob").says("#general", "@bot read it", thread_ts=root)
    await world.slack.user("alice").says("#general", "@bot yes", thread_ts=root)
    world.fake.finish()
    await world.rests("#general", root)
    assert texts.NOT_VISIBLE in str([each.body for each in world.fake.requests])
    assert SECRET not in str([each.body for each in world.fake.requests])


async def test_without_a_token_or_the_search_the_reason_is_given(world: World) -> None:
    world.fake.answer = script(calling(Call("slack_search", '{"query": "launch"}')))
    assert texts.TOO_OLD in await answer(world, "#general")
    world.slack.workspace.searches = True
    world.fake.answer = script(calling(Call("slack_search", '{"query": "launch"}')))
    said = await answer(world, "#general")
    assert texts.NO_SCOPE.format(scope=SEARCH_SCOPE) in said


@pytest.mark.parametrize("has_it", [True, False])
async def test_tools_says_that_the_scope_of_the_search_is_missing(
    redis_url: str, tmp_path: Path, timing: Timing, has_it: bool
) -> None:
    scopes = (*SCOPES, SEARCH_SCOPE) if has_it else SCOPES
    async with open_source(redis_url, tmp_path, timing, scopes=scopes) as world:
        alice = world.slack.user("alice")
        await alice.slash("/tools", channel="#general")
        await world.slack.settled()
        shown = alice.ephemerals("#general")[-1].text
    assert (missing_scope(SEARCH_SCOPE) in shown) != has_it


async def test_tools_knows_the_scopes_of_each_installation(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "tools.toml").write_text(HEAD)
    async with open_deployment(
        redis_url, tmp_path, teams=("T1", "T2"), bot_tools=tmp_path / "tools.toml"
    ) as deployment:
        await deployment.install("T1", "T2")
        book = deployment.bot.store.installations
        found = await book.find("T2")
        assert found is not None
        scopes = (*found.scopes, SEARCH_SCOPE)
        await book.save(replace(found, scopes=scopes, installed_at=found.installed_at + 1))
        shown = []
        for team in ("T1", "T2"):
            slack = deployment.slack(team)
            await slack.user("alice").slash("/tools", channel="#general")
            await slack.settled()
            shown.append(slack.user("alice").ephemerals("#general")[-1].text)
    assert [missing_scope(SEARCH_SCOPE) in text for text in shown] == [True, False]


async def test_the_search_finds_messages_of_public_channels(
    redis_url: str, tmp_path: Path, timing: Timing
) -> None:
    scopes = (*SCOPES, SEARCH_SCOPE)
    async with open_source(redis_url, tmp_path, timing, scopes=scopes) as world:
        world.slack.workspace.searches = True
        await linked(world, "#random")
        await linked(world, private(world, "alice"), text="launch of another kind")
        for tool in ("fresh", "expired"):
            if tool == "expired":
                world.slack.workspace.searches = False
            world.fake.answer = script(calling(Call("slack_search", '{"query": "launch"}')))
            root = await world.ask("#general", "@bot when?")
            (said,) = await world.replies("#general", root)
            assert (SECRET in said) == (tool == "fresh")
            assert "another kind" not in said


async def test_a_canvas_is_read_where_it_is_shared(world: World) -> None:
    alice = world.slack.user("alice")
    canvas = {"plan.canvas": f"<h1>Plan</h1><p>{SECRET}</p>".encode()}
    await alice.says("#random", "the plan", files=canvas)
    (file,) = world.slack.workspace.files.values()
    link = f"https://local-slack.slack.com/docs/T1/{file.id}"
    world.fake.answer = call(link, "slack_read_canvas")
    assert f"# Plan\n{SECRET}" in await answer(world, "#general", who="bob")
    board = private(world, "alice")
    file.shares = [[world.slack.channel(board).id, "1.0"]]
    world.fake.answer = call(link, "slack_read_canvas")
    assert texts.NOT_VISIBLE in await answer(world, "#general", who="bob")


@pytest.mark.parametrize("link", ["", "https://example.com", "nonsense"])
async def test_other_links_are_refused(world: World, link: str) -> None:
    world.fake.answer = call(link)
    assert texts.NOT_A_LINK in await answer(world, "#general")


async def test_a_turn_that_is_resumed_reads_again(world: World) -> None:
    """The result is not in the journal: the next worker asks Slack for it."""
    link = await linked(world, "#random")
    world.fake.answer = call(link)
    world.fake.fault("rate_limit", "POST", "/responses", skip=1, retry_after=0.1)
    root = await world.slack.user("alice").says("#general", "@bot go")
    (said,) = await world.replies("#general", root)
    assert SECRET in said
    assert len(await audit(world)) == 1
    assert conversations_replies(world) == 2
