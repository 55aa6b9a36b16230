"""Changes of the workspace as events of Slack's Events API."""

from collections.abc import Callable
from dataclasses import dataclass

from local_slack.workspace.changes import Change
from local_slack.workspace.model import Channel, Json
from local_slack.workspace.rich_text import find_mentions
from local_slack.workspace.shapes import message_json
from local_slack.workspace.workspace import Workspace

MESSAGE_EVENTS = {
    "channel": "message.channels",
    "group": "message.groups",
    "im": "message.im",
    "mpim": "message.mpim",
}
SUBSCRIBABLE = frozenset(MESSAGE_EVENTS.values()) | {
    "agent_session_stopped",
    "agent_session_title_changed",
    "app_context_changed",
    "app_home_opened",
    "app_mention",
    "app_uninstalled",
    "file_change",
    "member_joined_channel",
    "member_left_channel",
    "reaction_added",
    "reaction_removed",
    "team_access_granted",
    "team_access_revoked",
    "tokens_revoked",
}
HIDDEN_FROM_MENTIONS = ("channel_join", "group_join", "tombstone")


@dataclass(frozen=True)
class Event:
    """An inner event and the name under which an app subscribes to it."""

    name: str
    payload: Json


def events_of(change: Change, workspace: Workspace) -> list[Event]:
    """The events of a change; none for channels that the app is not in."""
    build = _BUILDERS.get(change.kind)
    return build(workspace, change.data) if build else []


def _seen_channel(workspace: Workspace, channel_id: str) -> Channel | None:
    channel = workspace.channels.get(channel_id)
    return channel if channel and workspace.bot.id in channel.members else None


def _message_event(channel: Channel, payload: Json) -> Event:
    fields = {"channel": channel.id, "channel_type": channel.type}
    return Event(MESSAGE_EVENTS[channel.type], payload | fields)


def _posted(workspace: Workspace, data: Json) -> list[Event]:
    channel = _seen_channel(workspace, data["channel_id"])
    if channel is None:
        return []
    message: Json = data["message"] | {"event_ts": data["message"]["ts"]}
    if message.get("subtype") == "thread_broadcast":
        root = workspace.find_message(channel.id, message["thread_ts"])
        message["root"] = message_json(workspace, root) if root else {}
    if channel.is_ext_shared and "files" in message:
        message["files"] = [_file_stub(file) for file in message["files"]]
    if channel.type == "im" and message["user"] in workspace.contexts:
        message["app_context"] = {"entities": workspace.contexts[message["user"]]}
    token = workspace.issue_action_token() if workspace.searches else ""
    first = _message_event(channel, message | ({"action_token": token} if token else {}))
    if not _mentions_the_bot(workspace, channel, message):
        return [first]
    extra = {"assistant_thread": {"action_token": token}} if token else {}
    return [first, _mention_event(channel, message | extra)]


def _mention_event(channel: Channel, message: Json) -> Event:
    """The twin of a message; Slack keeps thread_broadcast on it, but not file_share."""
    twin = dict(message)
    if twin.get("subtype") == "file_share":
        del twin["subtype"]
    return Event("app_mention", twin | {"type": "app_mention", "channel": channel.id})


def _file_stub(file: Json) -> Json:
    """Slack Connect events contain only stubs of files; files.info has the rest."""
    return {"id": file["id"], "mode": "file_access", "file_access": "check_file_info"}


def _mentions_the_bot(workspace: Workspace, channel: Channel, message: Json) -> bool:
    """Whether it mentions the app's bot, in a Slack Connect channel that of any workspace."""
    users = workspace.users.values()
    bots = {user.id for user in users if user.app_id == workspace.app_id} & {*channel.members}
    return (
        channel.type != "im"
        and message["user"] not in bots
        and message.get("subtype") not in HIDDEN_FROM_MENTIONS
        and not bots.isdisjoint(find_mentions(message["text"]))
    )


def _changed(workspace: Workspace, data: Json) -> list[Event]:
    channel = _seen_channel(workspace, data["channel_id"])
    if channel is None:
        return []
    payload = {
        "type": "message",
        "subtype": "message_changed",
        "hidden": True,
        "message": data["message"],
        "previous_message": data["previous_message"],
        "ts": data["event_ts"],
        "event_ts": data["event_ts"],
    }
    events = [_message_event(channel, payload)]
    message: Json = data["message"] | {"event_ts": data["event_ts"]}
    # A person's edit of a message with a mention sends app_mention again, with `edited`.
    edited = message.get("edited") != data["previous_message"].get("edited")
    if edited and _mentions_the_bot(workspace, channel, message):
        events.append(_mention_event(channel, message))
    return events


def _deleted(workspace: Workspace, data: Json) -> list[Event]:
    channel = _seen_channel(workspace, data["channel_id"])
    if channel is None:
        return []
    payload = {
        "type": "message",
        "subtype": "message_deleted",
        "hidden": True,
        "deleted_ts": data["deleted_ts"],
        "previous_message": data["previous_message"],
        "ts": data["event_ts"],
        "event_ts": data["event_ts"],
    }
    return [_message_event(channel, payload)]


def _reaction(kind: str) -> Callable[[Workspace, Json], list[Event]]:
    def build(workspace: Workspace, data: Json) -> list[Event]:
        if _seen_channel(workspace, data["channel_id"]) is None:
            return []
        keys = ("user", "reaction", "item", "item_user", "event_ts")
        return [Event(kind, {"type": kind} | {key: data[key] for key in keys})]

    return build


def _member(kind: str) -> Callable[[Workspace, Json], list[Event]]:
    def build(workspace: Workspace, data: Json) -> list[Event]:
        channel = workspace.channels[data["channel_id"]]
        # When the app itself leaves, Slack sends channel_left instead.
        if workspace.bot.id not in channel.members:
            return []
        payload: Json = {
            "type": kind,
            "user": data["user"],
            "channel": channel.id,
            "channel_type": "C" if channel.type == "channel" else "G",
            "team": workspace.team_id,
            "event_ts": workspace.clock.next_ts(),
        }
        if data.get("inviter"):
            payload["inviter"] = data["inviter"]
        return [Event(kind, payload)]

    return build


def _as_is(kind: str) -> Callable[[Workspace, Json], list[Event]]:
    def build(workspace: Workspace, data: Json) -> list[Event]:
        return [Event(kind, {"type": kind} | data["event"])]

    return build


_BUILDERS: dict[str, Callable[[Workspace, Json], list[Event]]] = {
    "message_posted": _posted,
    "message_changed": _changed,
    "message_deleted": _deleted,
    "reaction_added": _reaction("reaction_added"),
    "reaction_removed": _reaction("reaction_removed"),
    "member_joined": _member("member_joined_channel"),
    "member_left": _member("member_left_channel"),
    "file_changed": _as_is("file_change"),
    "home_opened": _as_is("app_home_opened"),
    "context_changed": _as_is("app_context_changed"),
    "session_stopped": _as_is("agent_session_stopped"),
    "session_title_changed": _as_is("agent_session_title_changed"),
    "tokens_revoked": _as_is("tokens_revoked"),
    "app_uninstalled": _as_is("app_uninstalled"),
}


def envelope(workspace: Workspace, event: Event) -> Json:
    """The outer payload. The event gets its `event_id` here, the same for all its deliveries."""
    enterprise = {"enterprise_id": workspace.enterprise_id} if workspace.enterprise_id else {}
    channel = event.payload.get("channel")
    channel_id = channel if isinstance(channel, str) else ""
    where = workspace.channels.get(channel_id)
    return {
        "token": "verification-token",
        "team_id": workspace.team_id,
        "context_team_id": workspace.team_id,
        "context_enterprise_id": workspace.enterprise_id,
        "api_app_id": workspace.app_id,
        "event": event.payload,
        "type": "event_callback",
        "event_id": workspace.new_id(f"Ev{workspace.team_id}"),  # unique over all workspaces
        "event_time": int(workspace.clock.now()),
        "authorizations": [(where and where.authorization) or authorization(workspace)],
        "is_ext_shared_channel": bool(where and where.is_ext_shared),
        "event_context": f"4-{event.payload['type']}-{workspace.team_id}-{channel_id}",
    } | enterprise


def authorization(workspace: Workspace) -> Json:
    """The installation of the app in a workspace, as events name it."""
    return {
        "enterprise_id": workspace.enterprise_id,
        "team_id": workspace.team_id,
        "user_id": workspace.bot.id,
        "is_bot": True,
        "is_enterprise_install": workspace.org_install,
    }
