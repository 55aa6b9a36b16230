"""What people can do with their own conversations: find, reset, export, have them forgotten."""

import json
import time
from functools import partial
from typing import Any

from bot.jobs.export import export_conversations
from bot.store import jobs
from bot.store.usage import FORGOTTEN, day_of
from bot.texts.commands import NONE_SUCH
from local_slack.workspace.model import Message
from tests.fakes.openai import held
from tests.stories.test_usage import files_for
from tests.world import PATIENCE, Town, wait_until


def letters(town: Town, who: str) -> list[Message]:
    """The direct messages that the bot wrote of its own accord."""
    channel = town.slack.user(who).dm()
    return [m for m in town.slack.messages(channel) if m.user_id == town.slack.bot.id]


async def letter_to(town: Town, who: str) -> str:
    (letter,) = await town.slack.wait_for(partial(letters, town, who), PATIENCE)
    return letter.text


async def listed(town: Town, who: str, words: str = "") -> Message:
    """The answer to `/conversations`."""
    person = town.slack.user(who)
    before = len(person.ephemerals("#general"))
    await person.slash("/conversations", words)
    (answer,) = await town.slack.wait_for(lambda: person.ephemerals("#general")[before:])
    return answer


async def test_own_conversations_are_listed_with_links(town: Town) -> None:
    cats = await town.ask("#general", "@bot about cats")
    await town.ask("#random", "@bot about dogs")
    await town.ask("#general", "@bot about birds", who="bob")
    shown = str((await listed(town, "alice")).blocks)
    link = town.slack.permalink(town.slack.thread("#general", cats)[0])
    assert f"<{link}|about cats>" in shown
    assert shown.index("about dogs") < shown.index("about cats")
    assert "birds" not in shown


async def test_conversations_are_found_by_words_of_any_of_their_messages(town: Town) -> None:
    root = await town.ask("#general", "@bot about cats")
    await town.ask("#general", "the Siamese ones", thread_ts=root)
    await town.ask("#general", "@bot about dogs")
    shown = str((await listed(town, "alice", "siamese CATS")).blocks)
    assert "about cats" in shown
    assert "about dogs" not in shown
    many = "Siamese " * 400  # more than Slack takes in a paragraph
    assert "about cats" in str((await listed(town, "alice", many)).blocks)
    assert (await listed(town, "alice", "elephants")).text == NONE_SUCH


async def test_one_is_reset_from_the_list_or_all(town: Town) -> None:
    root = await town.ask("#general", "@bot about cats")
    await town.ask("#random", "@bot about dogs")
    await town.ask("#general", "@bot about birds", who="bob")
    alice, store = town.slack.user("alice"), town.bot.store
    answer = await listed(town, "alice", "cats")
    await alice.clicks("#general", answer.ts, "reset_conversation")
    await town.replies("#general", root, 2)
    assert await store.conversations.find(town.key("#general", root)) is None
    answer = await listed(town, "alice")
    await alice.clicks("#general", answer.ts, "errand:reset_all")
    assert await letter_to(town, "alice") == "Done: 1 conversation reset."
    assert len(town.fake.conversations) == 1


async def test_forget_me_deletes_here_and_on_the_server_and_counts(any_town: Town) -> None:
    town = any_town
    roots = [await town.ask("#random", "@bot my secret is swordfish") for _ in range(2)]
    shared = await town.ask("#general", "@bot hello", who="bob")
    await town.ask("#general", "@bot swordfish, again", thread_ts=shared)
    kept = await town.ask("#general", "@bot only bob", who="bob")
    alice, store = town.slack.user("alice"), town.bot.store
    await alice.slash("/forget-me")
    (answer,) = alice.ephemerals("#general")
    await alice.clicks("#general", answer.ts, "errand:forget_me")
    told = await letter_to(town, "alice")
    assert told.startswith("Done: 2 conversations deleted here and on the AI server")
    assert "being removed from 1 conversation with other people" in told
    await town.rests("#general", shared)
    left = await store.conversations.history(town.key("#general", shared))
    assert [record.user_id for record in left if record.role == "user"] == [
        town.slack.user("bob").id
    ]
    assert "swordfish" not in str(left)
    team_id = town.slack.workspace.team_id
    assert await store.conversations.recent(team_id, alice.id) == []
    assert await store.conversations.find(town.key("#general", kept)) is not None
    assert len({**town.fake.conversations, **town.fake.threads}) in (0, 1)  # the echo has none here
    for root in roots:
        assert await store.conversations.history(town.key("#random", root)) == []
    people = await store.spending.top(team_id, "person", day_of(time.time())[:7], 10)
    assert alice.id not in people
    assert FORGOTTEN in people
    chief = town.slack.add_user("chief", is_admin=True)
    await chief.joins("#general")
    await chief.slash("/usage")
    shown = str(chief.ephemerals("#general")[0].blocks)
    assert alice.id not in shown
    assert "people who wished to be forgotten: 3 answers" in shown


async def test_forget_me_waits_for_the_turn_that_is_at_work(town: Town) -> None:
    root = await town.ask("#general", "@bot hello")
    town.fake.answer = [held("never to be seen")]
    alice = town.slack.user("alice")
    await alice.says("#general", "think long", thread_ts=root)
    await town.slack.wait_for(lambda: town.fake.working)
    team_id = town.slack.workspace.team_id
    await jobs.ask(town.bot.store.inbox, "forget_me", team_id, alice.id, "e1")
    assert (await letter_to(town, "alice")).startswith("Done: 1 conversation deleted")
    assert town.fake.conversations == {}


async def test_the_export_holds_what_was_said(town: Town) -> None:
    root = await town.ask("#general", "@bot about cats")
    alice = town.slack.user("alice")
    await alice.opens_home()
    await town.slack.wait_for(lambda: alice.home)
    assert alice.home is not None
    await alice.clicks_in_view("errand:export", view_id=alice.home["id"])
    (message,) = await town.slack.wait_for(lambda: files_for(town, alice.dm()), PATIENCE)
    exported: dict[str, Any] = json.loads(town.slack.workspace.files[message.file_ids[0]].content)
    (conversation,) = exported["conversations"]
    assert conversation["thread_ts"] == root
    said = [(line["role"], line["text"]) for line in conversation["messages"]]
    assert said == [("user", "about cats"), ("assistant", "turn 1: about cats")]


async def test_an_export_of_many_is_one_document(town: Town) -> None:
    store, team_id = town.bot.store, town.slack.workspace.team_id
    nothing = await export_conversations(store, [], team_id, "U0NOBODY", "https://x.slack.com/")
    assert json.loads(nothing)["conversations"] == []
    channels = [town.slack.add_channel(f"c{n}", ["alice"]).id for n in range(3)]
    for channel in channels:
        await town.ask(channel, '@bot "quoted", ünïcode 🎉 and\nlines')
    alice = town.slack.user("alice").id
    recent = await store.conversations.recent(team_id, alice, limit=None)
    content = await export_conversations(store, recent, team_id, alice, "https://x.slack.com")
    exported = json.loads(content)
    assert (exported["user_id"], exported["team_id"]) == (alice, team_id)
    found = exported["conversations"]
    assert [conversation["channel_id"] for conversation in found] == channels[::-1]
    assert found[0]["messages"][0]["text"] == '"quoted", ünïcode 🎉 and\nlines'


async def test_a_file_that_slack_does_not_take_is_told(town: Town) -> None:
    alice, team_id = town.slack.user("alice"), town.slack.workspace.team_id
    town.slack.web_api.scopes = frozenset(town.slack.web_api.scopes or ()) - {"files:write"}
    await jobs.ask(town.bot.store.inbox, "export", team_id, alice.id, "e1")
    assert "missing_scope" in await letter_to(town, "alice")


async def test_an_errand_leaves_nothing_to_do(town: Town) -> None:
    alice, team_id = town.slack.user("alice"), town.slack.workspace.team_id
    await jobs.ask(town.bot.store.inbox, "export", team_id, alice.id, "e1")
    await town.slack.wait_for(lambda: files_for(town, alice.dm()), PATIENCE)

    async def idle() -> bool:
        state = await town.bot.store.inbox.state(jobs.place(team_id, alice.id))
        return state.state == "idle"

    assert await wait_until(idle)
