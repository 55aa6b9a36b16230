"""assistant.threads.* and agents.sessions.*."""

from local_slack.api.methods.call import Call, Method
from local_slack.workspace import agents
from local_slack.workspace.errors import SlackError, invalid_arguments
from local_slack.workspace.model import Channel, Json

MAX_LOADING_MESSAGES = 10
MAX_PROMPTS = 4
MAX_TITLE = 200


def _thread(call: Call) -> tuple[Channel, str]:
    channel = call.visible_channel("channel_id")
    thread_ts = call.args.get("thread_ts") or ""
    root = call.workspace.find_message(channel.id, thread_ts)
    if root is None or root.is_reply:
        raise SlackError("invalid_thread_ts")
    return channel, thread_ts


def set_status(call: Call) -> Json:
    channel, thread_ts = _thread(call)
    status = call.args.get("status")
    if status is None:
        raise invalid_arguments("missing required field: status")
    loading = call.args.json("loading_messages") or []
    if not isinstance(loading, list) or len(loading) > MAX_LOADING_MESSAGES:
        raise invalid_arguments("`loading_messages`: no more than 10 items allowed")
    if not all(isinstance(text, str) and 0 < len(text) <= 50 for text in loading):
        raise invalid_arguments("`loading_messages`: 1 to 50 characters")
    agents.set_status(call.workspace, channel.id, thread_ts, status, loading)
    return {}


def set_title(call: Call) -> Json:
    channel, thread_ts = _thread(call)
    agents.set_title(call.workspace, channel.id, thread_ts, call.args.require("title"))
    return {}


def set_suggested_prompts(call: Call) -> Json:
    channel = call.visible_channel("channel_id")
    thread_ts = call.args.get("thread_ts") or ""
    if thread_ts:
        _thread(call)
    prompts = call.args.objects("prompts", "invalid_arguments")
    # Slack shows four; its behaviour with more is not documented.
    if not prompts or len(prompts) > MAX_PROMPTS:
        raise invalid_arguments("`prompts`: 1 to 4 items")
    if not all(prompt.get("title") and prompt.get("message") for prompt in prompts):
        raise invalid_arguments("`prompts`: title and message are required")
    thread = agents.agent_thread(call.workspace, channel.id, thread_ts)
    thread.prompts, thread.prompts_title = prompts, call.args.get("title") or ""
    agents.publish(call.workspace, thread)
    return {}


def set_session_status(call: Call) -> Json:
    channel = call.visible_channel("channel_id")
    if call.bot_id not in channel.members:
        raise SlackError("not_authorized")
    if not call.args.get("thread_ts"):
        raise SlackError("thread_ts_required")
    _, thread_ts = _thread(call)
    title = call.args.get("title") or ""
    if len(title) > MAX_TITLE:
        raise invalid_arguments("`title`: 1 to 200 characters")
    initiator = call.args.get("initiator_user_id")
    if initiator and initiator not in channel.members:
        raise SlackError("user_not_found")
    if any(call.args.get(name) for name in ("icon_emoji", "icon_url", "username")):
        call.demand_scope("chat:write.customize")
    status = call.args.require("status")
    if status not in agents.SESSION_STATUSES:
        raise invalid_arguments("must be a valid enum value [json-pointer:/status]")
    agents.agent_thread(call.workspace, channel.id, thread_ts).status = ""
    session = agents.set_session(
        call.workspace, channel.id, thread_ts, status, title=title, initiator=initiator
    )
    if call.events is not None and "agent_session_stopped" not in call.events:
        call.warnings.append("missing_agent_session_stopped_event_subscription")
    return {"status": session.status, "agent_status": session.status, "title": session.title}


def rename_session(call: Call) -> Json:
    channel = call.visible_channel("channel_id")
    thread_ts = call.args.get("thread_ts")
    if not thread_ts:
        raise SlackError("thread_ts_required")
    title = call.args.get("title") or ""
    if not 0 < len(title) <= MAX_TITLE:
        raise invalid_arguments("`title`: 1 to 200 characters")
    thread = call.workspace.agent_threads.get((channel.id, thread_ts))
    if thread is None or thread.session is None:
        raise SlackError("session_not_found")
    thread.session.title = title
    agents.publish(call.workspace, thread)
    return {"title": title}


METHODS = {
    "assistant.threads.setStatus": Method(set_status, "special", ("chat:write", "assistant:write")),
    "assistant.threads.setTitle": Method(set_title, 4, ("assistant:write",)),
    "assistant.threads.setSuggestedPrompts": Method(set_suggested_prompts, 4, ("assistant:write",)),
    "agents.sessions.setStatus": Method(set_session_status, 3, ("chat:write",)),
    "agents.sessions.rename": Method(rename_session, 3, ("chat:write",)),
}
