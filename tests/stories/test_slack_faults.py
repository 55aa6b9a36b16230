"""Faults of Slack: duplicate and late deliveries, refusals, broken connections, rate limits."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from bot.app import open_bot
from bot.timing import Timing
from local_slack.workspace.posting import post as say
from tests.fakes.openai import held
from tests.stories.test_deliveries import post
from tests.world import (
    ANSWER,
    BASE_TIMING,
    World,
    delete_while_answering,
    open_world,
    wait_until,
    words,
)

LONG = "\n\n".join(f"Paragraph {n}. " + "word " * 80 for n in range(60))
"""The text of an answer of three posts."""


def quick(posts_per_second: float = 50.0) -> Timing:
    """Posts of unknown outcome are looked up soon."""
    answer = replace(ANSWER, settling=0.05, posts_per_second=posts_per_second)
    return replace(BASE_TIMING, answer=answer)


TIMING = quick()


@pytest.fixture
async def world(redis_url: str, tmp_path: Path, timing: Timing) -> AsyncIterator[World]:
    """Answers are posted only when complete, however long that takes."""
    async with open_world(
        redis_url, tmp_path, timing=timing, socket_mode=False, bot_streaming=False
    ) as world:
        yield world


def calls(world: World, method: str) -> Counter[str]:
    """The results of the calls of a method."""
    return Counter(call.error for call in world.slack.calls if call.method == method)


@pytest.mark.parametrize("mention_first", [True, False])
@pytest.mark.parametrize("late", [0.0, 0.1])
async def test_duplicate_events_in_any_order_late_or_twice_are_one_message(
    world: World, mention_first: bool, late: float
) -> None:
    world.slack.faults.deliver_twice = True
    world.slack.faults.reverse_twins = mention_first
    world.slack.faults.delay = (0.0, late)
    root = await world.ask("#general", "@bot hi")
    await world.ask("#general", "<@U0> aside, @bot more", thread_ts=root)
    await world.slack.settled()
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 2
    assert world.fake.created("/responses") == 2


async def test_every_event_delivered_again_after_a_reset_changes_nothing(world: World) -> None:
    root = await world.ask("#general", "@bot hi")
    await world.ask("#general", "more", thread_ts=root)
    await world.ask("#general", "reset", thread_ts=root)
    events = [d for d in world.slack.deliveries if d.kind == "events_api"]
    for delivery in reversed(events):
        assert (await post(world, json.dumps(delivery.payload).encode()))[0] == 200
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 3
    assert world.fake.created("/responses") == 2


@pytest.mark.parametrize("streaming", [True, False])
async def test_a_storm_of_429_on_every_method_loses_nothing(
    redis_url: str, tmp_path: Path, streaming: bool
) -> None:
    async with open_world(
        redis_url,
        tmp_path,
        timing=quick(posts_per_second=20.0),
        socket_mode=False,
        bot_streaming=streaming,
    ) as world:
        await storm_of_429(world)


async def storm_of_429(world: World) -> None:
    alice = world.slack.user("alice")
    world.fake.answer = [held(LONG)]
    roots = [await alice.says("#general", "@bot long")]
    await world.slack.wait_for(lambda: world.fake.working)
    world.slack.faults.rate_limit("*", times=30, retry_after=0.2)
    world.fake.finish()
    roots += [await alice.says("#general", f"@bot {number}") for number in range(5)]
    for root in roots[1:]:
        await world.replies("#general", root)
    assert "\n\n".join(await world.replies("#general", roots[0], 3)).split() == LONG.split()
    assert all(len(world.slack.replies("#general", root)) == 1 for root in roots[1:])
    assert world.fake.created("/responses") == 6
    assert await world.bot.store.dead.list() == ()


@pytest.mark.parametrize("timing", [quick(posts_per_second=40.0)])
@pytest.mark.parametrize("seconds", [1.0, 30.0])
async def test_one_rate_limit_pauses_all_threads_of_the_channel(
    world: World, seconds: float
) -> None:
    """Twenty threads, of which one hits the limit; without a shared pause the others would post."""
    scaled = seconds / 20
    world.fake.answer = [held(f"answer {number}") for number in range(20)]
    alice = world.slack.user("alice")
    roots = [await alice.says("#general", f"@bot {number}") for number in range(20)]
    await world.slack.wait_for(lambda: len(world.fake.working) == 20)
    world.slack.faults.rate_limit("chat.postMessage", times=1, retry_after=scaled)
    world.fake.working[0].finish()
    await wait_until(lambda: is_paused(world, "#general"))
    world.fake.finish()
    elsewhere = await world.ask("#random", "@bot elsewhere")
    for root in roots:
        await world.replies("#general", root)
    assert calls(world, "chat.postMessage") == {"ok": 21, "ratelimited": 1}
    posted = [c for c in world.slack.calls if c.method == "chat.postMessage" and c.ok]
    channel = world.slack.channel("#general").id
    refused = next(c for c in world.slack.calls if c.error == "ratelimited")
    times = [call.at for call in posted if call.args["channel"] == channel]
    assert min(times) >= refused.at + scaled
    assert len(world.slack.replies("#random", elsewhere)) == 1


async def is_paused(world: World, name: str) -> bool:
    """Whether posts to the channel pause, or did: a short pause may have passed."""
    bucket = f"post:{world.slack.workspace.team_id}:{world.slack.channel(name).id}"
    return bool(
        await world.bot.store.pace.resting(bucket) or calls(world, "chat.postMessage")["ok"]
    )


@pytest.mark.parametrize("timing", [quick(posts_per_second=1.0)])
async def test_a_burst_in_one_channel_stays_within_slack_s_own_limit(world: World) -> None:
    world.slack.rates.enabled = True
    alice = world.slack.user("alice")
    roots = [await alice.says("#general", f"@bot {number}") for number in range(10)]
    elsewhere = await world.ask("#random", "@bot elsewhere")
    waiting = [r for r in roots if not world.slack.replies("#general", r)]
    for root in roots:
        await world.replies("#general", root)
    assert calls(world, "chat.postMessage") == {"ok": 11}
    assert len(waiting) >= 3  # the other channel did not wait for them
    assert len(world.slack.replies("#random", elsewhere)) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_after_a_5xx_the_answer_is_looked_up_and_then_posted(
    world: World, status: int
) -> None:
    world.slack.faults.server_error("chat.postMessage", times=2, status=status)
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert calls(world, "conversations.replies") == {"ok": 2}


@pytest.mark.parametrize("after_effect", [True, False])
@pytest.mark.parametrize("part", [0, 1, 2])
async def test_a_connection_that_breaks_at_any_part_duplicates_no_part(
    world: World, part: int, after_effect: bool
) -> None:
    world.fake.answer = [held(LONG)]
    root = await world.slack.user("alice").says("#general", "@bot long")
    await world.slack.wait_for(lambda: world.fake.working)
    for _ in range(part):
        world.slack.faults.server_error("chat.postMessage", status=503)
    world.slack.faults.drop("chat.postMessage", after_effect=after_effect)
    world.fake.finish()
    parts = await world.replies("#general", root, 3)
    assert len(parts) == 3
    assert "\n\n".join(parts).split() == LONG.split()


async def test_a_lost_post_is_found_behind_hundreds_of_others(world: World) -> None:
    world.fake.answer = [held("the answer")]
    root = await world.slack.user("alice").says("#general", "@bot think")
    await world.slack.wait_for(lambda: world.fake.working)
    robot = world.slack.add_user("robot", is_bot=True)
    await robot.joins("#general")
    workspace, channel = world.slack.workspace, world.slack.channel("#general")
    for number in range(450):
        say(workspace, workspace.get_user("robot"), channel, f"beep {number}", thread_ts=root)
    world.slack.faults.drop("chat.postMessage", after_effect=True)
    world.fake.finish()
    assert await world.replies("#general", root) == ["the answer"]
    assert calls(world, "chat.postMessage") == {"ok": 1}
    assert calls(world, "conversations.replies")["ok"] == 3


async def test_nothing_is_posted_twice_if_the_look_up_fails_too(world: World) -> None:
    world.slack.faults.drop("chat.postMessage", after_effect=True)
    world.slack.faults.server_error("conversations.replies", times=2)
    world.slack.faults.rate_limit("conversations.replies", times=1, retry_after=0.1)
    root = await world.ask("#general", "@bot hi")
    assert await world.replies("#general", root) == ["turn 1: hi"]
    assert world.fake.created("/responses") == 1


@pytest.mark.parametrize(
    "error", ["channel_not_found", "is_archived", "not_in_channel", "restricted_action"]
)
async def test_a_permanently_refused_answer_is_settled_and_the_next_message_works(
    world: World, error: str
) -> None:
    world.slack.faults.refuse("chat.postMessage", error)
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot one")
    await world.slack.wait_for(lambda: calls(world, "chat.postMessage")[error])
    await world.rests("#general", root)
    assert world.slack.replies("#general", root) == []
    assert await world.bot.store.dead.list() == ()
    await world.ask("#general", "two", thread_ts=root)
    assert await world.replies("#general", root) == ["turn 2: one | two"]


@pytest.mark.parametrize("error", ["channel_not_found", "is_archived", "not_in_channel"])
@pytest.mark.parametrize("growing", [False, True], ids=["at once", "while it grows"])
async def test_a_permanently_refused_stream_is_settled_and_the_next_message_works(
    redis_url: str, tmp_path: Path, error: str, growing: bool
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        alice, slack = world.slack.user("alice"), world.slack
        world.fake.answer = [held(LONG, after=40)]
        with capture_logs() as logs:
            if not growing:
                refuse_posts(world, error)
            root = await alice.says("#general", "@bot one")
            if growing:
                await slack.wait_for(lambda: slack.replies("#general", root))
                refuse_posts(world, error)
            else:
                await slack.wait_for(lambda: calls(world, "chat.startStream")[error])
            world.fake.finish()
            await world.rests("#general", root)
        [reported] = [line for line in logs if line["event"] == "turn_undeliverable"]
        assert reported["reason"] == error
        assert len(slack.replies("#general", root)) == growing
        agent = slack.agent_thread("#general", root)
        assert agent.status == ""
        assert agent.session is None or agent.session.status == "active"
        assert await world.bot.store.dead.list() == ()
        slack.faults.clear()
        await world.ask("#general", "two", thread_ts=root)
        assert (await world.replies("#general", root))[-1] == "turn 2: one | two"
        assert len(world.fake.prompts) == 2


def refuse_posts(world: World, error: str) -> None:
    """Let Slack refuse every post, stream and edit."""
    names = ("startStream", "appendStream", "stopStream", "postMessage", "update")
    world.slack.faults.refuse(" ".join(f"chat.{name}" for name in names), error, times=1000)


async def test_an_answer_whose_question_is_deleted_while_it_grows_is_finished_and_is_forgotten(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        alice, slack = world.slack.user("alice"), world.slack
        world.fake.answer = [held(LONG, after=40)]
        root = await alice.says("#general", "@bot think")
        await slack.wait_for(lambda: slack.replies("#general", root))
        await alice.deletes("#general", root)
        await slack.settled()
        world.fake.finish()
        parts = await world.replies("#general", root)
        assert "\n\n".join(parts).split() == LONG.split()
        assert slack.agent_thread("#general", root).status == ""
        assert await world.bot.store.dead.list() == ()
        await world.ask("#general", "@bot and now?", thread_ts=root)
        assert "think" not in world.fake.prompts[-1].user_messages
        assert len(world.fake.prompts) == 2


@pytest.mark.parametrize("strays", [False, True])
async def test_a_deleted_question_is_not_answered(world: World, strays: bool) -> None:
    """Slack refuses the answer, or shows it in the channel; there it is deleted."""
    world.slack.workspace.strays = strays
    await delete_while_answering(world, "never to be seen")
    said = [words(message) for message in world.slack.messages("#general")]
    assert not any("never to be seen" in text for text in said)
    assert await world.bot.store.dead.list() == ()


async def test_a_thread_whose_root_was_deleted_continues_below_its_tombstone(
    world: World,
) -> None:
    root = await world.ask("#general", "@bot one")
    world.fake.answer = [held("still here")]
    alice = world.slack.user("alice")
    await alice.says("#general", "two", thread_ts=root)
    await world.slack.wait_for(lambda: world.fake.working)
    await alice.deletes("#general", root)
    world.fake.finish()
    assert (await world.replies("#general", root, 2))[1] == "still here"


async def test_each_message_is_answered_once_across_socket_refreshes_and_breaks(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, socket_mode=True) as world:
        alice, sockets = world.slack.user("alice"), world.slack.sockets

        async def connected() -> bool:
            return sockets.connections >= 1

        roots = []
        for number in range(4):
            roots.append(await alice.says("#general", f"@bot {number}"))
            await (sockets.cut() if number % 2 else sockets.refresh())
            await wait_until(connected)
        for number, root in enumerate(roots):
            assert await world.replies("#general", root) == [f"turn 1: {number}"]
        assert world.fake.created("/responses") == 4


async def test_ten_connections_share_the_events_and_each_is_answered_once(
    redis_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(redis_url, tmp_path, socket_mode=True))
        for _ in range(9):
            await stack.enter_async_context(open_bot(world.settings, work_part=False))
        assert world.slack.sockets.connections == 10
        spots = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(5)]
        alice = world.slack.user("alice")
        roots = [(spot, await alice.says(spot, f"@bot {spot}")) for spot in spots * 4]
        for spot, root in roots:
            assert await world.replies(spot, root) == [f"turn 1: {spot}"]
        assert len(world.fake.prompts) == len(roots)
        assert world.slack.sockets.turned_away == 0


async def test_a_bot_connects_once_one_of_ten_sockets_is_free(
    redis_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world(redis_url, tmp_path, socket_mode=True))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        link = world.slack.base_url.replace("http", "ws") + "/link/?ticket="
        ghosts = [
            await session.ws_connect(link + world.slack.sockets.issue_ticket()) for _ in range(9)
        ]
        await stack.enter_async_context(open_bot(world.settings, work_part=False))
        await world.slack.wait_for(lambda: world.slack.sockets.turned_away)
        assert world.slack.sockets.connections == 10
        for ghost in ghosts:
            await ghost.close()

        async def connected() -> bool:
            return world.slack.sockets.connections == 2

        await wait_until(connected)
        roots = [await world.ask("#general", f"@bot {number}") for number in range(4)]
        for number, root in enumerate(roots):
            assert await world.replies("#general", root) == [f"turn 1: {number}"]
        assert len(world.fake.prompts) == 4
