"""Deliveries: duplicated, shuffled, forged, oversized, or while Redis is down."""

import asyncio
import hashlib
import hmac
import io
import json
import time
from itertools import combinations, pairwise
from pathlib import Path

import aiohttp
import pytest

from local_slack.delivery.delivery import Attempt
from tests.fakes.openai import echo, held
from tests.redis_server import run_server
from tests.world import ACK_SECONDS, World, open_world, wait_until


def sign(secret: str, timestamp: str, body: bytes) -> str:
    base = b"v0:" + timestamp.encode() + b":" + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


async def post(
    world: World,
    body: bytes,
    *,
    secret: str = "",
    timestamp: str = "",
    kind: str = "application/json",
) -> tuple[int, float]:
    """Send a body to the bot as Slack would; returns the status and the seconds it took."""
    timestamp = timestamp or str(int(time.time()))
    headers = {
        "Content-Type": kind,
        "X-Slack-Request-Timestamp": timestamp,
        "X-Slack-Signature": sign(secret or world.slack.signing_secret, timestamp, body),
    }
    began = time.monotonic()
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{world.url}/slack/events", data=io.BytesIO(body), headers=headers
        ) as response,
    ):
        await response.read()
        return response.status, time.monotonic() - began


async def test_duplicate_events_and_redeliveries_cause_one_turn(each_way_world: World) -> None:
    world = each_way_world
    world.slack.faults.deliver_twice = True
    world.slack.faults.reverse_twins = True
    root = await world.ask("#general", "@bot hi")
    await world.ask("#general", "more", thread_ts=root)
    await world.slack.settled()
    assert await world.replies("#general", root, 2) == ["turn 1: hi", "turn 2: hi | more"]
    assert world.fake.created("/responses") == 2


async def test_a_retry_long_after_the_answer_changes_nothing(world: World) -> None:
    root = await world.ask("#general", "@bot hi")
    first = next(d for d in world.slack.deliveries if d.kind == "events_api")
    status, _ = await post(world, json.dumps(first.payload).encode())
    assert status == 200
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 1


async def test_a_redelivery_25_hours_later_changes_nothing(world: World) -> None:
    root = await world.ask("#general", "@bot hi")
    await world.ask("#general", "more", thread_ts=root)
    events = [d for d in world.slack.deliveries if d.kind == "events_api"]
    assert {d.name for d in events} == {"app_mention", "message.channels"}
    await age(world, 25 * 3600)
    for delivery in events:
        assert (await post(world, json.dumps(delivery.payload).encode()))[0] == 200
    await world.rests("#general", root)
    assert await world.replies("#general", root) == ["turn 1: hi", "turn 2: hi | more"]
    assert len(world.fake.prompts) == 2


async def age(world: World, seconds: int) -> None:
    """Let keys in Redis expire as if so much time had passed."""
    redis = world.bot.store.redis
    keys = [key async for key in redis.scan_iter(f"{{{world.settings.bot_redis_prefix}}}*")]
    for key in keys:
        if (left := await redis.pttl(key)) >= 0:
            await redis.pexpire(key, max(0, left - seconds * 1000))


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_messages_that_arrive_before_the_opening_mention_are_answered_with_it(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, engine=engine) as world:
        alice, deliveries = world.slack.user("alice"), world.slack.deliveries_to_app
        gate = deliveries.gate = asyncio.Event()
        root = await alice.says("#general", "@bot start")
        deliveries.gate = None
        more = await alice.says("#general", "more", thread_ts=root)
        await world.slack.wait_for(lambda: any(a.status == 200 for a in tries(world, more)))
        assert not tries(world, root)
        gate.set()
        await world.slack.settled()
        assert await world.replies("#general", root) == ["turn 1: start | more"]
        assert len(world.fake.prompts) == 1


async def test_forged_and_stale_signatures_are_refused(world: World) -> None:
    body = json.dumps({"type": "event_callback", "event": {"type": "message"}}).encode()
    assert (await post(world, body, secret="wrong"))[0] == 401
    assert (await post(world, body, timestamp=str(int(time.time()) - 400)))[0] == 401
    assert (await post(world, body, timestamp="yesterday"))[0] == 401


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"x" * 5_000_000, "application/json"),
        (b"{not json", "application/json"),
        (b"[]", "application/json"),
        (b"\xff\xfe\xfd", "application/json"),
        (b"payload={broken", "application/x-www-form-urlencoded"),
        (b"payload=[]", "application/x-www-form-urlencoded"),
        (b"", "application/json"),
        (b"{}", "application/json"),
    ],
    ids=["5 MB", "no JSON", "a list", "no UTF-8", "form", "form list", "empty", "nothing in it"],
)
async def test_bad_bodies_are_refused_and_the_process_survives(
    world: World, body: bytes, kind: str
) -> None:
    status, _ = await post(world, body, kind=kind)
    assert 400 <= status < 500
    root = await world.ask("#general", "@bot still there?")
    assert await world.replies("#general", root) == ["turn 1: still there?"]


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_shuffled_messages_are_debounced_and_answered_once_in_slacks_order(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, engine=engine, bot_gather_seconds=1.0) as world:
        root = await world.ask("#general", "@bot start")
        world.slack.faults.delay = (0.0, 0.3)
        said = await say_numbers(world, root)
        assert await world.replies("#general", root, 2) == [
            "turn 1: start",
            "turn 2: start | n0 | n1 | n2 | n3 | n4 | n5",
        ]
        arrived = sorted(said, key=lambda ts: tries(world, ts)[0].sent_at)
        assert arrived != said
        assert len(world.fake.prompts) == 2


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_message_that_misses_the_debounce_is_answered_once_in_the_next_turn(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, engine=engine) as world:
        root = await world.ask("#general", "@bot start")
        world.slack.faults.delay = (0.0, 1.5)
        said = await say_numbers(world, root)
        await world.slack.settled()
        await world.rests("#general", root)
        heard = [prompt.user_messages for prompt in world.fake.prompts]
        answers = [f"turn {turn}: {' | '.join(words)}" for turn, words in enumerate(heard, 1)]
        assert await world.replies("#general", root) == answers
        assert sorted(heard[-1]) == ["n0", "n1", "n2", "n3", "n4", "n5", "start"]
        turns = [later[len(earlier) :] for earlier, later in pairwise(heard)]
        assert len(turns) > 1
        assert all(list(words) == sorted(words) for words in turns)
        first = [tries(world, ts)[0] for ts in said]
        order = [int(word.removeprefix("n")) for word in heard[-1][1:]]
        for one, other in combinations(order, 2):
            if one > other:
                acknowledged = first[other].sent_at + (first[other].ms or 0) / 1000
                assert first[one].sent_at < acknowledged


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_message_that_arrives_after_its_successor_was_answered_gets_the_next_answer(
    engine: str, redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, engine=engine) as world:
        root = await world.ask("#general", "@bot start")
        alice, deliveries = world.slack.user("alice"), world.slack.deliveries_to_app
        gate = deliveries.gate = asyncio.Event()
        late = await alice.says("#general", "late", thread_ts=root)
        deliveries.gate = None
        await alice.says("#general", "prompt", thread_ts=root)
        await world.slack.wait_for(lambda: len(world.slack.replies("#general", root)) == 2)
        assert not tries(world, late)
        gate.set()
        assert await world.replies("#general", root, 3) == [
            "turn 1: start",
            "turn 2: start | prompt",
            "turn 3: start | prompt | late",
        ]
        assert len(world.fake.prompts) == 3


async def say_numbers(world: World, root: str) -> list[str]:
    """Six messages in a thread, at once."""
    alice = world.slack.user("alice")
    return [await alice.says("#general", f"n{n}", thread_ts=root) for n in range(6)]


def tries(world: World, ts: str) -> list[Attempt]:
    """The deliveries of a message so far."""
    return [attempt for d in world.slack.deliveries if d.ts == ts for attempt in d.attempts]


@pytest.mark.parametrize(
    ("socket_mode", "reason"), [(False, "http_error"), (True, "timeout")], ids=["http", "socket"]
)
async def test_events_are_refused_while_redis_is_down_and_redelivered(
    socket_mode: bool, reason: str, tmp_path: Path
) -> None:
    with run_server() as server:
        async with open_world(server.url, tmp_path, socket_mode=socket_mode) as world:
            root = await world.ask("#general", "@bot before")
            await world.slack.settled()
            world.slack.deliveries_to_app.ack_seconds = 1
            server.kill()
            ts = await world.slack.user("alice").says("#general", "during", thread_ts=root)
            [during] = [d for d in world.slack.deliveries if d.ts == ts]

            async def refused() -> bool:
                return any(attempt.reason == reason for attempt in during.attempts)

            await wait_until(refused)
            assert 200 not in {attempt.status for attempt in during.attempts}
            world.slack.deliveries_to_app.ack_seconds = ACK_SECONDS
            server.start()
            answers = await world.replies("#general", root, 2)
            assert answers == ["turn 1: before", "turn 2: before | during"]
            assert during.state == "acknowledged"


async def test_every_event_is_acknowledged_before_any_answer_and_answered_once_under_load(
    world: World,
) -> None:
    """An acknowledgement waits for no turn: all turns are under way, and none ends before."""
    alice = world.slack.user("alice")
    world.fake.answer = lambda prompt: held(echo(prompt))
    # Slack allows about one post a second per channel: spread them to test the way in.
    channels = 4 * [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(13)]
    said = (alice.says(channel, f"@bot {n}") for n, channel in enumerate(channels))
    threads = list(zip(channels, await asyncio.gather(*said), strict=True))
    await world.slack.wait_for(lambda: len(world.fake.working) == len(threads))
    await world.slack.settled()
    assert all(len(delivery.attempts) == 1 for delivery in world.slack.deliveries)
    assert not any(world.slack.replies(*thread) for thread in threads)
    world.fake.finish()
    for thread in threads:
        assert len(await world.replies(*thread)) == 1


async def test_after_a_loss_of_data_slack_is_asked_who_takes_part_in_an_old_thread(
    world: World,
) -> None:
    ours = await world.ask("#general", "@bot hi")
    theirs = await world.slack.user("alice").says("#general", "just between us")
    await world.bot.store.redis.delete(*[key async for key in world.bot.store.redis.scan_iter("*")])

    async def beats_again() -> bool:
        return bool(await world.bot.store.redis.hget(world.bot.store.keys.pulse, "born"))

    await wait_until(beats_again)
    world.slack.faults.rate_limit("conversations.replies", times=1)
    for text in ("one", "two"):
        await world.slack.user("alice").says("#general", text, thread_ts=theirs)
        await world.slack.settled()
    await world.slack.user("alice").says("#general", "still there?", thread_ts=ours)
    *_, answer = await world.replies("#general", ours, 2)
    assert answer.endswith("hi | still there?")
    await world.slack.settled()
    assert world.slack.replies("#general", theirs) == []
    looks = [
        call.error == "ok" for call in world.slack.calls if call.method == "conversations.replies"
    ]
    assert looks.count(False) == 1
    # Once per thread, and for the history of ours: two reads if its first message is redelivered.
    assert 3 <= looks.count(True) <= 4
