"""The data of a workspace, with look-ups. The rules of changes are in `Workspace`."""

import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from local_slack.workspace.clock import Clock
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import AgentThread, Channel, File, Json, Message, User, View


@dataclass
class State:
    """One team with one app installed in it. All ids look like Slack's."""

    team_id: str = "T0PLAYGRND"
    team_name: str = "Local Slack"
    domain: str = "local-slack"
    app_id: str = "A0PLAYGRND"
    manifest: Json = field(default_factory=dict)
    """The app's manifest; empty if none was given."""
    enterprise_id: str | None = None
    """The Enterprise organization that the workspace belongs to."""
    org_install: bool = False
    """The app is installed in the whole organization, not in the workspace alone."""
    clock: Clock = field(default_factory=Clock)
    files_url: str = "http://127.0.0.1"
    users: dict[str, User] = field(default_factory=dict)
    user_groups: dict[str, str] = field(default_factory=dict)
    """The handles of user groups by id."""
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[str, dict[str, Message]] = field(default_factory=dict)
    ephemerals: list[Message] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    messages_tab: bool = True
    agent_threads: dict[tuple[str, str], AgentThread] = field(default_factory=dict)
    contexts: dict[str, list[Json]] = field(default_factory=dict)
    searches: bool = False
    """Whether the workspace has the search for apps; then events carry tokens for it."""
    action_tokens: dict[str, float] = field(default_factory=dict)
    """Tokens for the search, with the time until which they are valid."""

    def __post_init__(self) -> None:
        self.created = int(self.clock.now())
        self.counter = itertools.count(1)
        self.streaming: dict[tuple[str, str], Message] = {}
        self.agents_expire_at = 0.0
        """No status line and no session ends before this time."""
        self._replies: dict[tuple[str, str], list[str]] = defaultdict(list)

    @property
    def url(self) -> str:
        return f"https://{self.domain}.slack.com/"

    @property
    def bot(self) -> User:
        """The bot user of the app under test."""
        return next(user for user in self.users.values() if user.app_id == self.app_id)

    def new_id(self, prefix: str) -> str:
        """A new unique id, such as "C000000001X"."""
        return f"{prefix}{next(self.counter):09d}X"

    def find_user(self, reference: str) -> User | None:
        """By id or by name, with or without "@"."""
        if reference in self.users:
            return self.users[reference]
        name = reference.removeprefix("@")
        return next((user for user in self.users.values() if user.name == name), None)

    def get_user(self, reference: str) -> User:
        user = self.find_user(reference)
        if user is None:
            raise SlackError("user_not_found")
        return user

    def find_channel(self, reference: str) -> Channel | None:
        """By id, or by name with or without "#"."""
        if reference in self.channels:
            return self.channels[reference]
        name = reference.removeprefix("#")
        named = (c for c in self.channels.values() if c.name == name and c.type != "im")
        return next(named, None)

    def get_channel(self, channel_id: str) -> Channel:
        channel = self.channels.get(channel_id)
        if channel is None:
            raise SlackError("channel_not_found")
        return channel

    def find_message(self, channel_id: str, ts: str) -> Message | None:
        return self.messages.get(channel_id, {}).get(ts)

    def get_message(self, channel_id: str, ts: str) -> Message:
        message = self.find_message(channel_id, ts)
        if message is None or message.subtype == "tombstone":
            raise SlackError("message_not_found")
        return message

    def replies(self, channel_id: str, root_ts: str) -> list[Message]:
        """The replies of a thread in order, without its root."""
        stored = self.messages.get(channel_id, {})
        return [stored[ts] for ts in self._replies.get((channel_id, root_ts), ()) if ts in stored]

    def thread(self, channel_id: str, root_ts: str) -> list[Message]:
        """The root and its replies, in order."""
        root = self.find_message(channel_id, root_ts)
        return ([root] if root else []) + self.replies(channel_id, root_ts)

    def share_messages(self, other: "State", channel: Channel) -> None:
        """Have the messages of a channel in common with another workspace; ids must be distinct."""
        self.messages[channel.id] = other.messages.setdefault(channel.id, {})
        other._replies.update(self._replies)
        self._replies = other._replies

    def index(self, message: Message) -> None:
        """Store a message without publishing it."""
        self.messages.setdefault(message.channel_id, {})[message.ts] = message
        if message.is_reply:
            self._replies[message.channel_id, message.root_ts].append(message.ts)
        if message.stream is not None and message.stream.state == "streaming":
            self.streaming[message.channel_id, message.ts] = message
