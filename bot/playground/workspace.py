"""The state of one workspace and the rules of its messages: who may post what, and where.

Every mutation is told to `changes`. What agents, streams, views and files add is in the
modules of those names; they work on the same state.
"""

import copy
import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from bot.playground.changes import Changes
from bot.playground.clock import Clock, parse_ts
from bot.playground.errors import SlackError
from bot.playground.model import AgentThread, Channel, ChannelType, File, Json, Message, User, View
from bot.playground.shapes import channel_json, message_json

ID_PREFIX: dict[ChannelType, str] = {"channel": "C", "group": "C", "im": "D", "mpim": "C"}
# Slack tells the deletion of a root with replies as a change into this.
TOMBSTONE: Json = {
    "subtype": "tombstone",
    "text": "This message was deleted.",
    "user_id": "USLACKBOT",
    "blocks": [],
    "attachments": [],
    "file_ids": [],
    "reactions": {},
    "metadata": None,
    "edited": None,
    "bot_id": None,
    "app_id": None,
    "client_msg_id": None,
}


@dataclass
class Workspace:
    """One team with one app installed in it. All ids are Slack's kind of ids."""

    team_id: str = "T0PLAYGRND"
    team_name: str = "Playground"
    domain: str = "playground"
    app_id: str = "A0PLAYGRND"
    clock: Clock = field(default_factory=Clock)
    changes: Changes = field(default_factory=Changes)
    files_url: str = "http://127.0.0.1"
    users: dict[str, User] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    messages: dict[str, dict[str, Message]] = field(default_factory=dict)
    ephemerals: list[Message] = field(default_factory=list)
    files: dict[str, File] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)
    messages_tab: bool = True
    agent_threads: dict[tuple[str, str], AgentThread] = field(default_factory=dict)
    contexts: dict[str, list[Json]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.created = int(self.clock.now())
        self.counter = itertools.count(1)
        self.streaming: dict[tuple[str, str], Message] = {}
        self._replies: dict[tuple[str, str], list[str]] = defaultdict(list)

    @property
    def url(self) -> str:
        return f"https://{self.domain}.slack.com/"

    @property
    def bot(self) -> User:
        """The bot user of the app under test."""
        return next(user for user in self.users.values() if user.app_id == self.app_id)

    def new_id(self, prefix: str) -> str:
        """An id that no other object of this workspace has, such as "C000000001X"."""
        return f"{prefix}{next(self.counter):09d}X"

    # Users and channels

    def add_user(self, user: User) -> User:
        self.users[user.id] = user
        return user

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

    def add_channel(self, channel: Channel) -> Channel:
        channel.created = channel.created or int(self.clock.now())
        self.channels[channel.id] = channel
        self.messages.setdefault(channel.id, {})
        self.changes.publish("channel_created", channel=channel_json(self, channel))
        return channel

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

    def open_dm(self, user_ids: list[str]) -> tuple[Channel, bool]:
        """The DM or group DM of exactly these users, and whether it had been open already."""
        members = sorted(set(user_ids))
        for channel in self.channels.values():
            if channel.type in ("im", "mpim") and sorted(channel.members) == members:
                return channel, True
        kind: ChannelType = "im" if len(members) <= 2 else "mpim"
        names = "--".join(self.users[member].name for member in members)
        name = "" if kind == "im" else f"mpdm-{names}-1"
        channel_id = self.new_id(ID_PREFIX[kind])
        return self.add_channel(Channel(channel_id, kind, name, members)), False

    def join(self, channel: Channel, user_id: str, inviter: str | None = None) -> None:
        """Make the user a member: a `channel_join` message and `member_joined_channel`."""
        if user_id in channel.members:
            return
        channel.members.append(user_id)
        self.changes.publish("member_joined", channel_id=channel.id, user=user_id, inviter=inviter)
        if channel.type in ("channel", "group"):
            subtype = "channel_join" if channel.type == "channel" else "group_join"
            text = f"<@{user_id}> has joined the channel"
            ts = self.clock.next_ts()
            self.put(Message(channel.id, ts, user_id, text, subtype=subtype, inviter=inviter))

    def leave(self, channel: Channel, user_id: str) -> None:
        if user_id in channel.members:
            channel.members.remove(user_id)
            self.changes.publish("member_left", channel_id=channel.id, user=user_id)

    # Messages

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

    def check_thread(self, channel_id: str, thread_ts: str | None) -> None:
        """Refuse a `thread_ts` that is no root.

        Slack is laxer: apps report posts to lost threads that appear in the channel instead.
        """
        if thread_ts is None:
            return
        root = self.find_message(channel_id, thread_ts)
        if root is None:
            raise SlackError("thread_not_found")
        if root.is_reply or root.subtype in ("channel_join", "group_join"):
            raise SlackError("cannot_reply_to_message")

    def put(self, message: Message) -> Message:
        """Store a new message and tell it; the checks are the caller's."""
        if message.visible_to is not None:
            self.ephemerals.append(message)
            self.changes.publish(
                "ephemeral_posted",
                channel_id=message.channel_id,
                visible_to=message.visible_to,
                message=message_json(self, message),
            )
            return message
        self.index(message)
        for file_id in message.file_ids:
            self.files[file_id].shares.append([message.channel_id, message.ts])
        self.changes.publish(
            "message_posted", channel_id=message.channel_id, message=message_json(self, message)
        )
        return message

    def index(self, message: Message) -> None:
        """Store a message where look-ups find it, silently."""
        self.messages.setdefault(message.channel_id, {})[message.ts] = message
        if message.is_reply:
            self._replies[message.channel_id, message.root_ts].append(message.ts)
        if message.stream is not None and message.stream.state == "streaming":
            self.streaming[message.channel_id, message.ts] = message

    def change(self, message: Message, *, edited_by: str | None = None, **fields: Any) -> None:
        """Set fields of a message; `edited_by` also marks it as edited."""
        previous = message_json(self, message)
        for name, value in fields.items():
            setattr(message, name, value)
        if edited_by is not None:
            message.edited = {"user": edited_by, "ts": f"{int(self.clock.now())}.000000"}
        self.changes.publish(
            "message_changed",
            channel_id=message.channel_id,
            message=message_json(self, message),
            previous_message=previous,
            event_ts=self.clock.next_ts(),
            streaming=(message.channel_id, message.ts) in self.streaming,
        )

    def delete(self, message: Message) -> None:
        """Remove a message. The root of a thread becomes a tombstone until its last reply goes."""
        self.streaming.pop((message.channel_id, message.ts), None)
        if self.replies(message.channel_id, message.ts):
            self.change(message, **copy.deepcopy(TOMBSTONE))
            return
        previous = message_json(self, message)
        del self.messages[message.channel_id][message.ts]
        self.changes.publish(
            "message_deleted",
            channel_id=message.channel_id,
            deleted_ts=message.ts,
            previous_message=previous,
            event_ts=self.clock.next_ts(),
        )
        root = self.find_message(message.channel_id, message.root_ts)
        if root is not None and root.subtype == "tombstone":
            self.delete(root)

    def react(self, message: Message, user_id: str, name: str) -> None:
        users = message.reactions.setdefault(name, [])
        if user_id in users:
            raise SlackError("already_reacted")
        if len(message.reactions) > 50:
            del message.reactions[name]
            raise SlackError("too_many_emoji")
        users.append(user_id)
        self._tell_reaction("reaction_added", message, user_id, name)

    def unreact(self, message: Message, user_id: str, name: str) -> None:
        users = message.reactions.get(name, [])
        if user_id not in users:
            raise SlackError("no_reaction")
        users.remove(user_id)
        if not users:
            del message.reactions[name]
        self._tell_reaction("reaction_removed", message, user_id, name)

    def _tell_reaction(self, kind: str, message: Message, user_id: str, name: str) -> None:
        fields: Json = {"user": user_id, "reaction": name, "item_user": message.user_id}
        item = {"type": "message", "channel": message.channel_id, "ts": message.ts}
        self.changes.publish(
            kind,
            channel_id=message.channel_id,
            event_ts=self.clock.next_ts(),
            item=item,
            **fields,
        )


def is_ts(value: str) -> bool:
    try:
        parse_ts(value)
    except ValueError:
        return False
    return True
