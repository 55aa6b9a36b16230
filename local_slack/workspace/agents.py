"""The agent's side of a thread: status line, suggested prompts, title, session."""

import math

from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import AgentSession, AgentThread, Json
from local_slack.workspace.workspace import Workspace

STATUS_SECONDS = 120.0
PROCESSING_SECONDS = 3600.0
SESSION_STATUSES = ("active", "processing", "suspended", "closed")


def agent_thread(workspace: Workspace, channel_id: str, thread_ts: str) -> AgentThread:
    """The agent's side of a thread; "" means the top level of a DM."""
    key = (channel_id, thread_ts)
    if key not in workspace.agent_threads:
        workspace.agent_threads[key] = AgentThread(channel_id, thread_ts)
    return workspace.agent_threads[key]


def thread_json(thread: AgentThread) -> Json:
    session = thread.session
    return {
        "channel_id": thread.channel_id,
        "thread_ts": thread.thread_ts,
        "status": thread.status,
        "loading_messages": list(thread.loading_messages),
        "title": thread.title,
        "prompts": list(thread.prompts),
        "prompts_title": thread.prompts_title,
        "session": vars(session).copy() if session else None,
    }


def publish(workspace: Workspace, thread: AgentThread) -> None:
    workspace.changes.publish("agent_thread", **thread_json(thread))


def set_status(
    workspace: Workspace, channel_id: str, thread_ts: str, status: str, loading: list[str]
) -> None:
    """Show a status line for two minutes, or clear it with "".

    The line is in the same place as the session's own row. It makes the session `processing`,
    and its end makes it `active`.
    """
    thread = agent_thread(workspace, channel_id, thread_ts)
    thread.status, thread.loading_messages = status, loading if status else []
    thread.status_until = workspace.clock.now() + STATUS_SECONDS
    workspace.agents_expire_at = min(workspace.agents_expire_at, thread.status_until)
    if status or thread.session:
        set_session(workspace, channel_id, thread_ts, "processing" if status else "active")
    publish(workspace, thread)


def set_title(workspace: Workspace, channel_id: str, thread_ts: str, title: str) -> None:
    """Set the title of a thread, and of its session."""
    thread = agent_thread(workspace, channel_id, thread_ts)
    thread.title = title
    if thread.session:
        thread.session.title = title
    publish(workspace, thread)


def clear_status(workspace: Workspace, channel_id: str, thread_ts: str | None) -> None:
    """The side effects of a post by the app."""
    thread = workspace.agent_threads.get((channel_id, thread_ts or ""))
    if thread is not None and thread.status:
        set_status(workspace, channel_id, thread.thread_ts, "", [])


def expire_agents(workspace: Workspace) -> None:
    """End the status lines and sessions whose time is over."""
    if workspace.clock.now() < workspace.agents_expire_at:
        return
    _expire_statuses(workspace)
    _expire_sessions(workspace)
    threads = workspace.agent_threads.values()
    workspace.agents_expire_at = min(map(_end_of, threads), default=math.inf)


def _end_of(thread: AgentThread) -> float:
    """When the next thing of a thread ends."""
    status = thread.status_until if thread.status else math.inf
    session = thread.session
    is_processing = session is not None and session.status == "processing"
    return min(status, session.processing_until if session and is_processing else math.inf)


def _expire_statuses(workspace: Workspace) -> None:
    now = workspace.clock.now()
    for thread in tuple(workspace.agent_threads.values()):
        if thread.status and now >= thread.status_until:
            set_status(workspace, thread.channel_id, thread.thread_ts, "", [])


def _expire_sessions(workspace: Workspace) -> None:
    """End `processing` after an hour, as Slack does."""
    now = workspace.clock.now()
    for thread in tuple(workspace.agent_threads.values()):
        session = thread.session
        if session and session.status == "processing" and now >= session.processing_until:
            session.status = "active"
            publish(workspace, thread)


def set_session(
    workspace: Workspace,
    channel_id: str,
    thread_ts: str,
    status: str,
    *,
    title: str = "",
    initiator: str | None = None,
) -> AgentSession:
    """Set the status of a session and start it if needed; the title is used only at the start."""
    if status not in SESSION_STATUSES:
        raise SlackError("invalid_status")
    thread = agent_thread(workspace, channel_id, thread_ts)
    if thread.session is None:
        thread.session = AgentSession(status, title, initiator)
    thread.session.status = status
    thread.session.processing_until = workspace.clock.now() + PROCESSING_SECONDS
    ends = thread.session.processing_until
    workspace.agents_expire_at = min(workspace.agents_expire_at, ends)
    publish(workspace, thread)
    return thread.session
