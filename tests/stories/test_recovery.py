"""What people can do with their own conversations: find, reset, export and delete them."""

import json
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bot.jobs.export import export_conversations
from bot.models import JOB
from bot.models import Message as JobMessage
from bot.store import jobs
from bot.store.claims import CLOCK_SKEW
from bot.store.usage import FORGOTTEN, day_of
from bot.telemetry import audit_log
from bot.texts.commands import NONE_SUCH
from local_slack.workspace.model import Message
from tests.fakes.openai import held
from tests.stories.test_usage import files_for
from tests.world import PATIENCE, World, now_ts, wait_until


def letters(world: World, who: str) -> list[Message]:
    """The direct messages that the bot started."""
    channel = world.slack.user(who).dm()
    return [m for m in world.slack.messages(channel) if m.user_id == world.slack.bot.id]


async def direct_message_to(world: World, who: str) -> str:
    (letter,) = await world.slack.wait_for(partial(letters, world, who), PATIENCE)
    return letter.text


async def listed(world: World, who: str, words: str = "") -> Message:
    """The answer to `/conversations`."""
    person = world.slack.user(who)
    before = len(person.ephemerals("#general"))
    await person.slash("/conversations", words)
    (answer,) = await world.slack.wait_for(lambda: person.ephemerals("#general")[before:])
    return answer


async def test_own_conversations_are_listed_with_links(world: World) -> None:
    cats = await world.ask("#general", "@bot about cats")
    await world.ask("#random", "@bot about dogs")
    await world.ask("#general", "@bot about birds", who="bob")
    shown = str((await listed(world, "alice")).blocks)
    link = world.slack.permalink(world.slack.thread("#general", cats)[0])
    assert f"<{link}|about cats>" in shown
    assert shown.index("about dogs") < shown.index("about cats")
    assert "birds" not in shown


async def test_conversations_are_found_by_words_of_any_of_their_messages(world: World) -> None:
    root = await world.ask("#general", "@bot about cats")
    await world.ask("#general", "the Siamese ones", thread_ts=root)
    await world.ask("#general", "@bot about dogs")
    shown = str((await listed(world, "alice", "siamese CATS")).blocks)
    assert "about cats" in shown
    assert "about dogs" not in shown
    many = "Siamese " * 400  # more than Slack takes in a paragraph
    assert "about cats" in str((await listed(world, "alice", many)).blocks)
    assert (await listed(world, "alice", "elephants")).text == NONE_SUCH


async def test_one_is_reset_from_the_list_or_all(world: World) -> None:
    root = await world.ask("#general", "@bot about cats")
    await world.ask("#random", "@bot about dogs")
    await world.ask("#general", "@bot about birds", who="bob")
    alice, store = world.slack.user("alice"), world.bot.store
    answer = await listed(world, "alice", "cats")
    await alice.clicks("#general", answer.ts, "reset_conversation")
    await world.replies("#general", root, 2)
    assert await store.conversations.find(world.key("#general", root)) is None
    answer = await listed(world, "alice")
    await alice.clicks("#general", answer.ts, "errand:reset_all")
    assert await direct_message_to(world, "alice") == "Done: 1 conversation reset."
    assert len(world.fake.conversations) == 1


async def test_forget_me_deletes_here_and_on_the_server_and_counts(any_world: World) -> None:
    world = any_world
    roots = [await world.ask("#random", "@bot my secret is swordfish") for _ in range(2)]
    shared = await world.ask("#general", "@bot hello", who="bob")
    await world.ask("#general", "@bot swordfish, again", thread_ts=shared)
    kept = await world.ask("#general", "@bot only bob", who="bob")
    alice, store = world.slack.user("alice"), world.bot.store
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    reported = await direct_message_to(world, "alice")
    assert reported.startswith("Done: 2 conversations deleted here and on the AI server")
    assert "being removed from 1 conversation with other people" in reported
    await world.rests("#general", shared)
    left = await store.conversations.history(world.key("#general", shared))
    assert [record.user_id for record in left if record.role == "user"] == [
        world.slack.user("bob").id
    ]
    assert "swordfish" not in str(left)
    team_id = world.slack.workspace.team_id
    assert await store.conversations.recent(team_id, alice.id) == []
    assert await store.conversations.find(world.key("#general", kept)) is not None
    assert len({**world.fake.conversations, **world.fake.threads}) in (
        0,
        1,
    )  # the echo engine has none here
    for root in roots:
        assert await store.conversations.history(world.key("#random", root)) == []
    people = await store.spending.top(team_id, "person", day_of(time.time())[:7], 10)
    assert alice.id not in people
    assert FORGOTTEN in people
    chief = world.slack.add_user("chief", is_admin=True)
    await chief.joins("#general")
    await chief.slash("/usage")
    shown = str(chief.ephemerals("#general")[0].blocks)
    assert alice.id not in shown
    assert "people who asked to be forgotten: 3 answers" in shown


async def test_forget_me_waits_for_a_running_turn(world: World) -> None:
    root = await world.ask("#general", "@bot hello")
    world.fake.answer = [held("never to be seen")]
    alice = world.slack.user("alice")
    await alice.says("#general", "think long", thread_ts=root)
    await world.slack.wait_for(lambda: world.fake.working)
    team_id = world.slack.workspace.team_id
    await jobs.ask(world.bot.store.inbox, "forget_me", team_id, alice.id, "e1")
    assert (await direct_message_to(world, "alice")).startswith("Done: 1 conversation deleted")
    assert world.fake.conversations == {}


async def test_the_export_contains_the_conversations(world: World) -> None:
    root = await world.ask("#general", "@bot about cats")
    alice = world.slack.user("alice")
    await alice.opens_home()
    await world.slack.wait_for(lambda: alice.home)
    assert alice.home is not None
    await alice.clicks_in_view("errand:export", view_id=alice.home["id"])
    (message,) = await world.slack.wait_for(lambda: files_for(world, alice.dm()), PATIENCE)
    exported: dict[str, Any] = json.loads(world.slack.workspace.files[message.file_ids[0]].content)
    (conversation,) = exported["conversations"]
    assert conversation["thread_ts"] == root
    said = [(line["role"], line["text"]) for line in conversation["messages"]]
    assert said == [("user", "about cats"), ("assistant", "turn 1: about cats")]


async def test_an_export_of_many_is_one_document(world: World) -> None:
    store, team_id = world.bot.store, world.slack.workspace.team_id
    nothing = await export_conversations(store, [], team_id, "U0NOBODY", "https://x.slack.com/")
    assert json.loads(nothing)["conversations"] == []
    channels = [world.slack.add_channel(f"c{n}", ["alice"]).id for n in range(3)]
    for channel in channels:
        await world.ask(channel, '@bot "quoted", ünïcode 🎉 and\nlines')
    alice = world.slack.user("alice").id
    recent = await store.conversations.recent(team_id, alice, limit=None)
    content = await export_conversations(store, recent, team_id, alice, "https://x.slack.com")
    exported = json.loads(content)
    assert (exported["user_id"], exported["team_id"]) == (alice, team_id)
    found = exported["conversations"]
    assert [conversation["channel_id"] for conversation in found] == channels[::-1]
    assert found[0]["messages"][0]["text"] == '"quoted", ünïcode 🎉 and\nlines'


async def test_a_file_that_slack_refuses_is_reported(world: World) -> None:
    alice, team_id = world.slack.user("alice"), world.slack.workspace.team_id
    world.slack.web_api.scopes = frozenset(world.slack.web_api.scopes or ()) - {"files:write"}
    await jobs.ask(world.bot.store.inbox, "export", team_id, alice.id, "e1")
    assert "missing_scope" in await direct_message_to(world, "alice")


async def test_a_job_leaves_nothing_behind(world: World) -> None:
    alice, team_id = world.slack.user("alice"), world.slack.workspace.team_id
    await jobs.ask(world.bot.store.inbox, "export", team_id, alice.id, "e1")
    await world.slack.wait_for(lambda: files_for(world, alice.dm()), PATIENCE)

    async def idle() -> bool:
        state = await world.bot.store.inbox.state(jobs.place(team_id, alice.id))
        return state.state == "idle"

    assert await wait_until(idle)


def job(world: World, text: str, event_id: str) -> JobMessage:
    """A job of Alice's as `web` delivers it."""
    alice, team_id = world.slack.user("alice").id, world.slack.workspace.team_id
    place = jobs.place(team_id, alice)
    return JobMessage(place, now_ts(), alice, text, event_id, kind=JOB)


async def run_all(world: World, asked: Sequence[JobMessage]) -> None:
    store = world.bot.store
    for message in asked:
        await store.inbox.deliver(message)

    async def idle() -> bool:
        return (await store.inbox.state(asked[0].thread)).state == "idle"

    assert await wait_until(idle)


async def test_jobs_of_a_redis_that_came_back_with_an_older_state_send_nothing_twice(
    world: World, tmp_path: Path
) -> None:
    trail = tmp_path / "audit.jsonl"
    with audit_log.opened(str(trail)):
        await repeat_jobs(world)
    kinds = [json.loads(line)["event"] for line in trail.read_text().splitlines()]
    assert kinds.count("export") == 2


async def repeat_jobs(world: World) -> None:
    """Run jobs, run them again after a restore, and let the person ask for another export."""
    store, alice = world.bot.store, world.slack.user("alice")
    root = await world.ask("#general", "@bot about cats")
    names = ["chart", "export", "reset_all", "forget_me", "confirm_deletion"]
    asked = [job(world, name, f"e{number}") for number, name in enumerate(names)]
    await run_all(world, asked)
    sent = [(message.ts, message.text) for message in letters(world, "alice")]
    assert len(sent) == len(names)
    assert await store.conversations.find(world.key("#general", root)) is None
    later = await world.ask("#general", "@bot about dogs")
    for message in asked:
        await store.redis.delete(*store.keys.seen(message))
    restored_at = (
        float(asked[0].ts) - CLOCK_SKEW + 0.1
    )  # no turn is taken for some seconds after it
    await store.redis.hset(store.keys.pulse, "restored_at", restored_at)
    await run_all(world, asked)
    assert [(message.ts, message.text) for message in letters(world, "alice")] == sent
    looked = [call for call in world.slack.calls if call.method == "conversations.history"]
    assert len(looked) >= len(names)
    assert await store.conversations.find(world.key("#general", later)), "begun after the jobs"
    # Asked by the sweep again, later, and by the person again.
    await run_all(world, [job(world, "confirm_deletion", "e4"), job(world, "export", "e5")])
    assert len(files_for(world, alice.dm())) == 2
    assert len(letters(world, "alice")) == len(names) + 1


async def test_an_unconfirmed_result_is_sent_once(world: World) -> None:
    await world.ask("#general", "@bot about cats")
    for method in ("chat.postMessage", "files.completeUploadExternal"):
        world.slack.faults.drop(method, after_effect=True)
    await run_all(world, [job(world, "chart", "e1"), job(world, "export", "e2")])
    assert len(letters(world, "alice")) == 2
    assert len(files_for(world, world.slack.user("alice").dm())) == 1
