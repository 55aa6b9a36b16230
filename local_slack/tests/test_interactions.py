"""Slash commands, shortcuts, buttons and modals: round trips through a real Bolt app."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from slack_bolt.app.async_app import AsyncApp

from local_slack import LocalSlack, SlackError, open_workspace
from local_slack.delivery.interactions import RESPONSE_URL_SECONDS
from local_slack.tests.bolt import connected, make_app, make_client, served
from local_slack.tests.refusals import refused

BUTTON = {
    "type": "button",
    "action_id": "again",
    "text": {"type": "plain_text", "text": "Again"},
    "value": "42",
}
FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "feedback",
            "positive_button": {"text": {"type": "plain_text", "text": "Good"}, "value": "up"},
            "negative_button": {"text": {"type": "plain_text", "text": "Bad"}, "value": "down"},
        }
    ],
}


def modal(title: str = "Settings", **fields: Any) -> dict[str, Any]:
    return {
        "type": "modal",
        "callback_id": "settings",
        "title": {"type": "plain_text", "text": title},
        "submit": {"type": "plain_text", "text": "Save"},
        "blocks": [
            {
                "type": "input",
                "block_id": "tone",
                "label": {"type": "plain_text", "text": "Tone"},
                "element": {"type": "plain_text_input", "action_id": "tone_text"},
            }
        ],
        **fields,
    }


@contextlib.asynccontextmanager
async def running(transport: str, app: AsyncApp, slack: LocalSlack) -> AsyncIterator[None]:
    async with served(app, slack) if transport == "http" else connected(app, slack):
        yield


@pytest.fixture(params=["http", "socket"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_slash_command_is_answered_in_its_acknowledgement(
    slack: LocalSlack, transport: str
) -> None:
    app = make_app(slack)

    @app.command("/reset")
    async def on_reset(ack: Any, command: dict[str, Any]) -> None:
        assert "thread_ts" not in command
        await ack(f"forgetting {command['text']} in {command['channel_name']}")

    async with running(transport, app, slack):
        alice = slack.user("alice")
        delivery = await alice.slash("/reset", "everything", "#random")
    assert delivery.state == "acknowledged"
    [shown] = alice.ephemerals("#random")
    assert shown.text == "forgetting everything in random"


async def test_slack_has_no_commands_in_threads(slack: LocalSlack) -> None:
    alice = slack.user("alice")
    ts = await alice.says("#general", "root")
    with pytest.raises(SlackError, match="not_supported_in_threads"):
        await alice.slash("/reset", thread_ts=ts)


async def test_an_unknown_command_never_reaches_the_app() -> None:
    async with open_workspace(commands=["/reset"]) as slack:
        with pytest.raises(SlackError, match="invalid_command"):
            await slack.user("alice").slash("/rest")
        assert slack.deliveries == []


async def test_a_command_that_is_not_acknowledged_in_time_fails_without_retry() -> None:
    async with open_workspace(ack_seconds=0.1) as slack:
        app = make_app(slack)

        @app.command("/slow")
        async def on_slow(ack: Any) -> None:
            await asyncio.sleep(0.3)
            await ack()

        async with served(app, slack):
            delivery = await slack.user("alice").slash("/slow")
            assert delivery.state == "failed"
            assert len(delivery.attempts) == 1


async def test_a_response_url_answers_replaces_and_deletes_five_times_at_most(
    slack: LocalSlack, transport: str
) -> None:
    app = make_app(slack)

    @app.command("/ask")
    async def on_ask(ack: Any, respond: Any) -> None:
        await ack()
        await respond(blocks=[{"type": "actions", "elements": [BUTTON]}], text="Sure?")

    @app.action("again")
    async def on_again(ack: Any, respond: Any, action: dict[str, Any]) -> None:
        await ack()
        await respond(text=f"chosen {action['value']}", replace_original=True)
        await respond(text="for all", response_type="in_channel", replace_original=False)
        await respond(delete_original=True)
        for _ in range(2):
            await respond(text="more")
        assert (await respond(text="too much")).status_code == 404

    async with running(transport, app, slack):
        alice = slack.user("alice")
        await alice.slash("/ask")
        [asked] = await slack.wait_for(alice.ephemerals)
        delivery = await alice.clicks("#general", asked.ts, "again")
    assert delivery.state == "acknowledged"
    assert delivery.payload["container"]["is_ephemeral"] is True
    assert "message" not in delivery.payload
    assert [message.text for message in alice.ephemerals()] == ["more", "more"]
    assert [message.text for message in slack.messages("#general")] == ["for all"]


async def test_a_response_url_lives_for_thirty_minutes(slack: LocalSlack) -> None:
    url = slack.interactions.issue_url("U1", "C1")
    slack.clock.advance(RESPONSE_URL_SECONDS + 1)
    with pytest.raises(SlackError, match="expired_url"):
        slack.interactions.use_url(url.rpartition("/")[2])


async def test_a_message_shortcut_works_in_a_thread(slack: LocalSlack, transport: str) -> None:
    app, seen = make_app(slack), []

    @app.shortcut("reset")
    async def on_shortcut(ack: Any, shortcut: dict[str, Any], respond: Any) -> None:
        await ack()
        seen.append(shortcut)
        await respond("done")

    async with running(transport, app, slack):
        alice = slack.user("alice")
        root = await alice.says("#general", "root")
        reply = await alice.says("#general", "reply", thread_ts=root)
        await alice.shortcut("reset", "#general", reply)
        [shown] = await slack.wait_for(alice.ephemerals)
    [payload] = seen
    assert payload["message"]["thread_ts"] == root
    assert payload["message_ts"] == reply
    # By default an answer to a response_url goes to the channel, not to the thread.
    assert shown.thread_ts is None


async def test_feedback_buttons_report_the_half_that_was_pressed(
    slack: LocalSlack, transport: str
) -> None:
    app, pressed = make_app(slack), []

    @app.action("feedback")
    async def on_feedback(ack: Any, action: dict[str, Any], body: dict[str, Any]) -> None:
        await ack()
        pressed.append((action["value"], body["container"]["thread_ts"]))

    async with running(transport, app, slack):
        alice = slack.user("alice")
        ts = await alice.says("#general", "question")
        answer = await make_client(slack).chat_postMessage(
            channel=slack.channel("#general").id, thread_ts=ts, text="x", blocks=[FEEDBACK]
        )
        await alice.clicks("#general", answer["ts"], "feedback", "negative")
        await alice.clicks("#general", answer["ts"], "feedback", "positive")
    assert pressed == [("down", ts), ("up", ts)]
    with pytest.raises(SlackError, match="action_not_found"):
        await alice.clicks("#general", answer["ts"], "nothing")


async def test_a_modal_is_opened_corrected_and_submitted(slack: LocalSlack, transport: str) -> None:
    app, saved = make_app(slack), []

    @app.shortcut("settings")
    async def on_shortcut(ack: Any, client: Any, shortcut: dict[str, Any]) -> None:
        await ack()
        await client.views_open(trigger_id=shortcut["trigger_id"], view=modal())

    @app.view("settings")
    async def on_submit(ack: Any, view: dict[str, Any]) -> None:
        value = view["state"]["values"]["tone"]["tone_text"]["value"]
        if value == "rude":
            await ack(response_action="errors", errors={"tone": "Please not"})
            return
        saved.append(value)
        await ack()

    async with running(transport, app, slack):
        alice = slack.user("alice")
        await alice.shortcut("settings")
        [opened] = alice.modals
        await alice.submits({"tone_text": "rude"})
        assert opened.errors == {"tone": "Please not"}
        assert alice.modals == [opened]
        await alice.submits({"tone_text": "friendly"})
    assert saved == ["friendly"]
    assert alice.modals == []


async def test_modals_stack_up_to_three_and_report_their_closing(slack: LocalSlack) -> None:
    app, closed = make_app(slack), []

    @app.view_closed("settings")
    async def on_closed(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        closed.append(body["is_cleared"])

    async with served(app, slack):
        alice, client = slack.user("alice"), make_client(slack)
        trigger = slack.interactions.issue_trigger(alice.id)
        await client.views_open(trigger_id=trigger, view=modal(notify_on_close=True))
        for _ in range(2):
            trigger = slack.interactions.issue_trigger(alice.id)
            await client.views_push(trigger_id=trigger, view=modal("Deeper"))
        trigger = slack.interactions.issue_trigger(alice.id)
        with refused("push_limit_reached"):
            await client.views_push(trigger_id=trigger, view=modal("Too deep"))
        first, *_ = alice.modals
        assert {view.root_view_id for view in alice.modals} == {first.id}
        await alice.closes(first.id, all_of_them=True)
    assert alice.modals == []
    assert closed == [True]


async def test_a_trigger_opens_one_view_within_three_seconds(slack: LocalSlack) -> None:
    client, alice = make_client(slack), slack.user("alice")
    trigger = slack.interactions.issue_trigger(alice.id)
    await client.views_open(trigger_id=trigger, view=modal())
    with refused("exchanged_trigger_id"):
        await client.views_open(trigger_id=trigger, view=modal())
    late = slack.interactions.issue_trigger(alice.id)
    slack.clock.advance(3.1)
    with refused("expired_trigger_id"):
        await client.views_open(trigger_id=late, view=modal())
    with refused("invalid_trigger_id"):
        await client.views_open(trigger_id="1.2.3", view=modal())


async def test_a_home_is_published_and_updated_under_its_hash(slack: LocalSlack) -> None:
    client, alice = make_client(slack), slack.user("alice")
    home: dict[str, Any] = {"type": "home", "blocks": [{"type": "divider"}]}
    first = (await client.views_publish(user_id=alice.id, view=home))["view"]
    home["blocks"].append({"type": "actions", "elements": [BUTTON]})
    await client.views_publish(user_id=alice.id, view=home, hash=first["hash"])
    assert alice.home is not None
    assert [block["type"] for block in alice.home["blocks"]] == ["divider", "actions"]
    with refused("hash_conflict"):
        await client.views_publish(user_id=alice.id, view=home, hash=first["hash"])
    with refused("invalid_arguments"):
        await client.views_publish(user_id=alice.id, view=modal())


async def test_a_button_in_app_home_reports_its_view(slack: LocalSlack, transport: str) -> None:
    app, pressed = make_app(slack), []

    @app.event("app_home_opened")
    async def on_home(event: dict[str, Any], client: Any) -> None:
        view = {"type": "home", "blocks": [{"type": "actions", "elements": [BUTTON]}]}
        if event["tab"] == "home":
            await client.views_publish(user_id=event["user"], view=view)

    @app.action("again")
    async def on_again(ack: Any, body: dict[str, Any]) -> None:
        await ack()
        pressed.append(body["view"]["type"])

    async with running(transport, app, slack):
        alice = slack.user("alice")
        await alice.opens_home("messages")
        await alice.opens_home("home")
        await slack.wait_for(lambda: alice.home)
        assert alice.home is not None
        await alice.clicks_in_view("again", view_id=alice.home["id"])
    assert pressed == ["home"]


async def test_a_view_is_updated_by_id_or_external_id_and_keeps_what_was_typed(
    slack: LocalSlack, transport: str
) -> None:
    app = make_app(slack)

    @app.view("settings")
    async def on_submit(ack: Any, body: dict[str, Any]) -> None:
        values = body["view"]["state"]["values"]
        action = {"one": "update", "two": "push"}.get(values["tone"]["tone_text"]["value"])
        if action is None:
            await ack(response_action="clear")
        else:
            await ack(response_action=action, view=modal(f"After {action}"))

    async with running(transport, app, slack):
        alice, client = slack.user("alice"), make_client(slack)
        trigger = slack.interactions.issue_trigger(alice.id)
        opened = await client.views_open(trigger_id=trigger, view=modal(external_id="mine"))
        await client.views_update(external_id="mine", view=modal("By external id"))
        await client.views_update(view_id=opened["view"]["id"], view=modal("By id"))
        with refused("not_found"):
            await client.views_update(view_id="V404", view=modal())

        titles = []
        for typed in ("one", "two", "three"):
            titles.append([view.payload["title"]["text"] for view in alice.modals])
            await alice.submits({"tone_text": typed})
    assert titles == [["By id"], ["After update"], ["After update", "After push"]]
    assert alice.modals == []


async def test_an_external_id_is_used_once(slack: LocalSlack) -> None:
    client, alice = make_client(slack), slack.user("alice")
    for expected in (None, "duplicate_external_id"):
        trigger = slack.interactions.issue_trigger(alice.id)
        with refused(expected) if expected else contextlib.nullcontext():
            await client.views_open(trigger_id=trigger, view=modal(external_id="mine"))
