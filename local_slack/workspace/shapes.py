"""Users, channels, files, messages and views in the JSON shapes that Slack gives them."""

from local_slack.workspace.clock import parse_ts
from local_slack.workspace.model import Channel, ChannelType, File, Json, Message, User, View
from local_slack.workspace.state import State

PRETTY_TYPES = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "pdf": "PDF", "txt": "Plain Text"}


def user_json(state: State, user: User) -> Json:
    shape: Json = {
        "id": user.id,
        "team_id": user.team_id or state.team_id,
        "name": user.name,
        "deleted": user.deleted,
        "real_name": user.real_name or user.name,
        "tz": user.tz,
        "tz_label": user.tz,
        "tz_offset": 0,
        "profile": {
            "real_name": user.real_name or user.name,
            "display_name": user.name,
            "team": user.team_id or state.team_id,
        },
        "is_admin": user.is_admin,
        "is_owner": False,
        "is_primary_owner": False,
        "is_restricted": user.is_guest,
        "is_ultra_restricted": False,
        "is_bot": user.is_bot,
        "is_app_user": False,
        "updated": state.created,
    }
    if user.bot_id:
        shape["profile"] |= {"bot_id": user.bot_id, "api_app_id": user.app_id}
    elsewhere = bool(user.team_id) and user.team_id != state.team_id
    if elsewhere if user.is_stranger is None else user.is_stranger:
        shape["is_stranger"] = True
    if user.enterprise_id:
        shape["enterprise_user"] = _enterprise_user_json(user)
    return shape


def _enterprise_user_json(user: User) -> Json:
    return {
        "id": user.id,
        "enterprise_id": user.enterprise_id,
        "enterprise_name": "Local Enterprise",
        "is_admin": False,
        "is_owner": False,
        "is_primary_owner": False,
        "teams": list(user.enterprise_teams),
    }


def channel_json(state: State, channel: Channel) -> Json:
    shape: Json = {
        "id": channel.id,
        "created": channel.created,
        "is_archived": channel.archived,
        "is_im": channel.type == "im",
        "is_org_shared": False,
    }
    bot = state.bot.id
    if channel.type == "im":
        others = [member for member in channel.members if member != bot]
        return shape | {"user": others[0] if others else bot, "is_user_deleted": False}
    return shape | {
        "name": channel.name,
        "name_normalized": channel.name,
        "is_channel": channel.type == "channel",
        "is_group": channel.type == "group",
        "is_mpim": channel.type == "mpim",
        "is_private": channel.type != "channel",
        "is_general": channel.name == "general",
        "is_member": bot in channel.members,
        "is_shared": channel.is_ext_shared,
        "is_ext_shared": channel.is_ext_shared,
        **({"connected_team_ids": channel.connected} if channel.connected else {}),
        "creator": channel.creator,
        "unlinked": 0,
        "topic": {"value": channel.topic, "creator": "", "last_set": 0},
        "purpose": {"value": channel.purpose, "creator": "", "last_set": 0},
        "previous_names": [],
        "num_members": len(channel.members),
    }


def file_json(state: State, file: File) -> Json:
    filetype = file.name.rpartition(".")[2].lower() if "." in file.name else "text"
    path = f"{state.team_id}-{file.id}"
    shape: Json = {
        "id": file.id,
        "created": file.created,
        "timestamp": file.created,
        "name": file.name,
        "title": file.title,
        "mimetype": file.mimetype,
        "filetype": filetype,
        "pretty_type": PRETTY_TYPES.get(filetype, filetype.upper()),
        "user": file.user_id,
        "user_team": state.team_id,
        "editable": False,
        "size": len(file.content),
        "mode": "hosted",
        "is_external": False,
        "external_type": "",
        "is_public": bool(_shared_in(state, file, "channel")),
        "channels": _shared_in(state, file, "channel"),
        "groups": _shared_in(state, file, "group", "mpim"),
        "ims": _shared_in(state, file, "im"),
        "public_url_shared": False,
        "display_as_bot": False,
        "username": "",
        "url_private": f"{state.files_url}/files-pri/{path}/{file.name}",
        "url_private_download": f"{state.files_url}/files-pri/{path}/download/{file.name}",
        "permalink": f"{state.url}files/{file.user_id}/{file.id}/{file.name}",
        "is_starred": False,
        "has_rich_preview": False,
        "file_access": "visible",
    }
    if file.transcription is not None:
        shape["transcription"] = file.transcription
    if file.alt_txt:
        shape["alt_txt"] = file.alt_txt
    return shape


def _shared_in(state: State, file: File, *types: ChannelType) -> list[str]:
    """The channels of these types that show a file."""
    ids = dict.fromkeys(channel_id for channel_id, _ in file.shares)
    return [id for id in ids if id in state.channels and state.channels[id].type in types]


def bot_profile_json(state: State, user: User) -> Json:
    return {
        "id": user.bot_id,
        "deleted": False,
        "name": user.real_name or user.name,
        "updated": state.created,
        "app_id": user.app_id,
        "user_id": user.id,
        "icons": {},
        "team_id": state.team_id,
    }


def message_json(state: State, message: Message, *, metadata: bool = True) -> Json:
    """The message as history and events show it; `metadata` leaves out the app's own marker."""
    user = state.users.get(message.user_id)
    shape: Json = {
        "type": "message",
        "user": message.user_id,
        "ts": message.ts,
        "text": message.text,
        "team": state.team_id,
    }
    optional = {
        "subtype": message.subtype,
        "client_msg_id": message.client_msg_id,
        "thread_ts": message.thread_ts,
        "bot_id": message.bot_id,
        "app_id": message.app_id,
        "username": message.username,
        "blocks": message.blocks,
        "attachments": message.attachments,
        "edited": message.edited,
        "inviter": message.inviter,
        "metadata": message.metadata if metadata else None,
    }
    shape |= {key: value for key, value in optional.items() if value}
    if user is not None and user.team_id:
        shape |= {"user_team": user.team_id, "source_team": user.team_id}
    if message.bot_id and user is not None:
        shape["bot_profile"] = bot_profile_json(state, user)
    if session := _session_json(state, message):
        shape["agent_session"] = session
    if message.file_ids:
        files = (state.files.get(file_id) for file_id in message.file_ids)
        shape["files"] = [file_json(state, file) for file in files if file]
        shape |= {"upload": False, "display_as_bot": False}
    if message.icon_emoji:
        shape["icons"] = {"emoji": message.icon_emoji}
    if message.reactions:
        shape["reactions"] = [
            {"name": name, "users": list(users), "count": len(users)}
            for name, users in message.reactions.items()
        ]
    if message.visible_to:
        shape["is_ephemeral"] = True
    return shape | _thread_fields(state, message)


def _session_json(state: State, message: Message) -> Json | None:
    """The agent session of a thread, which Slack shows on its root."""
    thread = state.agent_threads.get((message.channel_id, message.ts))
    if thread is None or thread.session is None:
        return None
    session, bot = thread.session, state.bot.id
    expires = {}
    if session.status == "processing":
        expires = {"date_status_processing_expire": int(session.processing_until)}
    own = {"agent_bot_user_id": bot, "status": session.status, "is_stoppable": True, **expires}
    return {
        "title": session.title,
        "status": session.status,
        "agent_bot_user_ids": [bot],
        "agent_statuses": [own],
        **expires,
    }


def _thread_fields(state: State, message: Message) -> Json:
    if message.is_reply:
        root = state.find_message(message.channel_id, message.root_ts)
        return {"parent_user_id": root.user_id} if root else {}
    replies = state.replies(message.channel_id, message.ts)
    if not replies:
        return {}
    authors = list(dict.fromkeys(reply.user_id for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users_count": len(authors),
        "latest_reply": replies[-1].ts,
        "reply_users": authors[:5],
        "is_locked": False,
        "subscribed": state.bot.id in authors,
    }


def view_json(state: State, view: View) -> Json:
    return {
        "id": view.id,
        "team_id": state.team_id,
        "private_metadata": "",
        "callback_id": "",
        "external_id": "",
        "title": None,
        "close": None,
        "submit": None,
        "clear_on_close": False,
        "notify_on_close": False,
        **view.payload,
        "state": {"values": view.values},
        "hash": view.hash,
        "root_view_id": view.root_view_id,
        "previous_view_id": view.previous_view_id,
        "app_id": state.app_id,
        "app_installed_team_id": state.team_id,
        "bot_id": state.bot.bot_id,
    }


def permalink(state: State, message: Message) -> str:
    link = f"{state.url}archives/{message.channel_id}/p{parse_ts(message.ts)}"
    if message.is_reply:
        link += f"?thread_ts={message.root_ts}&cid={message.channel_id}"
    return link
