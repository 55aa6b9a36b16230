"""Converts the state of a workspace to a JSON dict and back, so that it survives a restart."""

import base64
import itertools
from dataclasses import asdict
from typing import Any

from local_slack.workspace.clock import Clock
from local_slack.workspace.model import (
    AgentSession,
    AgentThread,
    Channel,
    File,
    Json,
    Message,
    Stream,
    User,
    View,
)
from local_slack.workspace.workspace import Workspace

VERSION = 1


def snapshot(workspace: Workspace) -> Json:
    """Everything except short-lived trigger ids and response URLs."""
    stored = itertools.chain.from_iterable(m.values() for m in workspace.messages.values())
    return {
        "version": VERSION,
        "team_id": workspace.team_id,
        "team_name": workspace.team_name,
        "domain": workspace.domain,
        "app_id": workspace.app_id,
        "enterprise_id": workspace.enterprise_id,
        "created": workspace.created,
        "last_id": next(workspace.counter),
        "users": [asdict(user) for user in workspace.users.values()],
        "channels": [asdict(channel) for channel in workspace.channels.values()],
        "messages": [asdict(message) for message in stored],
        "ephemerals": [asdict(message) for message in workspace.ephemerals],
        "files": [_file(file) for file in workspace.files.values()],
        "views": [asdict(view) for view in workspace.views.values()],
        "homes": dict(workspace.homes),
        "contexts": dict(workspace.contexts),
        "agent_threads": [asdict(thread) for thread in workspace.agent_threads.values()],
    }


def restore(state: Json, clock: Clock | None = None) -> Workspace:
    """The restored workspace; raises ValueError for a damaged snapshot or another version."""
    if state.get("version") != VERSION:
        raise ValueError(f"a snapshot of version {VERSION} is expected")
    try:
        return _restore(state, clock)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"the snapshot is damaged: {error}") from None


def _restore(state: Json, clock: Clock | None) -> Workspace:
    names = ("team_id", "team_name", "domain", "app_id")
    workspace = Workspace(**{name: state[name] for name in names}, clock=clock or Clock())
    workspace.enterprise_id = state.get("enterprise_id")
    workspace.created = state["created"]
    workspace.counter = itertools.count(state["last_id"] + 1)
    for user in state["users"]:
        workspace.add_user(User(**user))
    for channel in state["channels"]:
        workspace.channels[channel["id"]] = Channel(**channel)
        workspace.messages.setdefault(channel["id"], {})
    for message in state["messages"]:
        workspace.index(_message(message))
        workspace.clock.not_before(message["ts"])
    workspace.ephemerals = [_message(message) for message in state["ephemerals"]]
    for file in state["files"]:
        content = base64.b64decode(file["content"])
        workspace.files[file["id"]] = File(**file | {"content": content})
    workspace.views = {view["id"]: View(**view) for view in state["views"]}
    workspace.homes = dict(state["homes"])
    workspace.contexts = dict(state["contexts"])
    for thread in state["agent_threads"]:
        session = thread["session"]
        known = AgentThread(**thread | {"session": AgentSession(**session) if session else None})
        workspace.agent_threads[known.channel_id, known.thread_ts] = known
    return workspace


def _file(file: File) -> Json:
    shape: dict[str, Any] = asdict(file)
    return shape | {"content": base64.b64encode(file.content).decode()}


def _message(state: Json) -> Message:
    stream = state["stream"]
    return Message(**state | {"stream": Stream(**stream) if stream else None})
