"""Offers to connect a person's account: a private message with a link."""

from bot.errors import Undeliverable
from bot.models import Message
from bot.slack.direct_messages import DirectMessages
from bot.slack.people import People
from bot.store import Store
from bot.texts import accounts as texts
from bot.tools.accounts import Accounts
from bot.tools.credential import Invitation

EVERY = 60
"""Seconds between two messages with a link for one person and server."""


class Connecting:
    """Sends the links."""

    def __init__(
        self, accounts: Accounts, store: Store, people: People, messages: DirectMessages
    ) -> None:
        self.accounts = accounts
        self._store = store
        self._people = people
        self._messages = messages

    async def invite(self, message: Message, server: str) -> str:
        """Send the author of a message a link; returns text for the model. Raises Retry."""
        team_id, user_id = message.thread.team_id, message.user_id
        flag = f"invited:{team_id}:{user_id}:{server}"
        if not await self._store.flags.is_free(flag):
            return texts.INVITED_BEFORE
        person = await self._people.find(user_id)
        invitation = Invitation(team_id, user_id, server, person.name if person else "")
        link = await self.accounts.invite(invitation)
        try:
            await self._messages.send(user_id, texts.invitation(server, link))
        except Undeliverable:
            return texts.NO_MESSAGE
        await self._store.flags.note(flag, "1", EVERY)
        return texts.INVITED
