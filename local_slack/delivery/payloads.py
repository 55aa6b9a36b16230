"""Payloads of interactions: slash commands, actions, shortcuts, modals."""

from local_slack.delivery.interactions import Interactions
from local_slack.workspace.model import Channel, Json, Message, User, View
from local_slack.workspace.shapes import message_json, view_json
from local_slack.workspace.workspace import Workspace

DM_NAME = "directmessage"


def channel_name(channel: Channel) -> str:
    if channel.type == "group":
        return "privategroup"
    return DM_NAME if channel.type == "im" else channel.name


def slash_command(
    workspace: Workspace,
    interactions: Interactions,
    user: User,
    channel: Channel,
    command: str,
    text: str,
) -> dict[str, str]:
    """The fields of the form. It has no thread: Slack has no commands in threads."""
    return {
        "token": "verification-token",
        "team_id": workspace.team_id,
        "team_domain": workspace.domain,
        "channel_id": channel.id,
        "channel_name": channel_name(channel),
        "user_id": user.id,
        "user_name": user.name,
        "command": command,
        "text": text,
        "api_app_id": workspace.app_id,
        "is_enterprise_install": str(workspace.org_install).lower(),
        **({"enterprise_id": workspace.enterprise_id} if workspace.enterprise_id else {}),
        "response_url": interactions.issue_url(user.id, channel.id),
        "trigger_id": interactions.issue_trigger(user.id),
    }


def _interaction(workspace: Workspace, kind: str, user: User) -> Json:
    team_id = user.team_id or workspace.team_id
    person = {"id": user.id, "username": user.name, "name": user.name, "team_id": team_id}
    enterprise = workspace.enterprise_id
    return {
        "type": kind,
        "team": {"id": workspace.team_id, "domain": workspace.domain},
        "user": person,
        "api_app_id": workspace.app_id,
        "token": "verification-token",
        "is_enterprise_install": workspace.org_install,
        "enterprise": {"id": enterprise, "name": "Local Enterprise"} if enterprise else None,
    }


def block_action(
    workspace: Workspace,
    interactions: Interactions,
    user: User,
    message: Message,
    action: Json,
    state: Json,
) -> Json:
    """A click on an element of a message."""
    channel = workspace.channels[message.channel_id]
    container: Json = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": message.visible_to is not None,
    }
    if message.thread_ts:
        container["thread_ts"] = message.thread_ts
    url = interactions.issue_url(user.id, channel.id, message.ts)
    payload = _interaction(workspace, "block_actions", user) | {
        "container": container,
        "trigger_id": interactions.issue_trigger(user.id),
        "channel": {"id": channel.id, "name": channel_name(channel)},
        "state": {"values": state},
        "response_url": url,
        "actions": [action],
    }
    # Slack omits the message if it is ephemeral.
    if message.visible_to is None:
        payload["message"] = message_json(workspace, message)
    return payload


def view_action(
    workspace: Workspace, interactions: Interactions, user: User, view: View, action: Json
) -> Json:
    """A click on an element of a modal or of App Home."""
    return _interaction(workspace, "block_actions", user) | {
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": interactions.issue_trigger(user.id, view.id),
        "view": view_json(workspace, view),
        "actions": [action],
    }


def view_submission(
    workspace: Workspace, interactions: Interactions, user: User, view: View
) -> Json:
    return _interaction(workspace, "view_submission", user) | {
        "trigger_id": interactions.issue_trigger(user.id, view.id),
        "view": view_json(workspace, view),
        "response_urls": [],
    }


def view_closed(workspace: Workspace, user: User, view: View, *, cleared: bool) -> Json:
    return _interaction(workspace, "view_closed", user) | {
        "view": view_json(workspace, view),
        "is_cleared": cleared,
    }


def message_shortcut(
    workspace: Workspace,
    interactions: Interactions,
    user: User,
    callback_id: str,
    message: Message,
) -> Json:
    channel = workspace.channels[message.channel_id]
    payload = _interaction(workspace, "message_action", user)
    del payload["api_app_id"]
    return payload | {
        "action_ts": workspace.clock.next_ts(),
        "callback_id": callback_id,
        "trigger_id": interactions.issue_trigger(user.id),
        "response_url": interactions.issue_url(user.id, channel.id, message.ts),
        "channel": {"id": channel.id, "name": channel_name(channel)},
        "message_ts": message.ts,
        "message": message_json(workspace, message),
    }


def global_shortcut(
    workspace: Workspace, interactions: Interactions, user: User, callback_id: str
) -> Json:
    payload = _interaction(workspace, "shortcut", user)
    del payload["api_app_id"]
    return payload | {
        "action_ts": workspace.clock.next_ts(),
        "callback_id": callback_id,
        "trigger_id": interactions.issue_trigger(user.id),
    }
