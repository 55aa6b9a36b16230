"""Context: who writes, and the messages around a question."""

from pathlib import Path

from slack_sdk.web.async_client import AsyncWebClient

from bot.models import FollowUps
from bot.store.channel_settings import ChannelSettings
from tests.world import World, open_world, words


async def test_a_mention_in_the_middle_of_a_thread_includes_the_earlier_messages(
    any_world: World,
) -> None:
    alice, bob = any_world.slack.user("alice"), any_world.slack.user("bob")
    root = await alice.says("#general", "the deploy is red", files={"log.txt": b"boom"})
    await bob.says("#general", "works on my machine", thread_ts=root)
    await any_world.ask("#general", "@bot what do we do?", thread_ts=root)
    (answer,) = await any_world.replies("#general", root)
    said = ("alice: the deploy is red", "(files: log.txt)", "bob: works on my machine")
    assert [answer.count(words) for words in said] == [1, 1, 1]
    places = [answer.index(words) for words in (*said, "alice: what do we do?")]
    assert places == sorted(places)


async def test_a_session_that_a_lost_turn_has_left_is_closed(world: World) -> None:
    """Redis has lost all data: nothing resumes the turn, or remembers its thread."""
    world.slack.faults.refuse("assistant.threads.setStatus", "missing_scope", times=10**9)
    world.slack.faults.refuse("chat.startStream", "missing_scope", times=10**9)
    alice = world.slack.user("alice")
    root = await alice.says("#general", "the deploy is red")
    channel = world.slack.channel("#general").id
    client = AsyncWebClient(world.slack.bot_token, base_url=world.slack.api_url)
    await client.agents_sessions_setStatus(channel_id=channel, thread_ts=root, status="processing")
    await world.ask("#general", "@bot what do we do?", thread_ts=root)
    session = world.slack.agent_thread("#general", root).session
    assert session is not None
    assert session.status == "active"


async def test_messages_of_other_apps_are_read(world: World) -> None:
    robot = world.slack.add_user("robot", is_bot=True)
    await robot.joins("#general")
    root = await robot.says("#general", "Build 7 failed")
    await world.ask("#general", "@bot why?", thread_ts=root)
    (answer,) = await world.replies("#general", root)
    assert answer == "turn 1: robot: Build 7 failed | alice: why?"


async def test_the_messages_of_a_single_person_have_no_name_prefix(world: World) -> None:
    root = await world.slack.user("alice").says("#general", "the deploy is red")
    await world.ask("#general", "@bot what do we do?", thread_ts=root)
    assert await world.replies("#general", root) == ["turn 1: the deploy is red | what do we do?"]


async def test_of_a_long_thread_the_root_and_the_newest_messages_are_read(world: World) -> None:
    alice = world.slack.user("alice")
    root = await alice.says("#general", "first of all")
    for number in range(230):
        await alice.says("#general", f"line {number}.", thread_ts=root)
    await world.ask("#general", "@bot sum up", thread_ts=root)
    (answer,) = await world.replies("#general", root)
    assert "line 229." in answer
    assert "line 182." in answer
    assert "line 179." not in answer
    assert answer.count("first of all") == 1


async def test_a_thread_that_cannot_be_read_is_still_answered(world: World) -> None:
    root = await world.slack.user("alice").says("#general", "the deploy is red")
    world.slack.faults.refuse("conversations.replies", "missing_scope")
    await world.ask("#general", "@bot hello", thread_ts=root)
    assert await world.replies("#general", root) == ["turn 1: hello"]


async def test_a_thread_that_cannot_be_read_now_is_answered_later_with_its_context(
    world: World,
) -> None:
    root = await world.slack.user("alice").says("#general", "the deploy is red")
    world.slack.faults.server_error("conversations.replies", times=2)
    await world.ask("#general", "@bot hello", thread_ts=root)
    assert await world.replies("#general", root) == ["turn 1: the deploy is red | hello"]


async def test_mentions_in_a_text_become_names(world: World) -> None:
    root = await world.ask("#general", "@bot ask @bob about it")
    assert await world.replies("#general", root) == ["turn 1: ask @bob about it"]


async def test_only_mentions_are_answered_once_another_person_joins(any_world: World) -> None:
    bob = any_world.slack.user("bob")
    root = await any_world.ask("#general", "@bot shall we use Redis?")
    await any_world.ask("#general", "and Postgres?", thread_ts=root)
    await bob.says("#general", "we had a bad time with it", thread_ts=root)
    await any_world.slack.user("alice").says("#general", "oh, really?", thread_ts=root)
    await any_world.rests("#general", root)
    assert len(any_world.slack.replies("#general", root)) == 2

    await any_world.ask("#general", "@bot so what now?", who="bob", thread_ts=root)
    answer = (await any_world.replies("#general", root, 3))[2]
    heard = ("bob: we had a bad time with it", "alice: oh, really?", "bob: so what now?")
    assert [answer.count(words) for words in heard] == [1, 1, 1]

    await any_world.ask("#general", "go on", who="bob", thread_ts=root)
    answer = (await any_world.replies("#general", root, 4))[3]
    assert "bob: go on" in answer
    assert answer.count("a bad time with it") == 1


async def test_a_channel_can_have_every_reply_answered_or_none(world: World) -> None:
    rules: tuple[tuple[FollowUps, int], ...] = (("always", 3), ("mentions", 1))
    for rule, answers in rules:
        channel = world.slack.add_channel(rule, ["alice", "bob"]).id
        team = world.slack.workspace.team_id
        settings = ChannelSettings(follow_ups=rule)
        assert await world.bot.store.channels.save(team, channel, settings, user_id="U1", after=0)
        root = await world.ask(channel, "@bot one")
        for who in ("alice", "bob"):
            await world.slack.user(who).says(channel, "two", thread_ts=root)
            await world.rests(channel, root)
        assert len(world.slack.replies(channel, root)) == answers


async def test_the_deployment_sets_the_default_of_all_channels(
    redis_url: str, tmp_path: Path
) -> None:
    async with open_world(redis_url, tmp_path, bot_follow_ups="mentions") as world:
        root = await world.ask("#general", "@bot one")
        await world.slack.user("alice").says("#general", "two", thread_ts=root)
        await world.rests("#general", root)
        await world.ask("#general", "@bot three", thread_ts=root)
        assert await world.replies("#general", root, 2) == [
            "turn 1: one",
            "turn 2: one | two | three",
        ]


async def test_in_a_direct_message_every_reply_is_answered(redis_url: str, tmp_path: Path) -> None:
    async with open_world(redis_url, tmp_path, bot_follow_ups="mentions") as world:
        dm = world.slack.user("alice").dm()
        root = await world.ask(dm, "one")
        await world.ask(dm, "two", thread_ts=root)
        assert words(world.slack.replies(dm, root)[1]) == "turn 2: one | two"


async def test_context_messages_are_in_our_record(world: World) -> None:
    root = await world.ask("#general", "@bot one")
    await world.slack.user("bob").says("#general", "two", thread_ts=root)
    await world.ask("#general", "@bot three", thread_ts=root)
    world.fake.conversations.clear()
    await world.ask("#general", "@bot four", thread_ts=root)
    answer = (await world.replies("#general", root, 3))[2]
    assert [answer.count(word) for word in ("one", "two", "three", "four")] == [1, 1, 1, 1]


async def test_a_reset_forgets_context_messages(world: World) -> None:
    root = await world.ask("#general", "@bot one")
    await world.slack.user("bob").says("#general", "two", thread_ts=root)
    await world.ask("#general", "@bot reset", thread_ts=root)
    await world.ask("#general", "@bot three", thread_ts=root)
    assert (await world.replies("#general", root, 3))[2] == "turn 1: alice: three"
