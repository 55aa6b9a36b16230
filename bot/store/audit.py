"""The audit trail of tool calls: append-only, each line chained to the previous one by its hash.

It holds ids, names, hashes and times; never arguments, results or other texts.
"""

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bot.models import decode, encode
from bot.store.connection import Connection
from bot.store.keys import Keys

DAY = 24 * 3600
READ_AT_ONCE = 500
ATTEMPTS = 50
"""Two processes may append at the same time; one of them retries."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """One decision about a tool call, or its outcome. `at` is in epoch seconds.

    `arguments_sha256` is the hash of the exact arguments; `decided_by` is a person's id, or
    `policy`.
    """

    at: float
    team_id: str
    channel_id: str
    thread_ts: str
    user_id: str
    turn_id: str
    call_id: str
    server: str
    tool: str
    arguments_sha256: str
    decision: str
    decided_by: str
    outcome: str = ""
    milliseconds: int = 0
    policy: str = ""
    """What the policy said: `allow`, `deny`, `ask`, `ask_after_external` or `thread`."""


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line as it is stored, with its hash and whether it fits the line before."""

    line: AuditLine
    hash: str
    fits: bool


class AuditTrail:
    """The trail of one deployment. Lines older than `retention_days` are dropped (0: never)."""

    def __init__(self, connection: Connection, keys: Keys, retention_days: int = 0) -> None:
        self._connection = connection
        self._keys = keys
        self._retention = retention_days

    async def append(self, line: AuditLine) -> None:
        """Add a line. Raises StoreUnavailable."""
        text = encode(line)
        oldest = ""
        if self._retention:
            oldest = str(int((time.time() - self._retention * DAY) * 1000))
        before = await self._connection.execute("GET", self._keys.audit_head) or ""
        for _ in range(ATTEMPTS):
            after = chained(before, text)
            newest = await self._connection.run(
                "audit", before=before, after=after, line=text, oldest=oldest
            )
            if newest == after:
                return
            before = newest

    async def read(self) -> AsyncIterator[StoredLine]:
        """All lines, oldest first. The hash before the first one is not checked: older lines may be
        gone."""
        start, before = "-", None
        while entries := await self._page(start):
            for id, fields in entries:
                text, stored = fields["line"], fields["hash"]
                fits = before is None or chained(before, text) == stored
                yield StoredLine(decode(AuditLine, text), stored, fits)
                before, start = stored, f"({id}"

    async def head_fits(self, newest: str) -> bool:
        """Whether `newest` is the hash of the line that was appended last."""
        return (await self._connection.execute("GET", self._keys.audit_head) or "") == newest

    async def _page(self, start: str) -> list[tuple[str, dict[str, str]]]:
        command = ("XRANGE", self._keys.audit, start, "+", "COUNT", READ_AT_ONCE)
        reply: list[tuple[str, dict[str, str]]] = await self._connection.execute(*command)
        return reply


def chained(before: str, text: str) -> str:
    """The hash of a line: SHA-256 over the hash before it and its text."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
