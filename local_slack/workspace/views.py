"""Modals and App Homes, with a person's stack of open views."""

import secrets

from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Json, View
from local_slack.workspace.shapes import view_json
from local_slack.workspace.view_rules import check_view
from local_slack.workspace.workspace import Workspace

MAX_STACK = 3


def open_view(workspace: Workspace, user_id: str, payload: Json) -> View:
    """Open the first modal."""
    _check_external_id(workspace, payload)
    return _add(workspace, user_id, payload, None)


def push_view(workspace: Workspace, current: View, payload: Json) -> View:
    """Push a modal on top of another one; at most three."""
    _check_external_id(workspace, payload)
    if len(stack(workspace, current.user_id)) >= MAX_STACK:
        raise SlackError("push_limit_reached")
    return _add(workspace, current.user_id, payload, current)


def update_view(workspace: Workspace, view: View, payload: Json, hash_: str | None = None) -> View:
    """Replace a view; values of inputs whose block_id stays are kept."""
    if hash_ and hash_ != view.hash:
        raise SlackError("hash_conflict")
    kept = {block.get("block_id") for block in payload["blocks"]}
    view.values = {name: value for name, value in view.values.items() if name in kept}
    view.payload, view.hash = payload, _new_hash(workspace)
    workspace.changes.publish("view", **view_for_page(workspace, view))
    return view


def publish_home(workspace: Workspace, user_id: str, payload: Json, hash_: str | None) -> View:
    view_id = workspace.homes.get(user_id)
    if view_id is not None:
        return update_view(workspace, workspace.views[view_id], payload, hash_)
    view = _add(workspace, user_id, payload, None)
    workspace.homes[user_id] = view.id
    return view


def open_home(workspace: Workspace, user_id: str, dm_id: str, tab: str) -> None:
    """Open the app; both tabs fire app_home_opened."""
    event: Json = {
        "user": user_id,
        "channel": dm_id,
        "tab": tab,
        "event_ts": workspace.clock.next_ts(),
    }
    if tab == "home" and user_id in workspace.homes:
        event["view"] = view_json(workspace, workspace.views[workspace.homes[user_id]])
    if user_id in workspace.contexts:
        event["context"] = {"entities": workspace.contexts[user_id]}
    workspace.changes.publish("home_opened", event=event)


def look_at(workspace: Workspace, user_id: str, dm_id: str, channel_id: str) -> None:
    """Go to a channel with the agent open: app_context_changed."""
    entity = {
        "type": "slack#/types/channel_id",
        "value": channel_id,
        "team_id": workspace.team_id,
    }
    workspace.contexts[user_id] = [entity]
    event = {
        "user": user_id,
        "channel": dm_id,
        "context": {"entities": [entity]},
        "event_ts": workspace.clock.next_ts(),
    }
    workspace.changes.publish("context_changed", event=event)


def close_view(workspace: Workspace, view: View, *, whole_stack: bool = False) -> None:
    closing = stack(workspace, view.user_id) if whole_stack else [view]
    for item in closing:
        item.open = False
        workspace.changes.publish("view", **view_for_page(workspace, item))


def stack(workspace: Workspace, user_id: str) -> list[View]:
    """The person's open modals, topmost last."""
    return [
        view
        for view in workspace.views.values()
        if view.open and view.user_id == user_id and view.payload["type"] == "modal"
    ]


def apply_response(workspace: Workspace, view: View, body: object) -> None:
    """Carry out the `response_action` of an acknowledged submission; without one the modal is
    closed."""
    answer: Json = body if isinstance(body, dict) else {}
    action = answer.get("response_action")
    view.errors = {}
    if action == "errors":
        view.errors = dict(answer["errors"])
        workspace.changes.publish("view", **view_for_page(workspace, view))
    elif action == "update":
        update_view(workspace, view, check_view(answer["view"]))
    elif action == "push":
        push_view(workspace, view, check_view(answer["view"]))
    else:
        close_view(workspace, view, whole_stack=action == "clear")


def view_for_page(workspace: Workspace, view: View) -> Json:
    return {
        "user": view.user_id,
        "open": view.open,
        "errors": view.errors,
        "view": view_json(workspace, view),
    }


def _add(workspace: Workspace, user_id: str, payload: Json, previous: View | None) -> View:
    view_id = workspace.new_id("V")
    view = View(
        view_id,
        user_id,
        payload,
        _new_hash(workspace),
        root_view_id=previous.root_view_id if previous else view_id,
        previous_view_id=previous.id if previous else None,
    )
    workspace.views[view_id] = view
    workspace.changes.publish("view", **view_for_page(workspace, view))
    return view


def _new_hash(workspace: Workspace) -> str:
    return f"{int(workspace.clock.now())}.{secrets.token_hex(4)}"


def _check_external_id(workspace: Workspace, payload: Json) -> None:
    external_id = payload.get("external_id")
    if external_id and any(
        view.open and view.payload.get("external_id") == external_id
        for view in workspace.views.values()
    ):
        raise SlackError("duplicate_external_id")
