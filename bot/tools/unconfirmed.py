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
from bot.store.sealed import Sealed, SecretKind
from bot.tools.credential import Credential

KIND: SecretKind = "unconfirmed"
GIVE_UP = 24 * 3600.0
"""Seconds for which revoking is tried again while the authorization server refuses it."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The tokens of one person at one server; they are revoked after `until` (epoch seconds).

    `lent` is the name of the secret that their code redeems.
    """

    server: str
    credential: Credential
    until: float
    lent: str = ""


Revoke = Callable[[str, Waiting], Awaitable[bool]]
"""Revokes the tokens of a row unless they are used; returns whether nothing is left to do."""


class Unconfirmed:
    """The waiting accounts of all people, one per person and server (a `row`)."""

    def __init__(self, sealed: Sealed, drop: Revoke) -> None:
        self._sealed = sealed
        self._drop = drop

    async def save(self, row: str, waiting: Waiting) -> None:
        """Remember tokens, in order to revoke them."""
        await self._sealed.save(KIND, row, encode(waiting))

    async def forget(self, row: str, lent: str) -> None:
        """The account that was lent under this name is used now: its tokens stay valid. Those of a
        later visit still wait for their code."""
        waiting = await self._find(row)
        if waiting is not None and waiting.lent in ("", lent):
            await self._sealed.remove(KIND, row)

    async def drop(self, row: str) -> None:
        """Revoke the tokens of a row now, if there are any."""
        if waiting := await self._find(row):
            await self._end(row, waiting)

    async def drop_all(self, start: str) -> None:
        """Revoke the tokens of all rows that begin with `start`."""
        for row in await self._sealed.names(KIND):
            if row.startswith(start):
                await self.drop(row)

    async def drop_expired(self) -> None:
        """Revoke all tokens whose code did not come in time."""
        for row in await self._sealed.names(KIND):
            waiting = await self._find(row)
            if waiting is not None and waiting.until < time.time():
                await self._end(row, waiting)

    async def _end(self, row: str, waiting: Waiting) -> None:
        if await self._drop(row, waiting) or time.time() > waiting.until + GIVE_UP:
            await self._sealed.remove(KIND, row)

    async def _find(self, row: str) -> Waiting | None:
        try:
            found = await self._sealed.find(KIND, row)
        except (Unreadable, ConfigError):
            await self._sealed.remove(KIND, row)
            return None
        return decode(Waiting, found) if found else None
