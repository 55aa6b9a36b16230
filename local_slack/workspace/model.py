"""The objects of a workspace: users, channels, messages, files, views, agent threads."""

from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
ChannelType = Literal["channel", "group", "im", "mpim"]
StreamState = Literal["streaming", "stopped", "stopped_by_user", "expired"]


@dataclass
class User:
    """A person, a guest, another bot, or the app's own bot user (the one with our `bot_id`)."""

    id: str
    name: str
    real_name: str = ""
    tz: str = "Europe/Amsterdam"
    is_admin: bool = False
    is_guest: bool = False
    is_bot: bool = False
    bot_id: str | None = None
    app_id: str | None = None
    deleted: bool = False
    team_id: str | None = None
    """The user's own workspace, if it is another one."""
    is_stranger: bool | None = None
    """Slack does not always report it. None: true for users of other workspaces."""
    enterprise_id: str | None = None
    """The Enterprise organization of the user, who is a member of `enterprise_teams`."""
    enterprise_teams: list[str] = field(default_factory=list)


@dataclass
class Channel:
    """A channel of one of Slack's four kinds; `members` are user ids."""

    id: str
    type: ChannelType
    name: str = ""
    members: list[str] = field(default_factory=list)
    creator: str = ""
    created: int = 0
    archived: bool = False
    topic: str = ""
    purpose: str = ""
    is_ext_shared: bool = False
    connected: list[str] = field(default_factory=list)
    """The workspaces of a Slack Connect channel."""
    authorization: Json | None = None
    """The installation in whose name Slack sends the channel's events: the one that joined last."""


@dataclass
class Stream:
    """The state of a streamed message; `length` counts all characters sent so far."""

    started_at: float
    state: StreamState = "streaming"
    length: int = 0
    recipient_user_id: str | None = None
    task_display_mode: str = "timeline"
    chunk_blocks: list[Json] = field(default_factory=list)
    final_blocks: list[Json] = field(default_factory=list)


@dataclass
class Message:
    """One message. `visible_to` makes it ephemeral; `deleted` makes it the tombstone of a
    thread."""

    channel_id: str
    ts: str
    user_id: str
    text: str
    thread_ts: str | None = None
    subtype: str | None = None
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    file_ids: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    edited: Json | None = None
    bot_id: str | None = None
    app_id: str | None = None
    username: str | None = None
    icon_emoji: str | None = None
    client_msg_id: str | None = None
    inviter: str | None = None
    visible_to: str | None = None
    stream: Stream | None = None

    @property
    def root_ts(self) -> str:
        """The `thread_ts` of a reply to this message."""
        return self.thread_ts or self.ts

    @property
    def is_reply(self) -> bool:
        return self.thread_ts is not None and self.thread_ts != self.ts


@dataclass
class File:
    """An uploaded file with its bytes; `shares` are the (channel, ts) that show it."""

    id: str
    name: str
    title: str
    mimetype: str
    user_id: str
    created: int
    content: bytes = b""
    alt_txt: str = ""
    length: int = 0
    complete: bool = False
    upload_ticket: str | None = None
    transcription: Json | None = None
    shares: list[list[str]] = field(default_factory=list)


@dataclass
class View:
    """A modal or an App Home as the app sent it, plus the person's input."""

    id: str
    user_id: str
    payload: Json
    hash: str
    root_view_id: str
    previous_view_id: str | None = None
    open: bool = True
    values: Json = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)


@dataclass
class AgentSession:
    """An agent session and its row in the person's list."""

    status: str
    title: str
    initiator_user_id: str | None = None
    processing_until: float = 0.0
    """When `processing` turns into `active` by itself."""


@dataclass
class AgentThread:
    """The agent's side of one thread: status line, title, prompts, session."""

    channel_id: str
    thread_ts: str
    status: str = ""
    loading_messages: list[str] = field(default_factory=list)
    status_until: float = 0.0
    title: str = ""
    prompts: list[Json] = field(default_factory=list)
    prompts_title: str = ""
    session: AgentSession | None = None
