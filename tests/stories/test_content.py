"""What people see of a message reaches the model on every way in, and from every kind of sender."""

from pathlib import Path
from typing import Any

import pytest

from bot.store.routing import APP_BOUND, PERSON_BOUND
from bot.texts.prompts import BARE_MENTION, LATE_FILES
from local_slack.delivery.events import Event
from tests.fakes.openai import held
from tests.world import Town, open_town, wait_until

SHARE = {"is_share": True, "author_name": "Dana", "text": "The certificate expires on Friday."}
ALERT = {
    "fallback": "[no preview available]",
    "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*Disk full* on db-7"}}],
}
TABLE = {"blocks": [{"type": "table", "rows": [["Region", "Orders"], ["North", "4711"]]}]}


async def answer(town: Town, channel: str, root: str) -> str:
    """The echo of all that the model was told."""
    return (await town.replies(channel, root))[-1]


async def test_a_bare_forward_is_read(each_way_town: Town) -> None:
    alice = each_way_town.slack.user("alice")
    root = await alice.posts(alice.dm(), "", attachments=[SHARE])
    assert "Dana]\n> The certificate expires" in await answer(each_way_town, alice.dm(), root)


async def test_a_forward_of_the_local_slack_is_read(town: Town) -> None:
    ts = await town.slack.user("bob").says("#random", "lunch is at noon")
    alice = town.slack.user("alice")
    root = await alice.forwards("#random", ts, alice.dm(), "when do I eat?")
    said = await answer(town, alice.dm(), root)
    assert "when do I eat?" in said
    assert "lunch is at noon" in said


async def test_a_pasted_table_is_read(each_way_town: Town) -> None:
    alice = each_way_town.slack.user("alice")
    root = await alice.posts(alice.dm(), "which region?", attachments=[TABLE])
    assert "| North | 4711 |" in await answer(each_way_town, alice.dm(), root)


async def test_an_alert_above_the_mention_is_read(any_town: Town) -> None:
    app = any_town.slack.add_user("monitor", is_bot=True)
    any_town.slack.channel("#general").members.append(app.id)
    root = await app.posts("#general", "", attachments=[ALERT])
    await any_town.slack.user("alice").says("#general", "@bot what is this?", thread_ts=root)
    said = await answer(any_town, "#general", root)
    assert "*Disk full* on db-7" in said
    assert "no preview" not in said


async def test_a_bare_mention_refers_to_the_message_above(town: Town) -> None:
    root = await town.slack.user("bob").says("#general", "How do I reset my password?")
    await town.slack.user("alice").says("#general", "@bot", thread_ts=root)
    said = await answer(town, "#general", root)
    assert "How do I reset my password?" in said
    assert BARE_MENTION in said


async def test_a_me_message_is_answered(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await alice.posts(alice.dm(), "wonders what time it is", subtype="me_message")
    assert "wonders what time it is" in await answer(town, alice.dm(), root)


async def test_an_edit_that_adds_a_forward_is_offered_again(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await town.ask("#general", "@bot look")
    message = town.slack.workspace.get_message(town.slack.channel("#general").id, root)
    town.slack.workspace.change(message, attachments=[SHARE])
    assert await town.slack.wait_for(lambda: alice.ephemerals("#general"))


async def test_a_preview_changes_nothing(town: Town) -> None:
    root = await town.ask("#general", "@bot see https://a.example/page")
    await town.slack.settled()
    await town.rests("#general", root)
    assert len(town.slack.replies("#general", root)) == 1
    assert town.slack.user("alice").ephemerals("#general") == []


# Files that come later than their message


@pytest.mark.parametrize("mention_first", [True, False])
async def test_files_are_taken_from_either_twin(town: Town, mention_first: bool) -> None:
    town.slack.faults.mentions_without_files = True
    town.slack.faults.reverse_twins = mention_first
    alice = town.slack.user("alice")
    root = await alice.says("#general", "@bot sum up", files={"notes.txt": b"the secret is 42"})
    assert "the secret is 42" in await answer(town, "#general", root)
    assert len(town.slack.replies("#general", root)) == 1


async def test_files_that_come_while_the_answer_is_made_are_read(town: Town) -> None:
    town.fake.answer = [held("first")]
    town.slack.faults.mentions_without_files = True
    town.slack.faults.reverse_twins = True
    town.slack.faults.twin_gap = 1.5
    alice = town.slack.user("alice")
    root = await alice.says("#general", "@bot sum up", files={"notes.txt": b"the secret is 42"})
    await town.slack.wait_for(lambda: town.fake.working)
    await town.slack.settled()
    town.fake.finish()
    replies = await town.replies("#general", root, 2)
    assert LATE_FILES in replies[1]
    assert "the secret is 42" in replies[1]


async def test_files_that_come_with_a_change_are_read(town: Town) -> None:
    alice = town.slack.user("alice")
    root = await town.ask("#general", "@bot sum up")
    workspace = town.slack.workspace
    message = workspace.get_message(town.slack.channel("#general").id, root)
    other = await alice.says("#random", "x", files={"notes.txt": b"the secret is 42"})
    files = workspace.get_message(town.slack.channel("#random").id, other).file_ids
    workspace.change(message, file_ids=list(files))
    assert "the secret is 42" in (await town.replies("#general", root, 2))[1]
    workspace.change(message, reactions={"eyes": [alice.id]})
    await town.slack.settled()
    await town.rests("#general", root)
    assert len(town.slack.replies("#general", root)) == 2


# Slackbot, workflows, other apps


def event(town: Town, channel: str, **fields: object) -> Event:
    """An event as Slack sends it, of somebody whom the local Slack does not play."""
    place = town.slack.channel(channel)
    ts = town.slack.clock.next_ts()
    payload = {"type": "message", "channel": place.id, "channel_type": place.type, "ts": ts}
    return Event("message", payload | fields)


async def test_slackbot_s_direct_messages_are_not_answered(town: Town) -> None:
    channel = town.slack.user("alice").dm()
    removed = event(town, channel, user="USLACKBOT", text="You have been removed from #secret")
    town.slack.deliveries_to_app.send_event(removed)
    await town.slack.settled()
    assert await town.bot.store.inbox.unattended(0) == {}
    assert town.slack.replies(channel, removed.payload["ts"]) == []


async def test_slackbot_s_reminder_that_mentions_the_bot_is_answered(town: Town) -> None:
    text = f"Reminder: <@{town.slack.bot.id}> post the menu"
    reminder = event(town, "#general", user="USLACKBOT", text=text, type="app_mention")
    thread = town.key("#general", reminder.payload["ts"])
    town.slack.deliveries_to_app.send_event(Event("app_mention", reminder.payload))
    await town.slack.settled()
    state = await town.bot.store.inbox.state(thread)
    assert state.state != "idle" or await town.bot.store.conversations.find(thread)


@pytest.mark.parametrize("answered", [True, False])
async def test_workflows_are_answered_where_the_settings_say_so(
    redis_url: str, tmp_path: Path, answered: bool
) -> None:
    async with open_town(redis_url, tmp_path, bot_answer_apps=answered) as town:
        text = f"<@{town.slack.bot.id}> summarize the form"
        fields = {"bot_id": "BWORKFLOW", "subtype": "bot_message", "text": text}
        posted = event(town, "#general", **fields)
        town.slack.deliveries_to_app.send_event(Event("app_mention", posted.payload))
        await town.slack.settled()
        thread = town.key("#general", posted.payload["ts"])
        state = await town.bot.store.inbox.state(thread)
        found = state.state != "idle" or await town.bot.store.conversations.find(thread)
        assert bool(found) is answered


@pytest.mark.parametrize("sender", ["person", "app"])
async def test_two_bots_do_not_talk_forever(redis_url: str, tmp_path: Path, sender: str) -> None:
    """Another bot answers each of our answers; its messages look like a person's or an app's."""
    bound = (PERSON_BOUND if sender == "person" else APP_BOUND).burst
    async with open_town(redis_url, tmp_path, bot_answer_apps=True) as town:
        other = town.slack.user("alice")
        app: dict[str, Any] = {"bot_id": "BOTHER"} if sender == "app" else {}
        mention = f"<@{town.slack.bot.id}>"
        root = await other.posts("#general", f"{mention} 0", **app)
        for number in range(1, bound + 5):
            await town.rests("#general", root)
            seen = len(town.slack.replies("#general", root))
            if seen < number:
                break
            await other.posts("#general", f"{mention} {number}", thread_ts=root, **app)
            await town.slack.settled()
        await town.rests("#general", root)
        assert len(town.slack.replies("#general", root)) == bound


async def test_members_of_the_organization_are_colleagues(town: Town) -> None:
    person = town.slack.add_user("grid", team_id="T0OTHER")
    town.slack.channel("#general").members.append(person.id)
    person.user.enterprise_id = "E1"
    person.user.enterprise_teams = [town.slack.workspace.team_id, "T0OTHER"]
    root = await person.says("#general", "@bot am I one of us?")
    assert "am I one of us?" in await answer(town, "#general", root)


async def test_malformed_events_disturb_nobody(each_way_town: Town) -> None:
    town = each_way_town
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
        whole = event(town, "#general", user="U1").payload | fields
        town.slack.deliveries_to_app.send_event(Event("message", whole))
    await town.slack.settled()

    async def acknowledged() -> bool:
        return all(each.state == "acknowledged" for each in town.slack.deliveries_to_app.log)

    assert await wait_until(acknowledged)
    assert await town.ask("#general", "@bot still there?")
