"""People: everything that a person can do in Slack, as methods."""

from collections.abc import Mapping, Sequence
from typing import Any

from local_slack.actions import default_state, find_element, make_action
from local_slack.api.responses import find_ephemeral, respond
from local_slack.delivery import payloads
from local_slack.delivery.delivery import Deliveries, Delivery
from local_slack.delivery.interactions import Interactions
from local_slack.workspace import files, posting, streams, views
from local_slack.workspace.errors import SlackError
from local_slack.workspace.model import Channel, Json, Message, User, View
from local_slack.workspace.rich_text import typed
from local_slack.workspace.shapes import view_json
from local_slack.workspace.workspace import Workspace


class Person:
    """One person. Channels are named "#general", "@bob" (the DM with bob) or by id.

    Actions that Slack would refuse raise SlackError. Interactions return their Delivery once the
    app has answered or after three seconds; see its `state`.
    """

    def __init__(
        self,
        user: User,
        workspace: Workspace,
        deliveries: Deliveries,
        interactions: Interactions,
        commands: frozenset[str] | None = None,
    ) -> None:
        self.user = user
        self._workspace = workspace
        self._deliveries = deliveries
        self._interactions = interactions
        self._commands = commands

    @property
    def id(self) -> str:
        return self.user.id

    def _channel(self, reference: str) -> Channel:
        """Resolve a channel reference; a DM is opened if needed, as in Slack."""
        workspace = self._workspace
        if reference.startswith("@"):
            other = workspace.bot if reference == "@bot" else workspace.get_user(reference)
            channel, _ = workspace.open_dm([self.id, other.id])
            return channel
        channel = workspace.find_channel(reference) or workspace.get_channel(reference)
        if self.id not in channel.members:
            raise SlackError("not_in_channel")
        return channel

    def dm(self, *names: str) -> str:
        """The id of the DM with the bot or, with names, of the group DM with all of them."""
        others = [self._workspace.get_user(name).id for name in names]
        channel, _ = self._workspace.open_dm([self.id, self._workspace.bot.id, *others])
        return channel.id

    # Messages

    async def says(
        self,
        channel: str,
        text: str,
        *,
        thread_ts: str | None = None,
        broadcast: bool = False,
        files: Mapping[str, bytes] | None = None,
        table: Sequence[Sequence[str]] | None = None,
    ) -> str:
        """Post a message and return its `ts`. "@bot" and "@name" become real mentions.

        `table` is a table pasted into the message, row by row.
        """
        message = posting.post(
            self._workspace,
            self.user,
            self._channel(channel),
            self._typed(text),
            thread_ts=thread_ts,
            broadcast=broadcast,
            file_ids=self._upload(files or {}),
            attachments=[posting.table(table)] if table else None,
        )
        return message.ts

    async def forwards(
        self,
        source: str,
        ts: str,
        channel: str,
        text: str = "",
        *,
        thread_ts: str | None = None,
    ) -> str:
        """Share the message `ts` of the channel `source` with another channel; returns the `ts`."""
        shared = self._workspace.get_message(self._channel(source).id, ts)
        message = posting.post(
            self._workspace,
            self.user,
            self._channel(channel),
            self._typed(text),
            thread_ts=thread_ts,
            attachments=[posting.forward(self._workspace, shared)],
        )
        return message.ts

    async def posts(
        self,
        channel: str,
        text: str = "",
        *,
        blocks: Sequence[Json] = (),
        attachments: Sequence[Json] = (),
        subtype: str | None = None,
        thread_ts: str | None = None,
        bot_id: str | None = None,
        app_id: str | None = None,
    ) -> str:
        """Post exactly this content, like an app or a feature such as `/me`; returns the `ts`.

        Nothing is parsed, escaped or unfurled. `bot_id` and `app_id` make it the post of an app
        in this person's name.
        """
        where = self._channel(channel)
        message = Message(
            where.id,
            self._workspace.clock.next_ts(),
            self.id,
            text,
            thread_ts=thread_ts,
            subtype=subtype,
            blocks=list(blocks),
            attachments=list(attachments),
            bot_id=bot_id or self.user.bot_id,
            app_id=app_id or self.user.app_id,
        )
        return posting.post_exactly(self._workspace, self.user, where, message).ts

    def _typed(self, text: str) -> str:
        names = {user.name: user.id for user in self._workspace.users.values()}
        return typed(text, names | {"bot": self._workspace.bot.id})

    def _upload(self, contents: Mapping[str, bytes]) -> list[str]:
        uploads = (
            files.upload(self._workspace, self.id, name, content)
            for name, content in contents.items()
        )
        return [file.id for file in uploads]

    async def edits(self, channel: str, ts: str, text: str) -> None:
        message = self._workspace.get_message(self._channel(channel).id, ts)
        posting.edit(self._workspace, self.user, message, self._typed(text))

    async def deletes(self, channel: str, ts: str) -> None:
        message = self._workspace.get_message(self._channel(channel).id, ts)
        if message.user_id != self.id:
            raise SlackError("cant_delete_message")
        self._workspace.delete(message)

    async def reacts(self, channel: str, ts: str, name: str) -> None:
        message = self._workspace.get_message(self._channel(channel).id, ts)
        self._workspace.react(message, self.id, name)

    async def unreacts(self, channel: str, ts: str, name: str) -> None:
        message = self._workspace.get_message(self._channel(channel).id, ts)
        self._workspace.unreact(message, self.id, name)

    # Channels

    async def joins(self, channel: str) -> None:
        found = self._workspace.find_channel(channel)
        if found is None or found.type != "channel":
            raise SlackError("channel_not_found")
        self._workspace.join(found, self.id)

    async def leaves(self, channel: str) -> None:
        self._workspace.leave(self._channel(channel), self.id)

    async def invites(self, channel: str, name: str) -> None:
        """Add a user, or "bot", to a channel."""
        workspace = self._workspace
        guest = workspace.bot if name == "bot" else workspace.get_user(name)
        workspace.join(self._channel(channel), guest.id, inviter=self.id)

    # Commands, shortcuts, buttons

    async def slash(
        self,
        command: str,
        text: str = "",
        channel: str = "#general",
        *,
        thread_ts: str | None = None,
    ) -> Delivery:
        """Run a slash command. Like Slack, this refuses commands in threads."""
        if thread_ts is not None:
            raise SlackError("not_supported_in_threads")
        if self._commands is not None and command not in self._commands:
            raise SlackError("invalid_command")
        where = self._channel(channel)
        payload = payloads.slash_command(
            self._workspace, self._interactions, self.user, where, command, self._typed(text)
        )
        delivery = await self._deliveries.send_interaction("slash_commands", command, payload)
        self._answered(delivery)
        return delivery

    async def shortcut(
        self, callback_id: str, channel: str | None = None, ts: str | None = None
    ) -> Delivery:
        """Run the shortcut of the message `ts`, or without `ts` a global shortcut."""
        if channel is None or ts is None:
            payload = payloads.global_shortcut(
                self._workspace, self._interactions, self.user, callback_id
            )
        else:
            message = self._workspace.get_message(self._channel(channel).id, ts)
            payload = payloads.message_shortcut(
                self._workspace, self._interactions, self.user, callback_id, message
            )
        return await self._deliveries.send_interaction(
            "interactive", callback_id, payload, ts or ""
        )

    async def clicks(
        self,
        channel: str,
        ts: str,
        action_id: str,
        value: str | None = None,
        block_id: str | None = None,
    ) -> Delivery:
        """Use an element of a message: press a button, or choose `value` in a select.

        Feedback buttons are chosen by "positive" or "negative". If several elements share an
        action_id, the first is used, or that of `block_id`.
        """
        message = self._visible(self._channel(channel).id, ts)
        block, element = find_element(message.blocks, action_id, block_id)
        action = make_action(block, element, value, self._workspace.clock.next_ts())
        payload = payloads.block_action(
            self._workspace,
            self._interactions,
            self.user,
            message,
            action,
            default_state(message.blocks),
        )
        return await self._deliveries.send_interaction("interactive", action_id, payload, ts)

    def _visible(self, channel_id: str, ts: str) -> Message:
        message = find_ephemeral(self._workspace, channel_id, ts)
        if message is not None and message.visible_to == self.id:
            return message
        return self._workspace.get_message(channel_id, ts)

    # Modals and App Home

    @property
    def modals(self) -> list[View]:
        """The person's open modals, topmost last."""
        return views.stack(self._workspace, self.id)

    def _view(self, view_id: str | None) -> View:
        if view_id is None:
            if not self.modals:
                raise SlackError("not_found")
            return self.modals[-1]
        view = self._workspace.views.get(view_id)
        if view is None or view.user_id != self.id or not view.open:
            raise SlackError("not_found")
        return view

    async def clicks_in_view(
        self,
        action_id: str,
        value: str | None = None,
        view_id: str | None = None,
        block_id: str | None = None,
    ) -> Delivery:
        """Use an element (as in `clicks`) of the topmost modal, or of a view such as App Home."""
        view = self._view(view_id)
        block, element = find_element(view.payload["blocks"], action_id, block_id)
        action = make_action(block, element, value, self._workspace.clock.next_ts())
        payload = payloads.view_action(self._workspace, self._interactions, self.user, view, action)
        return await self._deliveries.send_interaction("interactive", action_id, payload)

    async def submits(
        self, values: Mapping[str, Any] | None = None, view_id: str | None = None
    ) -> Delivery:
        """Submit a modal with values by action_id, and carry out the app's response_action."""
        view = self._view(view_id)
        view.values = default_state(view.payload["blocks"], dict(values or {}))
        payload = payloads.view_submission(self._workspace, self._interactions, self.user, view)
        name = view.payload.get("callback_id") or "view_submission"
        delivery = await self._deliveries.send_interaction("interactive", name, payload)
        if delivery.state == "acknowledged":
            views.apply_response(self._workspace, view, delivery.body)
        return delivery

    async def closes(self, view_id: str | None = None, *, all_of_them: bool = False) -> None:
        """Close a modal; the app gets view_closed if it asked for it (`notify_on_close`)."""
        view = self._view(view_id)
        views.close_view(self._workspace, view, whole_stack=all_of_them)
        if view.payload.get("notify_on_close"):
            payload = payloads.view_closed(self._workspace, self.user, view, cleared=all_of_them)
            name = view.payload.get("callback_id") or "view_closed"
            await self._deliveries.send_interaction("interactive", name, payload)

    @property
    def home(self) -> Json | None:
        """The App Home that the app has published for this person."""
        view_id = self._workspace.homes.get(self.id)
        return view_json(self._workspace, self._workspace.views[view_id]) if view_id else None

    async def opens_home(self, tab: str = "home") -> None:
        """Open the app: its "home" or its "messages" tab. Both fire app_home_opened."""
        views.open_home(self._workspace, self.id, self.dm(), tab)

    async def looks_at(self, channel: str) -> None:
        """Go to a channel with the agent open: app_context_changed."""
        where = self._channel(channel)
        views.look_at(self._workspace, self.id, self.dm(), where.id)

    async def stops(self, channel: str, thread_ts: str) -> list[str]:
        """Press Stop; the `ts` of the streams that Slack closed."""
        where = self._channel(channel)
        return streams.stop_by_user(self._workspace, self.id, where.id, thread_ts)

    # What the person sees

    def ephemerals(self, channel: str | None = None) -> list[Message]:
        """The ephemeral messages of this person."""
        channel_id = self._channel(channel).id if channel else None
        return [
            message
            for message in self._workspace.ephemerals
            if message.visible_to == self.id and channel_id in (None, message.channel_id)
        ]

    def _answered(self, delivery: Delivery) -> None:
        """Show the body of an acknowledgement to the person."""
        body = delivery.body
        if delivery.state != "acknowledged" or not body:
            return
        answer = body if isinstance(body, dict) else {"text": str(body)}
        key = str(delivery.payload["response_url"]).rpartition("/")[2]
        respond(self._workspace, self._interactions.look_up(key), answer)
