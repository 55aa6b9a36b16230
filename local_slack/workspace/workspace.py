"""Changes of a workspace: joining, posting, editing, deleting, reacting.

Every change is published to `changes`. Agents, streams, views and files are in the modules of those
names and work on the same state.
"""

import copy
from dataclasses import dataclass, field
from typing import Any

from local_slack.workspace.changes import ChangeFeed
from local_slack.workspace.errors import SlackError
from local_slack.workspace.expansion import MessageBounds
from local_slack.workspace.model import Channel, ChannelType, Json, Message, User
from local_slack.workspace.shapes import channel_json, message_json, user_json
from local_slack.workspace.state import State

ID_PREFIX: dict[ChannelType, str] = {"channel": "C", "group": "C", "im": "D", "mpim": "C"}
# Slack reports the deletion of a root with replies as a change to this.
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


ACTION_TOKEN_SECONDS = 300.0


@dataclass
class Workspace(State):
    """One team with one app installed in it, and its feed of changes."""

    changes: ChangeFeed = field(default_factory=ChangeFeed)
    strays: bool = False
    """Post a reply to a deleted thread into the channel, as some apps report."""
    bounds: MessageBounds = field(default_factory=MessageBounds)

    def issue_action_token(self) -> str:
        """A token with which the app may search for a few minutes."""
        token = self.new_id("action-")
        self.action_tokens[token] = self.clock.now() + ACTION_TOKEN_SECONDS
        return token

    # Users and channels

    def add_user(self, user: User) -> User:
        self.users[user.id] = user
        self.changes.publish("user_added", user=user_json(self, user))
        return user

    def add_channel(self, channel: Channel) -> Channel:
        channel.created = channel.created or int(self.clock.now())
        self.channels[channel.id] = channel
        self.messages.setdefault(channel.id, {})
        self.changes.publish("channel_created", channel=channel_json(self, channel))
        return channel

    def open_dm(self, user_ids: list[str]) -> tuple[Channel, bool]:
        """The DM or group DM of exactly these users, and whether it already existed."""
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

    def check_thread(self, channel_id: str, thread_ts: str | None) -> None:
        """Refuse a `thread_ts` that is not a root."""
        if thread_ts is None:
            return
        root = self.find_message(channel_id, thread_ts)
        if root is None:
            raise SlackError("thread_not_found")
        if root.is_reply or root.subtype in ("channel_join", "group_join"):
            raise SlackError("cannot_reply_to_message")

    def put(self, message: Message) -> Message:
        """Store and publish a new message; the caller has checked it."""
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
            "message_posted",
            channel_id=message.channel_id,
            message=message_json(self, message),
            streaming=(message.channel_id, message.ts) in self.streaming,
        )
        return message

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
        self._publish_reaction("reaction_added", message, user_id, name)

    def unreact(self, message: Message, user_id: str, name: str) -> None:
        users = message.reactions.get(name, [])
        if user_id not in users:
            raise SlackError("no_reaction")
        users.remove(user_id)
        if not users:
            del message.reactions[name]
        self._publish_reaction("reaction_removed", message, user_id, name)

    def _publish_reaction(self, kind: str, message: Message, user_id: str, name: str) -> None:
        fields: Json = {"user": user_id, "reaction": name, "item_user": message.user_id}
        item = {"type": "message", "channel": message.channel_id, "ts": message.ts}
        self.changes.publish(
            kind,
            channel_id=message.channel_id,
            event_ts=self.clock.next_ts(),
            item=item,
            **fields,
        )
