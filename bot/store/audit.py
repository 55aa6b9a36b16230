"""The audit trail of tool calls: append-only, each line chained to the previous one by its hash.

It holds ids, names, hashes and times; never arguments, results or other texts.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, replace

from bot.errors import StoreUnavailable
from bot.models import decode, encode
from bot.store.claims import StreamEntry
from bot.store.connection import Connection
from bot.store.corrupt import read_each
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
    """The policy's decision: `allow`, `deny`, `ask`, `ask_after_external` or `thread`."""


def audit_fields(line: AuditLine) -> dict[str, str | int]:
    """The line for the audit log, with that log's names; without its time."""
    return {
        "team": line.team_id,
        "channel": line.channel_id,
        "thread": line.thread_ts,
        "user": line.user_id,
        "turn": line.turn_id,
        "call": line.call_id,
        "server": line.server,
        "tool": line.tool,
        "arguments_sha256": line.arguments_sha256,
        "decision": line.decision,
        "decided_by": line.decided_by,
        "policy": line.policy,
        "outcome": line.outcome,
        "milliseconds": line.milliseconds,
    }


@dataclass(frozen=True, slots=True)
class StoredLine:
    """A line as it is stored, with its hash and whether it fits the line before."""

    line: AuditLine
    hash: str
    fits: bool


class AuditTrail:
    """The trail of one deployment. Lines older than `retention_days` are dropped (0: never).

    Lines that a process appends at the same time go into one request, so that processes have to
    agree on the order of requests, not of lines.
    """

    def __init__(self, connection: Connection, keys: Keys, retention_days: int = 0) -> None:
        self._connection = connection
        self._keys = keys
        self._retention = retention_days
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._appending: asyncio.Task[None] | None = None
        self._head = ""

    async def append(self, line: AuditLine) -> None:
        """Add a line. Raises StoreUnavailable; the line may be in the trail nevertheless."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((encode(line), done))
        if self._appending is None or self._appending.done():
            # A task of its own, in no turn's context: the turn that comes first may be cancelled.
            self._appending = asyncio.create_task(self._append_waiting(), context=Context())
        await done

    async def _append_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                await self._append([text for text, _ in batch])
            except Exception as raised:
                error = raised
            for _, done in batch:
                if error is not None and not done.done():
                    done.set_exception(error)
                elif not done.done():
                    done.set_result(None)

    async def _append(self, batch: Sequence[str]) -> None:
        oldest = ""
        if self._retention:
            oldest = str(max(0, int((time.time() - self._retention * DAY) * 1000)))
        for _ in range(ATTEMPTS):
            lines, after = _chain(self._head, batch)
            newest = await self._connection.run(
                "audit", before=self._head, after=after, oldest=oldest, lines=lines
            )
            self._head = newest
            if newest == after:
                return
        raise StoreUnavailable("the audit trail is written by too many processes at once")

    async def read(self) -> AsyncIterator[StoredLine]:
        """All lines, oldest first. The hash before the first one is not checked: older lines may be
        gone."""
        start, before, is_sound = "-", None, True
        held: StoredLine | None = None
        while entries := await self._page(start):
            start = f"({entries[-1][0]}"
            sound = dict(read_each(self._keys.audit, range(len(entries)), _parser(entries)))
            for number in range(len(entries)):
                if number not in sound:  # a foreign entry: the lines around it do not fit
                    held, is_sound = held and replace(held, fits=False), held is not None
                    continue
                line, text, stored = sound[number]
                if held:
                    yield held
                fits = is_sound and (before is None or chained(before, text) == stored)
                held, before, is_sound = StoredLine(line, stored, fits), stored, True
        if held:
            yield held

    async def head_fits(self, newest: str) -> bool:
        """Whether `newest` is the hash of the line that was appended last."""
        return (await self._connection.execute("GET", self._keys.audit_head) or "") == newest

    async def _page(self, start: str) -> list[StreamEntry]:
        command = ("XRANGE", self._keys.audit, start, "+", "COUNT", READ_AT_ONCE)
        reply: list[StreamEntry] = await self._connection.execute(*command)
        return reply


def _parser(entries: Sequence[StreamEntry]) -> Callable[[int], tuple[AuditLine, str, str]]:
    """Reads one of the entries: a line, its text, and its hash."""

    def parse(number: int) -> tuple[AuditLine, str, str]:
        fields = entries[number][1]
        return decode(AuditLine, fields["line"]), fields["line"], fields["hash"]

    return parse


def _chain(before: str, texts: Iterable[str]) -> tuple[list[str], str]:
    """The texts, each followed by its hash, and the hash of the last one."""
    lines: list[str] = []
    for text in texts:
        before = chained(before, text)
        lines += [text, before]
    return lines, before


def chained(before: str, text: str) -> str:
    """The hash of a line: SHA-256 over the hash before it and its text."""
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()
