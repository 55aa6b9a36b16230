"""Accounts that a person has signed in to, and whose code was not entered in Slack yet.

Their tokens are valid at the authorization server, so they are revoked there if the code never
comes.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.errors import ConfigError
from bot.models import decode, encode
from bot.sealing import Unreadable
from bot.store.sealed import Kind, Sealed
from bot.telemetry.log import log
from bot.tools.credential import Credential

KIND: Kind = "unconfirmed"
GIVE_UP = 24 * 3600.0
"""Seconds for which revoking is tried again while the authorization server refuses it."""

Revoke = Callable[[str, Credential], Awaitable[bool]]
"""Revokes the tokens of an account at a server; returns whether the server did."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The tokens of one person at one server; they are revoked after `until` (epoch seconds)."""

    server: str
    credential: Credential
    until: float


class Unconfirmed:
    """The waiting accounts of all people, one per person and server (a `row`)."""

    def __init__(self, sealed: Sealed, revoke: Revoke) -> None:
        self._sealed = sealed
        self._revoke = revoke

    async def save(self, row: str, server: str, credential: Credential, until: float) -> None:
        """Remember tokens, in order to revoke them after `until`."""
        await self._sealed.save(KIND, row, encode(Waiting(server, credential, until)))

    async def confirm(self, row: str) -> None:
        """The account is used now: do not revoke its tokens."""
        await self._sealed.remove(KIND, row)

    async def drop(self, row: str) -> None:
        """Revoke the tokens of a row now, if there are any."""
        if waiting := await self._find(row):
            await self._end(row, waiting)

    async def drop_expired(self) -> None:
        """Revoke all tokens whose code did not come in time."""
        for row in await self._sealed.names(KIND):
            waiting = await self._find(row)
            if waiting is not None and waiting.until < time.time():
                await self._end(row, waiting)

    async def names(self) -> list[str]:
        """All rows."""
        return await self._sealed.names(KIND)

    async def _end(self, row: str, waiting: Waiting) -> None:
        done = await self._revoke(waiting.server, waiting.credential)
        can_revoke = bool(waiting.credential.revocation_url)
        if done or not can_revoke or time.time() > waiting.until + GIVE_UP:
            await self._sealed.remove(KIND, row)
            log.info("unconfirmed_account_dropped", server=waiting.server, revoked=done)

    async def _find(self, row: str) -> Waiting | None:
        try:
            found = await self._sealed.find(KIND, row)
        except (Unreadable, ConfigError):
            await self._sealed.remove(KIND, row)
            return None
        return decode(Waiting, found) if found else None
