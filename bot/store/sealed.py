"""Secrets that are encrypted in Redis, by kind and owner."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from bot.errors import ConfigError
from bot.sealing import Keyring, Unreadable
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.store.scanning import scan
from bot.store.scripts import ScriptCall
from bot.telemetry.log import log

SecretKind = Literal["installation", "ai_key", "credential", "unconfirmed"]
"""`installation`: a workspace's tokens; `ai_key`: its own key of the AI server; `credential`: what
a person connected to a tool; `unconfirmed`: the same before its code was entered."""
KINDS: tuple[SecretKind, ...] = get_args(SecretKind)

LENT = "lent"
PAGE = 200
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Rotated:
    """The outcome of a rotation: rows sealed again, rows that were current, unreadable rows."""

    resealed: int = 0
    current: int = 0
    unreadable: tuple[str, ...] = ()


class Sealed:
    """Secrets by kind and name. Each is bound to its row: a copy in another row is refused."""

    def __init__(self, connection: Connection, keys: Keys, keyring: Keyring) -> None:
        self._connection = connection
        self._keys = keys
        self._keyring = keyring

    async def save(self, kind: SecretKind, name: str, secret: str) -> None:
        """Store a secret. Raises ConfigError without an encryption key."""
        sealed = self.seal(kind, name, secret)
        await self._connection.execute("HSET", self._keys.sealed(kind), name, sealed)

    def seal(self, kind: SecretKind, name: str, secret: str) -> str:
        """The sealed form of a secret, for a script that stores it with something else."""
        return self._keyring.seal(secret, kind, name)

    async def find(self, kind: SecretKind, name: str) -> str | None:
        """A secret, or None if there is none. Raises Unreadable, or ConfigError without a key."""
        found = await self._connection.execute("HGET", self._keys.sealed(kind), name)
        return None if found is None else self._keyring.open(found, kind, name)

    async def lend(self, name: str, secret: str, seconds: int) -> None:
        """Store a secret for a time, to be taken once. Raises ConfigError without a key."""
        sealed = self._keyring.seal(secret, LENT, name)
        await self._connection.execute("SET", self._keys.lent(name), sealed, "EX", seconds)

    async def peek(self, name: str) -> str | None:
        """A secret that was lent, or None if it expired or was taken. Raises Unreadable."""
        return self._lent(name, await self._connection.execute("GET", self._keys.lent(name)))

    async def take(self, name: str) -> str | None:
        """Take a secret that was lent: like `peek`, but it can be taken only once."""
        return self._lent(name, await self._connection.execute("GETDEL", self._keys.lent(name)))

    async def redeem(self, name: str, kind: SecretKind, row: str, secret: str) -> bool:
        """Take a secret that was lent, and store another one in its place, both or neither. False
        if it expired or was taken, perhaps by this call before its connection broke."""
        keys = {"lent": self._keys.lent(name), "sealed": self._keys.sealed(kind)}
        sealed = self.seal(kind, row, secret)
        return bool(await self._connection.run("redeem", keys=keys, row=row, secret=sealed))

    def _lent(self, name: str, found: str | None) -> str | None:
        return None if found is None else self._keyring.open(found, LENT, name)

    async def replace(
        self, kind: SecretKind, name: str, is_before: Callable[[str], bool], after: str
    ) -> bool:
        """Store `after` if the secret is still the one before. Returns whether it was.

        A rotation of the keys may change the row meanwhile, but not the secret.
        """
        for _ in range(ATTEMPTS):
            found = await self._connection.execute("HGET", self._keys.sealed(kind), name)
            if found is None or not is_before(self._keyring.open(found, kind, name)):
                break
            sealed = self._keyring.seal(after, kind, name)
            if (await self._reseal(kind, [(name, found, sealed)]))[0]:
                return True
        return False

    async def remove(self, kind: SecretKind, name: str) -> bool:
        """Delete a secret. Returns whether there was one."""
        return bool(await self._connection.execute("HDEL", self._keys.sealed(kind), name))

    async def names(self, kind: SecretKind) -> list[str]:
        """The owners of all secrets of a kind, readable or not."""
        return sorted(await self._connection.execute("HKEYS", self._keys.sealed(kind)))

    async def unreadable(self) -> dict[str, str]:
        """The secrets that cannot be opened, as `kind name`, with the reasons."""
        found: dict[str, str] = {}
        for kind in KINDS:
            async for page in self._pages(kind):
                for name, text in page:
                    try:
                        self._keyring.open(text, kind, name)
                    except (Unreadable, ConfigError) as error:
                        found[f"{kind} {name}"] = str(error)
        return found

    async def count_old(self) -> int:
        """How many secrets an older key has sealed."""
        count = 0
        for kind in KINDS:
            async for page in self._pages(kind):
                count += sum(not self._keyring.is_current(text) for _, text in page)
        return count

    async def rotate(self) -> Rotated:
        """Seal all secrets with the newest key, while other processes read and write them."""
        resealed = current = 0
        unreadable: list[str] = []
        for kind in KINDS:
            async for page in self._pages(kind):
                old = [(name, text) for name, text in page if not self._keyring.is_current(text)]
                again = self._sealed_again(kind, old, unreadable)
                resealed += sum(await self._reseal(kind, again))
                current += len(page) - len(old)
        return Rotated(resealed, current, tuple(unreadable))

    def _sealed_again(
        self, kind: SecretKind, rows: Sequence[tuple[str, str]], unreadable: list[str]
    ) -> list[tuple[str, str, str]]:
        again = []
        for name, text in rows:
            try:
                secret = self._keyring.open(text, kind, name)
            except Unreadable as error:
                log.error("secret_unreadable", kind=kind, owner=name, error=str(error))
                unreadable.append(f"{kind} {name}")
            else:
                again.append((name, text, self._keyring.seal(secret, kind, name)))
        return again

    async def _reseal(self, kind: SecretKind, rows: Sequence[tuple[str, str, str]]) -> list[int]:
        keys = {"sealed": self._keys.sealed(kind)}
        calls = [
            ScriptCall(keys=keys, args={"name": name, "before": before, "after": after})
            for name, before, after in rows
        ]
        return [int(reply) for reply in await self._connection.run_many("reseal", calls)]

    async def _pages(self, kind: SecretKind) -> AsyncIterator[list[tuple[str, str]]]:
        key = self._keys.sealed(kind)
        async for page in scan(self._connection, "HSCAN", key, count=PAGE):
            yield list(page.items())
