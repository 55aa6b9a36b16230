"""conversations.* and users.conversations."""

from local_slack.api.methods.call import CHANNEL_SCOPES, Call, Method
from local_slack.api.methods.paging import has_more, page
from local_slack.workspace.clock import parse_ts
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, ChannelType, Json, Message
from local_slack.workspace.shapes import channel_json, message_json

TYPES: dict[str, ChannelType] = {
    "public_channel": "channel",
    "private_channel": "group",
    "im": "im",
    "mpim": "mpim",
}
READ = tuple(f"{name}:read" for name in CHANNEL_SCOPES.values())
HISTORY = tuple(f"{name}:history" for name in CHANNEL_SCOPES.values())


def info(call: Call) -> Json:
    channel = call.visible_channel()
    call.demand_channel_scope(channel, "read")
    return {"channel": channel_json(call.workspace, channel)}


def list_(call: Call) -> Json:
    return _listed(call, call.bot_id, only_member=False)


def users_conversations(call: Call) -> Json:
    return _listed(call, call.args.get("user") or call.bot_id, only_member=True)


def _listed(call: Call, user_id: str, *, only_member: bool) -> Json:
    wanted = _types(call)
    found = [
        channel_json(call.workspace, channel)
        for channel in call.workspace.channels.values()
        if channel.type in wanted
        and not (call.args.flag("exclude_archived") and channel.archived)
        and (user_id in channel.members or (channel.type == "channel" and not only_member))
        and (call.bot_id in channel.members or channel.type == "channel")
    ]
    chosen, metadata = page(found, call.args)
    return {"channels": chosen} | metadata


def _types(call: Call) -> set[ChannelType]:
    names = (call.args.get("types") or "public_channel").split(",")
    wanted: set[ChannelType] = set()
    for name in names:
        kind = TYPES.get(name.strip())
        if kind is None:
            raise SlackError("invalid_types")
        call.demand_scope(f"{CHANNEL_SCOPES[kind]}:read")
        wanted.add(kind)
    return wanted


def members(call: Call) -> Json:
    channel = call.visible_channel()
    call.demand_channel_scope(channel, "read")
    chosen, metadata = page(channel.members, call.args)
    return {"members": chosen} | metadata


def history(call: Call) -> Json:
    channel = _readable(call)
    stored = call.workspace.messages[channel.id].values()
    roots = [m for m in stored if not m.is_reply or m.subtype == "thread_broadcast"]
    chosen, metadata = page(_within(call, roots)[::-1], call.args)
    return _shown(call, chosen) | {"has_more": has_more(metadata), "pin_count": 0} | metadata


def replies(call: Call) -> Json:
    channel = _readable(call)
    ts = call.args.get("ts") or ""
    message = call.workspace.find_message(channel.id, ts)
    if message is None:
        raise SlackError("thread_not_found")
    # The ts of a reply gives only that reply, as in Slack.
    thread = [message] if message.is_reply else call.workspace.thread(channel.id, ts)
    root, rest = thread[:1], thread[1:]
    within = _within(call, rest)
    chosen, metadata = page(within, call.args)
    # Slack always shows the root, whatever oldest and latest say.
    return _shown(call, root + chosen) | {"has_more": has_more(metadata)} | metadata


def _readable(call: Call) -> Channel:
    channel = call.own_channel()
    call.demand_channel_scope(channel, "history")
    return channel


def _within(call: Call, messages: list[Message]) -> list[Message]:
    oldest = _bound(call, "oldest", 0)
    latest = _bound(call, "latest", 2**63)
    inclusive = call.args.flag("inclusive")
    return [
        message
        for message in messages
        if oldest < parse_ts(message.ts) < latest
        or (inclusive and parse_ts(message.ts) in (oldest, latest))
    ]


def _bound(call: Call, name: str, default: int) -> int:
    value = call.args.get(name)
    if not value or value == "0":
        return default
    try:
        # Slack takes "1712345678" and "1712345678.000100" alike here.
        return parse_ts(value if "." in value else f"{value}.000000")
    except ValueError:
        raise SlackError(f"invalid_ts_{name}") from None


def _shown(call: Call, messages: list[Message]) -> Json:
    metadata = call.args.flag("include_all_metadata")
    return {"messages": [message_json(call.workspace, m, metadata=metadata) for m in messages]}


def open_(call: Call) -> Json:
    workspace = call.workspace
    if call.args.get("channel"):
        channel, already = call.visible_channel(), True
    else:
        ids = [name.strip() for name in (call.args.get("users") or "").split(",") if name.strip()]
        if not ids:
            raise SlackError("users_list_not_supplied")
        if len(ids) > 8:
            raise SlackError("too_many_users")
        if any(name not in workspace.users for name in ids):
            raise SlackError("user_not_found")
        call.demand_scope("im:write" if len(ids) == 1 else "mpim:write")
        channel, already = workspace.open_dm([*ids, call.bot_id])
    shape = channel_json(workspace, channel) if call.args.flag("return_im") else {"id": channel.id}
    return {"channel": shape} | ({"no_op": True, "already_open": True} if already else {})


def join(call: Call) -> Json:
    channel = call.visible_channel()
    if channel.type != "channel":
        raise SlackError("method_not_supported_for_channel_type")
    if channel.archived:
        raise SlackError("is_archived")
    if call.bot_id in channel.members:
        call.warnings.append("already_in_channel")
    call.workspace.join(channel, call.bot_id)
    return {"channel": channel_json(call.workspace, channel)}


METHODS = {
    "conversations.info": Method(info, 3, READ),
    "conversations.list": Method(list_, 2, READ),
    "users.conversations": Method(users_conversations, 3, READ),
    "conversations.members": Method(members, 4, READ),
    "conversations.history": Method(history, 3, HISTORY),
    "conversations.replies": Method(replies, 3, HISTORY),
    "conversations.open": Method(open_, 3, ("im:write", "mpim:write")),
    "conversations.join": Method(join, 3, ("channels:join",)),
}
