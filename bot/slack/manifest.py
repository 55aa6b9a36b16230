"""The app manifest, generated from the commands, shortcuts and events that the code has.

https://docs.slack.dev/reference/app-manifest
"""

import difflib
import re
from typing import Any

from bot.slack.events import EVENTS
from bot.slack.lifecycle import EVENTS as LIFECYCLE
from bot.slack.scopes import MINIMAL, MINIMAL_EVENTS, OF_TOOLS, SCOPES
from bot.slack.server import EVENTS_PATH
from bot.slack.surfaces.commands import all_commands
from bot.slack.surfaces.shortcuts import SHORTCUTS
from bot.texts.assistant_thread import PROMPTS

CALLBACK_PATH = "/slack/oauth_redirect"
"""Where Slack sends the browser of a person who installs the bot."""

NAME = "Assistant"
DESCRIPTION = "An AI assistant that answers in threads and remembers each of them."

LONGEST_NAME = 35
LONGEST_COMMAND = 32
PREFIX_RULE = "a few lower-case letters, digits, - and _"


def manifest(
    url: str | None = None,
    name: str = NAME,
    prefix: str = "",
    *,
    minimal: bool = False,
    search: bool = False,
) -> dict[str, Any]:
    """The manifest for Socket Mode, or with `url` (`https://host`, no path) for HTTP.

    `name` and the `prefix` of the commands keep a second app apart from the first. The `minimal`
    app answers mentions and does nothing else. With `search` it has the scope of `slack_search`.
    """
    scopes = [*(MINIMAL if minimal else SCOPES)]
    scopes += [OF_TOOLS["slack_search"].name] if search else []
    endpoint = f"{url.rstrip('/')}{EVENTS_PATH}" if url else None
    at = {"request_url": endpoint} if endpoint else {}
    return {
        "_metadata": {"major_version": 2, "minor_version": 1},
        "display_information": {"name": name, "description": DESCRIPTION},
        "features": _minimal_features(name) if minimal else _features(name, prefix, endpoint),
        "oauth_config": {"scopes": {"bot": scopes}},
        "settings": {
            "event_subscriptions": {"bot_events": sorted(MINIMAL_EVENTS if minimal else EVENTS)}
            | at,
            "interactivity": {"is_enabled": True} | at,
            "org_deploy_enabled": False,
            "socket_mode_enabled": endpoint is None,
            "token_rotation_enabled": False,
        },
    }


def _minimal_features(name: str) -> dict[str, Any]:
    return {"bot_user": {"display_name": name, "always_online": True}}


def _features(name: str, prefix: str, endpoint: str | None) -> dict[str, Any]:
    return {
        "agent_view": {
            "agent_description": DESCRIPTION,
            "suggested_prompts": [
                {"title": title, "message": message} for title, message in PROMPTS
            ],
        },
        "app_home": {
            "home_tab_enabled": True,
            "messages_tab_enabled": True,
            "messages_tab_read_only_enabled": False,
        },
        "bot_user": {"display_name": name, "always_online": True},
        "shortcuts": [
            {
                "name": shortcut.name,
                "type": "message",
                "callback_id": shortcut.callback_id,
                "description": shortcut.description,
            }
            for shortcut in SHORTCUTS
        ],
        "slash_commands": [
            {
                "command": prefixed(command.name, prefix),
                "description": command.description,
                "should_escape": False,
            }
            | ({"usage_hint": command.usage_hint} if command.usage_hint else {})
            | ({"url": endpoint} if endpoint else {})
            for command in all_commands()
        ],
    }


def for_many_workspaces(manifest: dict[str, Any], url: str) -> dict[str, Any]:
    """The manifest of an app that any workspace or organization can install."""
    settings, oauth = manifest["settings"], manifest["oauth_config"]
    subscriptions = settings["event_subscriptions"]
    events = sorted({*subscriptions["bot_events"], *LIFECYCLE})
    return manifest | {
        "oauth_config": oauth | {"redirect_urls": [url.rstrip("/") + CALLBACK_PATH]},
        "settings": settings
        | {
            "event_subscriptions": subscriptions | {"bot_events": events},
            "org_deploy_enabled": True,
        },
    }


def is_prefix(prefix: str) -> bool:
    """Whether it may come before the names of the commands."""
    longest = max(len(command.name) for command in all_commands())
    fits = len(prefix) + longest <= LONGEST_COMMAND
    return fits and bool(re.fullmatch(r"[a-z0-9_-]*", prefix))


def prefixed(command: str, prefix: str) -> str:
    """The name under which an app with this prefix has a command: `/reset` or `/test-reset`."""
    return f"/{prefix}{command.removeprefix('/')}"


def render_manifest(
    url: str | None = None, name: str = NAME, prefix: str = "", *, minimal: bool = False
) -> str:
    """The manifest as YAML, as Slack's "From a manifest" dialogue takes it."""
    return render_yaml(manifest(url, name, prefix, minimal=minimal))


def render_yaml(manifest: dict[str, Any]) -> str:
    """Any manifest as YAML."""
    import yaml  # not needed by a process that runs the bot

    return yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)


def diff_manifest(text: str, file: str, ours: dict[str, Any]) -> str:
    """How a manifest file differs from `ours`, as a unified diff; "" if it does not.

    Compares the content, not the layout or the order of lists.
    """
    import yaml

    try:
        there = yaml.safe_load(text)
    except yaml.YAMLError:
        there = text
    theirs, wanted = (
        yaml.safe_dump(_in_order(each), sort_keys=True, allow_unicode=True, width=100).splitlines(
            True
        )
        for each in (there, ours)
    )
    return "".join(difflib.unified_diff(theirs, wanted, fromfile=file, tofile="generated"))


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _in_order(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, list):
        return sorted(map(_in_order, value), key=repr)
    return value
