"""Requests that lack what a listener reads are recognized before any listener runs."""

import random
from typing import Any

import pytest
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.slack.shapes import is_well_formed
from tests.mutations import mutate

Json = dict[str, Any]

WHO: Json = {"team": {"id": "T1"}, "user": {"id": "U1", "team_id": "T1"}, "trigger_id": "1.2.abc"}
MESSAGE: Json = {
    "type": "message",
    "user": "U1",
    "channel": "C1",
    "ts": "1.000001",
    "message": {"user": "U1", "text": "b"},
    "previous_message": {"user": "U1", "text": "a"},
}


def event(kind: str, **fields: Any) -> Json:
    return {"type": "event_callback", "event": {"type": kind, **fields}}


REQUESTS: dict[str, Json] = {
    "message": {
        "type": "event_callback",
        "team_id": "T1",
        "event_id": "Ev1",
        "event": MESSAGE,
        "authorizations": [{"team_id": "T1", "enterprise_id": None}],
    },
    "home": event("app_home_opened", user="U1", channel="D1", tab="home"),
    "changed user": event("user_change", user={"id": "U1"}),
    "button": WHO
    | {
        "type": "block_actions",
        "actions": [{"action_id": "stop", "block_id": "b", "value": "1", "action_ts": "2.000001"}],
        "container": {"type": "message", "channel_id": "C1", "message_ts": "1.000001"},
        "channel": {"id": "C1"},
        "message": {"ts": "1.000001", "blocks": [{"type": "actions", "elements": [{}]}]},
    },
    "button at home": WHO
    | {
        "type": "block_actions",
        "actions": [{"action_id": "reset", "action_ts": "2.000001"}],
        "container": {"type": "view", "view_id": "V1"},
        "view": {"id": "V1", "private_metadata": ""},
    },
    "modal": WHO
    | {
        "type": "view_submission",
        "view": {"id": "V1", "callback_id": "c", "private_metadata": "{}", "state": {"values": {}}},
    },
    "shortcut": WHO
    | {
        "type": "message_action",
        "callback_id": "reset",
        "action_ts": "2.000001",
        "channel": {"id": "C1"},
        "message": {"ts": "1.000001"},
    },
    "command": {"command": "/reset", "user_id": "U1", "channel_id": "C1", "text": ""},
    "check": {"type": "url_verification", "challenge": "x"},
    "another event": event("reaction_added", user="U1", item={"channel": "C1"}),
}


@pytest.mark.parametrize("kind", REQUESTS)
def test_what_slack_sends_is_well_formed(kind: str) -> None:
    assert is_well_formed(REQUESTS[kind])


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("message", {"event": None}),
        ("message", {"event": {"type": ["message"]}}),
        ("message", {"event": MESSAGE | {"user": 1}}),
        ("message", {"event": MESSAGE | {"previous_message": {"user": [1]}}}),
        ("message", {"authorizations": {"a": {}}}),
        ("message", {"team_id": "\ud800"}),
        ("home", {"event": {"type": "app_home_opened"}}),
        ("button", {"actions": []}),
        ("button", {"actions": [{"action_id": 1, "action_ts": "2.000001"}]}),
        ("button", {"container": None}),
        ("button", {"user": {"id": "U1\x00"}}),
        ("modal", {"view": {"callback_id": "c", "private_metadata": "{}"}}),
        ("shortcut", {"message": {}}),
        ("command", {"text": True}),
        ("check", {"type": {}}),
    ],
)
def test_what_a_listener_could_not_read_is_malformed(kind: str, change: Json) -> None:
    assert not is_well_formed(REQUESTS[kind] | change)


@pytest.mark.parametrize("seed", range(10))
def test_bolt_reads_whatever_is_well_formed(seed: int) -> None:
    chance = random.Random(seed)
    for original in REQUESTS.values():
        for _ in range(20):
            body = mutate(original, chance)
            if is_well_formed(body):
                AsyncBoltRequest(mode="socket_mode", body=body)
