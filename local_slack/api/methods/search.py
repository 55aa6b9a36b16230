"""assistant.search.context: the search of the workspace for apps."""

from local_slack.api.methods.call import Call, Method
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Json, Message

MOST = 20


def context(call: Call) -> Json:
    """Messages of public channels that hold a word of the query, the newest first."""
    workspace = call.workspace
    if not workspace.searches:
        raise SlackError("feature_not_enabled")
    words = call.args.require("query").lower().split()
    if workspace.action_tokens.get(call.args.require("action_token"), 0.0) < workspace.clock.now():
        raise SlackError("invalid_action_token")
    limit = min(call.args.integer("limit", MOST), MOST)
    found = [
        (channel, message)
        for channel in workspace.channels.values()
        if channel.type == "channel"
        for message in workspace.messages[channel.id].values()
        if message.subtype is None and any(word in message.text.lower() for word in words)
    ]
    found.sort(key=lambda each: float(each[1].ts), reverse=True)
    messages = [_result(call, channel, message) for channel, message in found[:limit]]
    return {"results": {"messages": messages, "files": [], "channels": []}}


def _result(call: Call, channel: Channel, message: Message) -> Json:
    author = call.workspace.users.get(message.user_id)
    return {
        "author_name": author.real_name or author.name if author else "",
        "author_user_id": message.user_id,
        "team_id": call.workspace.team_id,
        "channel_id": channel.id,
        "channel_name": channel.name,
        "message_ts": message.ts,
        "content": message.text,
        "is_author_bot": bool(message.bot_id),
        "permalink": f"{call.workspace.url}archives/{channel.id}/p{message.ts.replace('.', '')}",
    }


METHODS = {"assistant.search.context": Method(context, "special", ("search:read.public",))}
