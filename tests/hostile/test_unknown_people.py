"""While a person cannot be looked up in Slack, nothing is permitted and nothing is lost."""

from pathlib import Path

import pytest

from bot.timing import CircuitTiming, SlackTiming, StoreTiming, Timing, WorkerTiming
from local_slack.people import Person
from tests.fakes.openai import held
from tests.slack.answers import HURRY
from tests.world import PATIENCE, World, open_world, wait_until, words

TIMING = Timing(
    worker=WorkerTiming(heartbeat=0.05, retry_first=0.05, retry_longest=0.2),
    store=StoreTiming(circuits=CircuitTiming(first_pause=0.05, longest_pause=0.1, recheck=0.2)),
    slack=SlackTiming(look_up=0.2),
    answer=HURRY,
)
PROSE = " ".join(f"word{n}" for n in range(200))


@pytest.fixture
def timing() -> Timing:
    return TIMING


def hide_people(world: World, *people: Person) -> None:
    """Let `users.info` fail, and clear its cache."""
    for person in people:
        world.bot.people.forget(person.id)
    world.slack.faults.server_error("users.info", times=10**9, status=503)


async def test_a_person_is_answered_or_refused_once_slack_says_who_it_is(world: World) -> None:
    guest = world.slack.add_user("mallory", is_guest=True)
    await guest.joins("#general")
    alice = world.slack.user("alice")
    hide_people(world, guest, alice)
    roots = [await person.says("#general", "@bot hello") for person in (guest, alice)]
    await world.slack.settled(PATIENCE)
    await wait_until(lambda: delayed(world, roots))
    assert world.fake.created("/responses") == 0
    world.slack.faults.clear()
    (refusal,) = await world.replies("#general", roots[0])
    (answer,) = await world.replies("#general", roots[1])
    assert "does not answer guests" in refusal
    assert "hello" in answer
    assert world.fake.created("/responses") == 1


async def delayed(world: World, roots: list[str]) -> bool:
    """Whether the turns have failed once and are waiting."""
    store = world.bot.store
    keys = [world.key("#general", root).key for root in roots]
    waiting = [await store.redis.zscore(store.keys.later, key) for key in keys]
    return None not in waiting


@pytest.mark.parametrize("way", ["word", "button", "native"])
@pytest.mark.parametrize("is_guest", [True, False])
async def test_a_stop_takes_effect_once_slack_says_that_the_person_may(
    world: World, way: str, is_guest: bool
) -> None:
    person = world.slack.add_user("mallory", is_guest=is_guest)
    await person.joins("#general")
    if way == "button":  # only an edited answer has it
        world.slack.faults.refuse("chat.startStream", "unknown_method")
    world.fake.answer = [held(PROSE, after=30)]
    root = await world.slack.user("alice").says("#general", "@bot count")
    await wait_until(lambda: growing(world, root))
    hide_people(world, person)
    if way == "word":
        await person.says("#general", "@bot stop", thread_ts=root)
    elif way == "button":
        (message,) = world.slack.replies("#general", root)
        await person.clicks("#general", message.ts, "stop_answer")
    else:
        await person.stops("#general", root)
    await world.slack.settled(PATIENCE)
    world.slack.faults.clear()
    if is_guest:
        await world.slack.wait_for(lambda: asked_since(world, person), PATIENCE)
        world.fake.finish()
    answers = await world.replies("#general", root)
    assert ("_Stopped._" in answers[0]) is not is_guest
    assert (answers[0] == PROSE) is is_guest


def asked_since(world: World, person: Person) -> bool:
    return world.bot.people.cached(person.id) is not None


async def growing(world: World, root: str) -> bool:
    return any("word1" in words(m) for m in world.slack.replies("#general", root))


async def test_a_vote_of_an_unknown_person_is_not_stored(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    alice = world.slack.user("alice")
    hide_people(world, alice)
    (answer,) = world.slack.replies("#general", root)
    await alice.clicks("#general", answer.ts, "feedback", "positive")
    await world.jobs_done(alice)
    assert await world.bot.store.feedback.list() == []
    assert "try again" in words(alice.ephemerals("#general")[-1])


async def test_a_person_named_in_the_settings_needs_no_look_up(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path) as world:
        alice = world.slack.user("alice").id
    async with open_world(redis_url, tmp_path, timing=TIMING, bot_allow_people=alice) as world:
        hide_people(world)
        root = await world.ask("#general", "@bot hello")
        assert len(await world.replies("#general", root)) == 1
