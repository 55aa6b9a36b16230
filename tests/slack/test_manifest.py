"""The manifest: it matches the code exactly, and Slack accepts it."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
import yaml
from click.testing import CliRunner
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from bot.cli.main import commands
from bot.settings import Settings
from bot.slack.client import Identity
from bot.slack.events import EVENTS, Listeners
from bot.slack.lifecycle import EVENTS as LIFECYCLE
from bot.slack.manifest import (
    diff_manifest,
    for_many_workspaces,
    manifest,
    render_manifest,
    render_yaml,
)
from bot.slack.people import People
from bot.slack.rights import Rights
from bot.slack.scopes import MINIMAL, MINIMAL_EVENTS, SCOPES, find_missing
from bot.slack.surfaces.commands import COMMANDS
from bot.store import Store

ROOT = Path(__file__).parent.parent.parent
SCHEMA = ROOT.parent / "shared" / "data" / "slack-manifest.schema.2.0.0.json"
FIELD_LIMITS = ROOT / "tests" / "data" / "slack" / "manifest_limits.json"
"""Slack's schema for the fields that we use: their types, lengths and counts."""

EVENT_SCOPES = {
    "app_mention": {"app_mentions:read"},
    "app_home_opened": set(),
    "agent_session_stopped": {"chat:write"},
    "file_change": {"files:read"},
    "message.channels": {"channels:history"},
    "message.groups": {"groups:history"},
    "message.im": {"im:history"},
    "message.mpim": {"mpim:history"},
}
HISTORY = {"channels:history", "groups:history", "im:history", "mpim:history"}
READ = {"channels:read", "groups:read", "mpim:read"}
METHOD_SCOPES = {
    "fresh_token": set(),  # our own: no call, or oauth.v2.access
    "auth_test": set(),
    "auth_revoke": set(),
    "apps_connections_open": set(),  # by the app-level token
    "apps_manifest_export": set(),  # by a configuration token
    "bots_info": {"users:read"},
    "chat_postMessage": {"chat:write"},
    "chat_postEphemeral": {"chat:write"},
    "chat_update": {"chat:write"},
    "chat_delete": {"chat:write"},
    "chat_startStream": {"chat:write"},
    "chat_appendStream": {"chat:write"},
    "chat_stopStream": {"chat:write"},
    "assistant_threads_setStatus": {"chat:write"},
    "assistant_threads_setTitle": {"assistant:write"},
    "assistant_threads_setSuggestedPrompts": {"assistant:write"},
    "agents_sessions_setStatus": {"chat:write"},
    "views_open": set(),
    "views_update": set(),
    "conversations_replies": HISTORY,
    "conversations_history": HISTORY,
    "conversations_info": READ,
    "users_conversations": READ,
    "conversations_open": {"im:write"},
    "files_upload_v2": {"files:write"},
    "usergroups_list": {"usergroups:read"},
    "users_info": {"users:read"},
    "views_publish": set(),
    "api_call": set(),  # oauth.v2.access by the app's secret; assistant.search.context, if granted
    "files_info": {"files:read"},
    "send_socket_mode_response": set(),  # over the socket
    "files_getUploadURLExternal": {"files:write"},
    "files_completeUploadExternal": {"files:write"},
}
FEATURE_SCOPES = {"agent_view": {"assistant:write"}, "slash_commands": {"commands"}}


def methods_used() -> set[str]:
    """Names of the Web API methods that the code calls on a client."""
    used: set[str] = set()
    for path in (ROOT / "bot" / "slack").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = node.func.value
                name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
                is_client, method = name in ("client", "_client"), node.func.attr
                if is_client and "_" in method and hasattr(AsyncWebClient, method):
                    used.add(method)
    return used


def test_the_file_is_the_generated_manifest() -> None:
    assert (ROOT / "manifest.yml").read_text() == render_manifest()


def test_the_scope_of_the_search_is_added_on_request() -> None:
    assert "search:read.public" not in manifest()["oauth_config"]["scopes"]["bot"]
    assert "search:read.public" in manifest(search=True)["oauth_config"]["scopes"]["bot"]


def test_the_scopes_are_those_of_the_events_methods_and_features_in_use() -> None:
    generated = manifest()
    events = generated["settings"]["event_subscriptions"]["bot_events"]
    needed = set().union(
        *(EVENT_SCOPES[event] for event in events),
        *(METHOD_SCOPES[method] for method in methods_used()),
        *(
            FEATURE_SCOPES[feature]
            for feature in generated["features"]
            if feature in FEATURE_SCOPES
        ),
    )
    assert set(SCOPES) == needed


def test_every_subscribed_event_has_a_listener_and_every_listener_its_event() -> None:
    heard: set[str] = set()

    class Recorder:
        def event(self, name: str) -> Callable[[object], object]:
            heard.add(name)
            return lambda listener: listener

        def action(self, name: str) -> Callable[[object], object]:
            return lambda listener: listener

    identity = Identity("T", "", "U", "B", "")
    client = cast(AsyncWebClient, None)
    settings = Settings(_env_file=None, slack_bot_token="xoxb-1")
    store, rights = cast(Store, None), cast(Rights, None)
    listeners = Listeners(store, client, identity, People(client), rights, settings)
    listeners.register_messages(cast(AsyncApp, Recorder()))
    listeners.register(cast(AsyncApp, Recorder()))
    assert heard == {event.split(".")[0] for event in EVENTS}


def test_for_many_workspaces_it_has_the_callback_and_the_events_of_installations() -> None:
    plain, many = (
        manifest("https://host"),
        for_many_workspaces(manifest("https://host"), "https://host/"),
    )
    assert many["oauth_config"]["redirect_urls"] == ["https://host/slack/oauth_redirect"]
    events = set(many["settings"]["event_subscriptions"]["bot_events"])
    assert events - set(EVENTS) == set(LIFECYCLE)
    assert many["settings"]["org_deploy_enabled"]
    assert plain == manifest("https://host")


def test_every_command_is_in_it() -> None:
    named = [command["command"] for command in manifest()["features"]["slash_commands"]]
    assert named == [command.name for command in COMMANDS]


def test_the_order_of_a_list_is_no_difference() -> None:
    there = manifest()
    there["features"]["slash_commands"].reverse()
    assert diff_manifest(render_yaml(there), "manifest.yml", manifest()) == ""
    del there["features"]["slash_commands"][0]
    assert diff_manifest(render_yaml(there), "manifest.yml", manifest())


LIMITS = {
    ("display_information", "name"): (1, 35),
    ("display_information", "description"): (1, 140),
    ("features", "bot_user", "display_name"): (1, 80),
    ("features", "agent_view", "agent_description"): (1, 300),
    ("features", "agent_view", "suggested_prompts"): (0, 4),
    ("features", "shortcuts"): (0, 10),
    ("features", "shortcuts", "*", "name"): (1, 24),
    ("features", "shortcuts", "*", "callback_id"): (1, 255),
    ("features", "shortcuts", "*", "description"): (1, 150),
    ("features", "slash_commands"): (0, 50),
    ("features", "slash_commands", "*", "command"): (2, 32),
    ("features", "slash_commands", "*", "description"): (1, 2000),
    ("features", "slash_commands", "*", "usage_hint"): (1, 1000),
    ("features", "slash_commands", "*", "url"): (1, 3000),
    ("oauth_config", "scopes", "bot"): (1, 255),
    ("settings", "event_subscriptions", "request_url"): (1, 3500),
    ("settings", "event_subscriptions", "bot_events"): (1, 100),
    ("settings", "interactivity", "request_url"): (1, 3500),
}
"""The least and the greatest length that Slack's schema of manifests gives for what we use."""


def values(tree: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """The values at a path of a manifest; a star in the path matches each entry of a list."""
    if not path:
        yield tree
    elif path[0] == "*":
        for entry in tree:
            yield from values(entry, path[1:])
    elif path[0] in tree:
        yield from values(tree[path[0]], path[1:])


@pytest.mark.parametrize("url", [None, "https://bot.example.com"])
@pytest.mark.parametrize("path", LIMITS)
def test_everything_is_within_slacks_limits(path: tuple[str, ...], url: str | None) -> None:
    least, most = LIMITS[path]
    for value in values(manifest(url), path):
        assert least <= len(value) <= most


NO_SCHEMA = pytest.mark.skipif(not SCHEMA.exists(), reason="no copy of Slack's manifest schema")


@pytest.mark.parametrize("path", [FIELD_LIMITS, pytest.param(SCHEMA, marks=NO_SCHEMA)])
@pytest.mark.parametrize("url", [None, "https://bot.example.com"])
def test_slack_s_schema_accepts_it(url: str | None, path: Path) -> None:
    schema = json.loads(path.read_text())
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(render_manifest(url)))


def test_over_http_every_address_is_the_events_path() -> None:
    generated = manifest("https://bot.example.com/")
    text = render_manifest("https://bot.example.com/")
    assert text.count("https://bot.example.com/slack/events") == 2 + len(COMMANDS)
    assert generated["settings"]["socket_mode_enabled"] is False


@pytest.mark.parametrize("url", ["http://bot.example.com", "bot.example.com", "https://"])
def test_an_address_that_slack_would_refuse_is_refused(url: str) -> None:
    ended = CliRunner().invoke(commands, ["manifest", "--url", url])
    assert ended.exit_code == 2
    assert "https" in ended.output


def test_the_smallest_app_asks_for_what_an_answer_to_a_mention_needs() -> None:
    smallest = manifest("https://bot.example.com", "Bot", minimal=True)
    assert smallest["oauth_config"]["scopes"]["bot"] == ["app_mentions:read", "chat:write"]
    assert smallest["settings"]["event_subscriptions"]["bot_events"] == ["app_mention"]
    assert smallest["features"].keys() == {"bot_user"}
    needed = set().union(*(EVENT_SCOPES[event] for event in MINIMAL_EVENTS))
    assert needed <= set(MINIMAL)
    assert set(MINIMAL_EVENTS) <= set(EVENTS)


@pytest.mark.parametrize(
    ("granted", "is_meant"),
    [
        (SCOPES, True),
        (set(SCOPES) - {"usergroups:read"}, True),
        (MINIMAL, True),
        ({*MINIMAL, "usergroups:read"}, True),
        ({*MINIMAL, "im:history"}, False),
        (set(SCOPES) - {"im:history"}, False),
        ({"chat:write"}, False),
        (set(), False),
    ],
)
def test_the_doctor_distinguishes_a_small_app_from_a_broken_one(
    granted: set[str], is_meant: bool
) -> None:
    missing = find_missing(granted)
    assert missing.is_meant is is_meant
    assert {scope.name for scope in missing.scopes} == set(SCOPES) - set(granted)
