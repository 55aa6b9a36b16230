"""Authorization: who may do what. docs/permissions.md has the table.

The worker checks when an action takes effect. `web` checks first, to explain a refusal immediately,
and when it stores settings.
"""

import asyncio
from collections.abc import Iterable

from bot.errors import Retry
from bot.models import Conversation, Message, Thread
from bot.settings import Settings
from bot.slack.access import needs_profile, refusal
from bot.slack.channels import Channels
from bot.slack.people import People, Person
from bot.store import Store
from bot.store.channel_settings import ChannelSettings
from bot.telemetry import audit_log
from bot.texts import access as texts
from bot.texts.approvals import OTHER_PERSON, other_person
from bot.texts.commands import with_prefix


class Rights:
    """The rights of people, from the settings and their Slack profile.

    While Slack cannot say who a person is, nothing is permitted. `look_up_seconds` is how long to
    wait for that; `refusal` returns `UNKNOWN` then. Without it (in a worker) Retry is raised.
    """

    def __init__(
        self,
        store: Store,
        people: People,
        channels: Channels,
        settings: Settings,
        *,
        look_up_seconds: float | None = None,
    ) -> None:
        self._look_up_seconds = look_up_seconds
        self._store = store
        self._people = people
        self._channels = channels
        self._settings = settings

    async def refusal(self, message: Message, settings: ChannelSettings | None = None) -> str:
        """The reason why the author of a message or command may not use the bot there; "" if
        allowed.

        `settings` are the channel's, if already known.
        """
        thread = message.thread
        if settings is None:
            settings = await self._store.channels.find(thread.team_id, thread.channel_id)
        person = None
        try:
            person = await self._find(message.user_id)
        except Retry:
            if needs_profile(message, self._settings, settings):
                if self._look_up_seconds is None:
                    raise
                return texts.UNKNOWN
        return refusal(message, person, self._settings, settings)

    async def refusal_of(self, thread: Thread, user_id: str, user_team_id: str = "") -> str:
        """`refusal` for a button or command, which has no message."""
        message = Message(thread, thread.thread_ts, user_id, "", user_team_id=user_team_id)
        return _recorded(message, await self.refusal(message))

    async def visible(
        self, user_id: str, conversations: Iterable[Conversation], *, now: bool = False
    ) -> list[Conversation]:
        """The conversations that the person can see in Slack; `now`: memberships are not from the
        cache."""
        return await self._channels.visible(user_id, conversations, now=now)

    async def can_see(self, user_id: str, thread: Thread) -> bool:
        """Whether the person can see the thread in Slack now."""
        return await self._channels.can_see(user_id, thread.channel_id)

    async def reset_refusal(self, thread: Thread, user_id: str, user_team_id: str = "") -> str:
        """Why a person may not reset the conversation of a thread; "" if allowed.

        The conversation of several people is reset by its starter, by the creator of the channel,
        or by an admin.
        """
        refused = await self.refusal_of(thread, user_id, user_team_id)
        if refused:
            return refused
        conversation = await self._store.conversations.find(thread)
        if conversation is None or await self.may_delete(conversation, user_id):
            return ""
        return _recorded(Message(thread, thread.thread_ts, user_id, ""), texts.NOT_YOURS)

    async def decision_refusal(
        self,
        thread: Thread,
        user_id: str,
        user_team_id: str,
        requester: str,
        *,
        personal: bool = False,
        settings: ChannelSettings | None = None,
    ) -> str:
        """Why a person may not decide about a call that `requester` asked for; "" if allowed.

        `personal`: the call uses the requester's own account. `settings` are the channel's, if
        already known.
        """
        if settings is None:
            settings = await self._store.channels.find(thread.team_id, thread.channel_id)
        message = Message(thread, thread.thread_ts, user_id, "", user_team_id=user_team_id)
        refused = await self.refusal(message, settings)
        approvers = () if personal else settings.approvers
        if not refused and user_id not in (requester, *approvers):
            refused = OTHER_PERSON
        return _recorded(message, refused)

    async def may_delete(self, conversation: Conversation, user_id: str) -> bool:
        """Whether a person may delete a whole conversation."""
        if user_id == conversation.user_id or not await self.is_shared(conversation, user_id):
            return True
        if await self._people.is_admin(user_id):
            return True
        return user_id == await self._channels.creator(conversation.thread.channel_id)

    async def is_shared(self, conversation: Conversation, user_id: str) -> bool:
        """Whether other people started the conversation or wrote in it."""
        history = await self._store.conversations.history(conversation.thread)
        authors = {record.user_id for record in history if record.role == "user"}
        authors |= {message.user_id for message in conversation.owed}
        return bool((authors | {conversation.user_id}) - {user_id, ""})

    async def refused_among(self, thread: Thread, user_ids: Iterable[str]) -> frozenset[str]:
        """The people among `user_ids` whose messages must not reach the model in this thread.

        What colleagues said before their account was deactivated remains.
        """
        distinct = sorted({user_id for user_id in user_ids if user_id})
        if not distinct:
            return frozenset()
        settings = await self._store.channels.find(thread.team_id, thread.channel_id)
        refusals = await asyncio.gather(
            *(
                self.refusal(Message(thread, thread.thread_ts, user_id, ""), settings)
                for user_id in distinct
            )
        )
        return frozenset(
            who
            for who, why in zip(distinct, refusals, strict=True)
            if why not in ("", texts.DEACTIVATED)
        )

    async def explain(self, reason: str) -> str:
        """The explanation for a refused person."""
        if reason == texts.NOT_YOURS:
            return with_prefix(texts.not_yours(), self._settings.bot_command_prefix)
        if reason == texts.UNKNOWN:
            return texts.unknown()
        if reason == OTHER_PERSON:
            return other_person()
        return texts.refused(reason, await self._people.admin_names())

    async def _find(self, user_id: str) -> Person | None:
        if self._look_up_seconds is None:
            return await self._people.identify(user_id)
        try:
            async with asyncio.timeout(self._look_up_seconds):
                return await self._people.identify(user_id)
        except TimeoutError:
            if person := self._people.cached(user_id):
                return person
            raise Retry("slack_person_unknown") from None


def record_refusal(message: Message, reason: str) -> None:
    """Write to the audit log that the author of a message was refused."""
    code = CODES.get(reason, reason)
    audit_log.record_message("refusal", message, what=message.kind, reason=code)


def _recorded(message: Message, reason: str) -> str:
    if reason:
        record_refusal(message, reason)
    return reason


CODES = {
    texts.GUEST: "guest",
    texts.OUTSIDER: "outsider",
    texts.PERSON: "person",
    texts.CHANNEL: "channel",
    texts.TEAM: "team",
    texts.DEACTIVATED: "deactivated",
    texts.NOT_YOURS: "not_yours",
    texts.UNKNOWN: "unknown_person",
    OTHER_PERSON: "other_person",
}
"""The reasons as codes, for machines."""
