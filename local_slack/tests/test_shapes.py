"""The payloads of the local Slack against real ones: no key that Slack does not send, none
missing that it always sends. `shapes.py` holds what was recorded of the real ones.
"""

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from local_slack import LocalSlack, open_workspace
from local_slack.api.methods import METHODS
from local_slack.tests.bolt import make_client
from local_slack.tests.receiver import receiving
from local_slack.tests.shapes import RECORDED, keys_of, load, record, references

SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "slack-payloads"
Json = dict[str, Any]

# Sent by Slack today according to its reference; newer than the samples.
NEWER_ENVELOPE = {"context_team_id", "context_enterprise_id"}
NEWER_EVENT: dict[str, set[str]] = {
    "app_home_opened": {"context"},
    "message": {"app_context", "app_id", "upload", "display_as_bot", "metadata"},
}


def samples_of(event: Json, *, same_subtype: bool) -> list[Json]:
    """Real events of the same type, and of the same subtype if that is asked for."""
    inner = [body["event"] for body in load("events/*") if "event" in body]
    return [
        sample
        for sample in inner
        if sample.get("type") == event["type"]
        and (not same_subtype or sample.get("subtype") == event.get("subtype"))
    ]


def assert_fits(ours: Json, samples: list[Json]) -> None:
    always, ever = keys_of(samples)
    assert set(ours) - ever == set()
    assert always - set(ours) == set()


async def act(slack: LocalSlack) -> None:
    """One object of every kind in the samples."""
    alice = slack.user("alice")
    root = await alice.says("#general", "@bot hi", files={"a.txt": b"a"})
    await alice.edits("#general", root, "hello")
    await alice.says("#general", "to all", thread_ts=root, broadcast=True)
    await alice.reacts("#general", root, "eyes")
    other = await alice.says("#general", "plain")
    await alice.deletes("#general", other)
    slack.add_channel("club", ["alice"])
    await alice.invites("#club", "bob")
    await slack.user("bob").leaves("#club")
    await make_client(slack).views_publish(
        user_id=alice.id, view={"type": "home", "blocks": [{"type": "divider"}]}
    )
    await alice.opens_home()
    await slack.settled()


async def test_events_fit_real_ones() -> None:
    async with open_workspace() as slack, receiving(slack) as receiver:
        await act(slack)
    bodies = [body for _, body in receiver.requests]
    kinds = {(body["event"]["type"], body["event"].get("subtype")) for body in bodies}
    assert len(kinds) >= 10
    for body in bodies:
        event = body["event"]
        _, ever = keys_of(load("events/shape.*") + load("events/message*"))
        assert set(body) - ever - NEWER_ENVELOPE == set()
        _, ever = keys_of(samples_of(event, same_subtype=False))
        assert set(event) - ever - NEWER_EVENT.get(event["type"], set()) == set()
        always, _ = keys_of(samples_of(event, same_subtype=True))
        assert always - set(event) == set()


async def test_twins_fit_a_real_pair(slack: LocalSlack) -> None:
    async with receiving(slack) as receiver:
        await slack.user("alice").says("#general", "@bot hi")
        await slack.settled()
    ours = {body["event"]["type"]: body["event"] for _, body in receiver.requests}
    for kind in ("message", "app_mention"):
        [real] = load(f"socket/twin.{kind}")
        assert set(real["payload"]["event"]) - set(ours[kind]) == set()


async def test_socket_frames_fit_real_ones(slack: LocalSlack) -> None:
    client = make_client(slack)
    url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as socket:
        assert_fits(await socket.receive_json(), load("socket/hello-*"))
        await slack.user("alice").says("#general", "hi")
        frame = await socket.receive_json()
        assert_fits(frame, load("socket/events_api-*"))
        await socket.send_json({"envelope_id": frame["envelope_id"]})
        await slack.sockets.refresh()
        disconnect = await socket.receive_json()
        assert set(disconnect) <= set(load("socket/disconnect")[0])


async def test_interactive_payloads_fit_real_ones() -> None:
    async with open_workspace(ack_seconds=0.1) as slack:
        alice, client = slack.user("alice"), make_client(slack)
        button = {
            "type": "button",
            "action_id": "a",
            "text": {"type": "plain_text", "text": "x"},
            "value": "v",
        }
        posted = await client.chat_postMessage(
            channel=slack.channel("#general").id,
            text="x",
            blocks=[{"type": "actions", "elements": [button]}],
        )
        view: Json = {
            "type": "modal",
            "title": {"type": "plain_text", "text": "x"},
            "notify_on_close": True,
            "blocks": [],
        }
        trigger = slack.interactions.issue_trigger(alice.id)
        await client.views_open(trigger_id=trigger, view=view)
        await alice.slash("/x")
        await alice.clicks("#general", posted["ts"], "a")
        await alice.shortcut("global")
        await alice.shortcut("message", "#general", posted["ts"])
        await alice.submits()
        await alice.closes()
    command, click, general, message, submission, closed = (
        delivery.payload for delivery in slack.deliveries if delivery.kind != "events_api"
    )

    in_message = [p for p in load("interactive/block_actions-*") if "message" in p]
    in_message += [load("socket/interactive-2")[0]["payload"]]
    known = in_message + load("interactive/shape.BlockActionPayload")
    assert set(click) <= keys_of(known)[1]
    assert keys_of(in_message)[0] <= set(click)
    assert set(click["container"]) <= keys_of(p["container"] for p in known)[1]

    commands = [frame["payload"] for frame in load("socket/slash_commands-*")]
    assert set(command) - keys_of(commands)[1] == {"is_enterprise_install"}
    assert keys_of(commands)[0] <= set(command)
    assert_fits(general, load("interactive/shortcut-*"))
    assert_fits(message, load("interactive/message_action-*"))
    for ours, name in ((submission, "view_submission"), (closed, "view_closed")):
        samples = load(f"interactive/{name}-*")
        _, ever = keys_of(samples + load("interactive/shape.View*Payload"))
        assert set(ours) <= ever
        assert keys_of(samples)[0] <= set(ours)
        assert keys_of(s["view"] for s in samples)[0] <= set(ours["view"])


TIERS = {"t1": 1, "t2": 2, "t3": 3, "t4": 4, "t5": "special"}


@pytest.mark.parametrize("name", sorted(references()))
def test_tiers_and_scopes_are_those_of_slacks_reference(name: str) -> None:
    reference = references()[name]
    assert TIERS[reference["rate_limits"]] == METHODS[name].tier
    if reference["scopes"]:
        assert set(METHODS[name].scopes) & set(reference["scopes"])


ANSWERS: dict[str, tuple[Json, str | None]] = {
    "auth.test": ({}, None),
    "bots.info": ({"bot": "BOT"}, "bot"),
    "team.info": ({}, "team"),
    "users.info": ({"user": "ALICE"}, "user"),
    "conversations.info": ({"channel": "GENERAL"}, "channel"),
    "conversations.history": ({"channel": "GENERAL", "limit": 1}, None),
    "chat.postMessage": ({"channel": "GENERAL", "text": "x"}, "message"),
    "chat.update": ({"channel": "GENERAL", "ts": "TS", "text": "y"}, "message"),
    "chat.delete": ({"channel": "GENERAL", "ts": "TS"}, None),
    "chat.postEphemeral": ({"channel": "GENERAL", "user": "ALICE", "text": "x"}, None),
    "files.info": ({"file": "FILE"}, "file"),
    "views.publish": ({"user_id": "ALICE", "view": {"type": "home", "blocks": []}}, "view"),
}
# In Slack's responses today; newer than the samples.
NEWER_ANSWER = {"files.info": {"alt_txt", "user_team"}, "bots.info": {"user_id"}}


@pytest.mark.parametrize("method", sorted(ANSWERS))
async def test_answers_have_no_key_that_slack_does_not_send(slack: LocalSlack, method: str) -> None:
    client, alice, general = make_client(slack), slack.user("alice"), slack.channel("#general").id
    await alice.says("#general", "see", files={"a.txt": b"a"})
    ts = (await client.chat_postMessage(channel=general, text="x"))["ts"]
    names = {
        "BOT": slack.bot.bot_id,
        "ALICE": alice.id,
        "GENERAL": general,
        "TS": ts,
        "FILE": next(iter(slack.workspace.files)),
    }
    arguments, part = ANSWERS[method]
    given = {
        key: names.get(value, value) if isinstance(value, str) else value
        for key, value in arguments.items()
    }
    answer = (await client.api_call(method, json=given)).data
    assert isinstance(answer, dict)
    known: list[Json] = load(f"api/*.{method}") + references()[method]["examples"]
    assert set(answer) - keys_of(known)[1] == set()
    if part is not None:
        parts = [sample[part] for sample in known if isinstance(sample.get(part), dict)]
        assert set(answer[part]) - keys_of(parts)[1] - NEWER_ANSWER.get(method, set()) == set()


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples of Slack's payloads here")
def test_the_recorded_shapes_are_those_of_the_samples() -> None:
    assert record(SAMPLES) == json.loads(RECORDED.read_text())
