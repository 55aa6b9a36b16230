"""The visible content of a message reaches the model, from every source and every kind of
sender."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.store.routing import APP_BOUND, PERSON_BOUND
from bot.texts.files import UNHEARD
from bot.texts.prompts import BARE_MENTION, LATE_FILES, LATE_TRANSCRIPT, NO_WORDS
from bot.timing import SlackTiming
from local_slack.delivery.events import Event
from local_slack.workspace import files
from tests.fakes.openai import held
from tests.world import BASE_TIMING, World, open_world, wait_until

SHARE = {"is_share": True, "author_name": "Dana", "text": "The certificate expires on Friday."}
ALERT = {
    "fallback": "[no preview available]",
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*Disk full* on db-7"}}],
}
TABLE = {"blocks": [{"type": "table", "rows": [["Region", "Orders"], ["North", "4711"]]}]}


async def answer(world: World, channel: str, root: str) -> str:
    """The echo of the model's input."""
    return (await world.replies(channel, root))[-1]


async def ask_in_wire_format(world: World, text: str, who: str = "alice", thread: str = "") -> str:
    """Ask with references in Slack's wire format; returns the model's input."""
    bot = world.slack.bot.id
    ts = await world.slack.user(who).posts("#general", f"<@{bot}> {text}", thread_ts=thread or None)
    return await answer(world, "#general", thread or ts)


async def test_a_forward_without_a_comment_is_read(each_way_world: World) -> None:
    alice = each_way_world.slack.user("alice")
    root = await alice.posts(alice.dm(), "", attachments=[SHARE])
    assert "Dana]\n> The certificate expires" in await answer(each_way_world, alice.dm(), root)


async def test_a_message_forwarded_in_the_local_slack_is_read(world: World) -> None:
    ts = await world.slack.user("bob").says("#random", "lunch is at noon")
    alice = world.slack.user("alice")
    root = await alice.forwards("#random", ts, alice.dm(), "when do I eat?")
    said = await answer(world, alice.dm(), root)
    assert "when do I eat?" in said
    assert "lunch is at noon" in said


async def test_a_pasted_table_is_read(each_way_world: World) -> None:
    alice = each_way_world.slack.user("alice")
    root = await alice.posts(alice.dm(), "which region?", attachments=[TABLE])
    assert "| North | 4711 |" in await answer(each_way_world, alice.dm(), root)


async def test_an_alert_above_the_mention_is_read(any_world: World) -> None:
    app = any_world.slack.add_user("monitor", is_bot=True)
    any_world.slack.channel("#general").members.append(app.id)
    root = await app.posts("#general", "", attachments=[ALERT])
    await any_world.slack.user("alice").says("#general", "@bot what is this?", thread_ts=root)
    said = await answer(any_world, "#general", root)
    assert "*Disk full* on db-7" in said
    assert "no preview" not in said


async def test_a_bare_mention_refers_to_the_message_above(world: World) -> None:
    root = await world.slack.user("bob").says("#general", "How do I reset my password?")
    await world.slack.user("alice").says("#general", "@bot", thread_ts=root)
    said = await answer(world, "#general", root)
    assert "How do I reset my password?" in said
    assert BARE_MENTION in said


async def test_mentioned_groups_and_channels_are_read_by_their_names(each_way_world: World) -> None:
    slack = each_way_world.slack
    slack.workspace.user_groups = {"S0SUPPORT1": "support-team", "S0INFRA": "infra"}
    channels = f"<#{slack.channel('#random').id}> or <#C0UNKNOWN1|>"
    groups = "<!subteam^S0SUPPORT1>, <!subteam^S0INFRA|>"
    said = await ask_in_wire_format(each_way_world, f"ask {groups} in {channels}")
    assert "ask @support-team, @infra in #random or #C0UNKNOWN1" in said
    assert "@infra" in await ask_in_wire_format(each_way_world, "and <!subteam^S0INFRA>?")
    assert [call.method for call in slack.calls].count("usergroups.list") == 1


async def test_groups_keep_their_ids_without_the_scope(world: World) -> None:
    web_api = world.slack.web_api
    web_api.scopes = frozenset(web_api.scopes or ()) - {"usergroups:read"}
    said = await ask_in_wire_format(world, "<!subteam^S0SUPPORT1> or <!subteam^S0INFRA|@infra>")
    assert "@S0SUPPORT1 or @infra" in said


async def test_a_private_channel_is_named_only_to_its_members(world: World) -> None:
    secret = world.slack.add_channel("secret-plan", ["bob"], private=True).id
    assert f"about #{secret}" in await ask_in_wire_format(world, f"about <#{secret}|>")
    assert "about #secret-plan" in await ask_in_wire_format(world, f"about <#{secret}|>", "bob")


async def test_a_bare_mention_at_the_top_refers_to_the_message_above(each_way_world: World) -> None:
    alice, bob = each_way_world.slack.user("alice"), each_way_world.slack.user("bob")
    await alice.says("#general", "An earlier subject.")
    await bob.says("#general", "My login fails.")
    await bob.says("#general", "How do I reset my password?")
    root = await each_way_world.ask("#general", "@bot")
    said = await answer(each_way_world, "#general", root)
    assert BARE_MENTION in said
    assert "bob: My login fails." in said
    assert "bob: How do I reset my password?" in said
    assert "An earlier subject" not in said


async def test_a_bare_mention_without_a_message_above_refers_to_nothing(world: World) -> None:
    root = await world.ask("#random", "@bot")
    said = await answer(world, "#random", root)
    assert NO_WORDS in said
    assert BARE_MENTION not in said


async def test_a_me_message_is_answered(world: World) -> None:
    alice = world.slack.user("alice")
    root = await alice.posts(alice.dm(), "wonders what time it is", subtype="me_message")
    assert "wonders what time it is" in await answer(world, alice.dm(), root)


async def test_an_edit_that_adds_a_forward_is_offered_again(world: World) -> None:
    alice = world.slack.user("alice")
    root = await world.ask("#general", "@bot look")
    message = world.slack.workspace.get_message(world.slack.channel("#general").id, root)
    world.slack.workspace.change(message, attachments=[SHARE])
    assert await world.slack.wait_for(lambda: alice.ephemerals("#general"))


async def test_a_preview_changes_nothing(world: World) -> None:
    root = await world.ask("#general", "@bot see https://a.example/page")
    await world.slack.settled()
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 1
    assert world.slack.user("alice").ephemerals("#general") == []


# Files that arrive later than their message


async def test_files_are_taken_from_the_first_twin(world: World) -> None:
    world.slack.faults.mentions_without_files = True
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot sum up", files={"notes.txt": b"the secret is 42"})
    assert "the secret is 42" in await answer(world, "#general", root)
    assert len(world.slack.replies("#general", root)) == 1


async def test_files_that_arrive_during_the_answer_are_read(world: World) -> None:
    world.fake.answer = [held("first")]
    world.slack.faults.mentions_without_files = True
    world.slack.faults.reverse_twins = True
    world.slack.faults.twin_gap = 1.5
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot sum up", files={"notes.txt": b"the secret is 42"})
    [reply] = await world.replies("#general", root)
    assert LATE_FILES in reply
    assert "the secret is 42" in reply


async def test_files_that_arrive_after_the_answer_are_read(world: World) -> None:
    world.slack.faults.mentions_without_files = True
    world.slack.faults.reverse_twins = True
    world.slack.faults.twin_gap = 1.5
    alice = world.slack.user("alice")
    root = await alice.says("#general", "@bot sum up", files={"notes.txt": b"the secret is 42"})
    replies = await world.replies("#general", root, 2)
    assert LATE_FILES in replies[1]
    assert "the secret is 42" in replies[1]


async def test_files_that_arrive_with_a_change_are_read(world: World) -> None:
    alice = world.slack.user("alice")
    root = await world.ask("#general", "@bot sum up")
    workspace = world.slack.workspace
    message = workspace.get_message(world.slack.channel("#general").id, root)
    other = await alice.says("#random", "x", files={"notes.txt": b"the secret is 42"})
    files = workspace.get_message(world.slack.channel("#random").id, other).file_ids
    workspace.change(message, file_ids=list(files))
    assert "the secret is 42" in (await world.replies("#general", root, 2))[1]
    workspace.change(message, reactions={"eyes": [alice.id]})
    await world.slack.settled()
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 2


@pytest.mark.parametrize("in_messages", [False, True])
@pytest.mark.parametrize("timing", [replace(BASE_TIMING, slack=SlackTiming(transcript_delays=()))])
async def test_a_transcript_that_arrives_after_the_answer_is_read(
    world: World, in_messages: bool
) -> None:
    alice, workspace = world.slack.user("alice"), world.slack.workspace
    root = await alice.says("#general", "@bot do as I say", files={"clip.m4a": b"\0" * 9})
    assert UNHEARD in await answer(world, "#general", root)
    (recording,) = workspace.files.values()
    files.transcribe(workspace, recording, "call the landlord", in_messages=in_messages)
    replies = await world.replies("#general", root, 2)
    assert LATE_TRANSCRIPT in replies[1]
    assert "call the landlord" in replies[1]
    files.transcribe(workspace, recording, "call the landlord", in_messages=in_messages)
    await world.slack.settled()
    await world.rests("#general", root)
    assert len(world.slack.replies("#general", root)) == 2


# Slackbot, workflows, other apps


def event(world: World, channel: str, **fields: object) -> Event:
    """An event as Slack sends it, of a sender that the local Slack does not have."""
    place = world.slack.channel(channel)
    ts = world.slack.clock.next_ts()
    payload = {"type": "message", "channel": place.id, "channel_type": place.type, "ts": ts}
    return Event("message", payload | fields)


async def test_slackbot_s_direct_messages_are_not_answered(world: World) -> None:
    channel = world.slack.user("alice").dm()
    removed = event(world, channel, user="USLACKBOT", text="You have been removed from #secret")
    world.slack.deliveries_to_app.send_event(removed)
    await world.slack.settled()
    assert await world.bot.store.inbox.unattended(0) == {}
    assert world.slack.replies(channel, removed.payload["ts"]) == []


async def test_slackbot_s_reminder_that_mentions_the_bot_is_answered(world: World) -> None:
    text = f"Reminder: <@{world.slack.bot.id}> post the menu"
    reminder = event(world, "#general", user="USLACKBOT", text=text, type="app_mention")
    thread = world.key("#general", reminder.payload["ts"])
    world.slack.deliveries_to_app.send_event(Event("app_mention", reminder.payload))
    await world.slack.settled()
    state = await world.bot.store.inbox.state(thread)
    assert state.state != "idle" or await world.bot.store.conversations.find(thread)


@pytest.mark.parametrize("answered", [True, False])
async def test_workflows_are_answered_where_the_settings_say_so(
    redis_url: str, tmp_path: Path, answered: bool
) -> None:
    async with open_world(redis_url, tmp_path, bot_answer_apps=answered) as world:
        text = f"<@{world.slack.bot.id}> summarize the form"
        fields = {"bot_id": "BWORKFLOW", "subtype": "bot_message", "text": text}
        posted = event(world, "#general", **fields)
        world.slack.deliveries_to_app.send_event(Event("app_mention", posted.payload))
        await world.slack.settled()
        thread = world.key("#general", posted.payload["ts"])
        state = await world.bot.store.inbox.state(thread)
        found = state.state != "idle" or await world.bot.store.conversations.find(thread)
        assert bool(found) is answered


@pytest.mark.parametrize("sender", ["person", "app"])
async def test_two_bots_do_not_talk_forever(redis_url: str, tmp_path: Path, sender: str) -> None:
    """Another bot answers each of our answers; its messages look like a person's or an app's."""
    bound = (PERSON_BOUND if sender == "person" else APP_BOUND).burst
    async with open_world(redis_url, tmp_path, bot_answer_apps=True) as world:
        other = world.slack.user("alice")
        app: dict[str, Any] = {"bot_id": "BOTHER"} if sender == "app" else {}
        mention = f"<@{world.slack.bot.id}>"
        root = await other.posts("#general", f"{mention} 0", **app)
        for number in range(1, bound + 5):
            await world.rests("#general", root)
            seen = len(world.slack.replies("#general", root))
            if seen < number:
                break
            await other.posts("#general", f"{mention} {number}", thread_ts=root, **app)
            await world.slack.settled()
        await world.rests("#general", root)
        assert len(world.slack.replies("#general", root)) == bound


async def test_members_of_the_organization_are_not_outsiders(world: World) -> None:
    person = world.slack.add_user("grid", team_id="T0OTHER")
    world.slack.channel("#general").members.append(person.id)
    person.user.enterprise_id = "E1"
    person.user.enterprise_teams = [world.slack.workspace.team_id, "T0OTHER"]
    root = await person.says("#general", "@bot am I one of us?")
    assert "am I one of us?" in await answer(world, "#general", root)


async def test_malformed_events_have_no_effect(each_way_world: World) -> None:
    world = each_way_world
    odd: list[dict[str, object]] = [
        {"text": ["x"]},
        {"user": {"id": "U1"}},
        {"ts": "soon"},
        {"thread_ts": 7},
        {"files": "none", "blocks": {"a": 1}, "attachments": [None, 3]},
        {"subtype": "message_changed"},
        {"subtype": "message_changed", "message": [], "previous_message": 1},
        {"subtype": "message_deleted"},
        {"subtype": ["odd"]},
        {"channel": "C:1"},
    ]
    for fields in odd:
        whole = event(world, "#general", user="U1").payload | fields
        world.slack.deliveries_to_app.send_event(Event("message", whole))
    await world.slack.settled()

    async def acknowledged() -> bool:
        return all(each.state == "acknowledged" for each in world.slack.deliveries_to_app.log)

    assert await wait_until(acknowledged)
    assert await world.ask("#general", "@bot still there?")


# A conversation that is rebuilt

EVERYTHING = (
    "see <http://README.md|README.md> and <tel:+15550100|+1 555 0100>, ask <!subteam^S0SUPPORT1>"
)
CARD = {"type": "section", "text": {"type": "mrkdwn", "text": "*Deploy* failed on web-3"}}
FIELDS = {"title": "Latency high", "fields": [{"title": "Service", "value": "checkout"}]}
KEPT = (
    *("see README.md and +1 555 0100, ask @support-team", "The certificate expires on Friday."),
    *("*Disk full* on db-7", "| North | 4711 |", "*Deploy* failed on web-3", "Service: checkout"),
)


@pytest.mark.parametrize("source", ["record", "slack", "replayed"])
async def test_all_kinds_of_content_survive_a_rebuild(
    redis_url: str, tmp_path: Path, source: str
) -> None:
    fake = {"variant": "no_conversations"} if source == "replayed" else {}
    async with open_world(redis_url, tmp_path, fake=fake) as world:
        alice, store = world.slack.user("alice"), world.bot.store
        world.slack.workspace.user_groups = {"S0SUPPORT1": "support-team"}
        root = await alice.posts(
            alice.dm(), EVERYTHING, blocks=[CARD], attachments=[SHARE, ALERT, TABLE, FIELDS]
        )
        first = await answer(world, alice.dm(), root)
        thread = world.key(alice.dm(), root)
        conversation = await store.conversations.find(thread)
        assert conversation is not None
        if source == "slack":
            await store.redis.delete(store.keys.record(thread))
        if source == "replayed":
            world = await world.replaced()
        else:
            world.fake.vanish(conversation.id)
        await world.ask(alice.dm(), "and now?", thread_ts=root)
        (_, second) = await world.replies(alice.dm(), root, 2)
    for kept in KEPT:
        assert kept in first
        assert kept in second


async def test_text_files_in_any_encoding_survive_a_rebuild(world: World) -> None:
    alice = world.slack.user("alice")
    tables = {
        "u.csv": "Stadt;Umsatz\nKöln;1200".encode("utf-16"),
        "w.csv": "Stadt;Größe\nMünchen;1300\nDüsseldorf;900".encode("cp1252"),
        "j.txt": "これは日本語の文章です。売上は1400円でした。".encode("shift-jis"),
    }
    root = await alice.says(alice.dm(), "sum up", files=tables)
    await world.replies(alice.dm(), root)
    conversation = await world.bot.store.conversations.find(world.key(alice.dm(), root))
    assert conversation is not None
    world.fake.vanish(conversation.id)
    await world.ask(alice.dm(), "and now?", thread_ts=root)
    (reported,) = [c for c in world.fake.conversations.values() if c.id != conversation.id]
    said = json.dumps(list(reported.items), ensure_ascii=False)
    for kept in ("Köln;1200", "Düsseldorf;900", "売上は1400円"):
        assert kept in said
