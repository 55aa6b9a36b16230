"""The audit log: who did what, as JSON lines for a SIEM.

Ids, counts and codes only, never texts. A line is written when something takes effect; after a
crash there may be two. https://docs.slack.dev/ai/agent-governance says what admins want to know.
"""

import json
import logging
import logging.handlers
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, TextIO

from bot.models import Message
from bot.telemetry.log import log

AuditEvent = Literal[
    "answer",
    "backup",
    "dead_letters_dropped",
    "dead_letters_retried",
    "deletion",
    "export",
    "keys_rotated",
    "legal_hold",
    "refusal",
    "restore",
    "settings_changed",
    "sweep",
    "tool_call",
    "workspace_installed",
    "workspace_removed",
]
EVENTS: Mapping[AuditEvent, str] = {
    "answer": "a turn ended: who asked, where, the model, tokens, tools, the outcome",
    "backup": "an operator copied all data to a file",
    "dead_letters_dropped": "an operator deleted dead letters",
    "dead_letters_retried": "an operator had dead letters answered",
    "deletion": "a person had conversations or messages deleted, or a legal hold kept them",
    "export": "a person had conversations exported, or an operator the feedback",
    "keys_rotated": "an operator had the stored secrets encrypted again",
    "legal_hold": "an operator began or ended a legal hold",
    "refusal": "a person was refused; `reason` says why",
    "restore": "an operator restored a backup",
    "settings_changed": "an admin or operator changed settings; `changed` names them",
    "sweep": "idle conversations were archived and deleted",
    "tool_call": "a decision about a tool call, or its outcome",
    "workspace_installed": "a workspace or an organization installed the bot",
    "workspace_removed": "the bot was removed there, or an operator removed it",
}
AuditValue = str | int | float | bool | None | Sequence[str]
LONGEST = 200
_EMPTY: tuple[AuditValue, ...] = ("", None, [], ())

_lines = logging.getLogger("bot.audit")
_lines.propagate = False


def record(event: AuditEvent, **fields: AuditValue) -> None:
    """Write a line, if the audit log is on; empty fields are left out."""
    if _lines.handlers:
        _lines.info(render(event, fields))


def record_message(event: AuditEvent, message: Message, **fields: AuditValue) -> None:
    """Write a line about a message: where it is, who wrote it, and these fields."""
    thread = message.thread
    place = {"team": thread.team_id, "channel": thread.channel_id, "thread": thread.thread_ts}
    record(event, **place, user=message.user_id, **fields)


def render(event: AuditEvent, fields: Mapping[str, AuditValue], at: float | None = None) -> str:
    """The line; `at` in epoch seconds, default now."""
    time = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    kept = {name: _bounded(value) for name, value in fields.items() if value not in _EMPTY}
    line = {"time": time.isoformat(timespec="milliseconds"), "event": event, **kept}
    return json.dumps(line, ensure_ascii=True)


def _bounded(value: AuditValue) -> AuditValue:
    return value[:LONGEST] if isinstance(value, str) else value


@contextmanager
def opened(target: str, stdout: TextIO | None = None) -> Iterator[None]:
    """Write inside the block to `target`: `stdout`, a path, or "" for nowhere.

    A file that is moved away (logrotate) is created again. Raises OSError if it cannot be written.
    """
    if not target:
        yield
        return
    handler = _Stream(stdout or sys.stdout) if target == "stdout" else _File(target)
    _lines.setLevel(logging.INFO)
    _lines.addHandler(handler)
    try:
        yield
    finally:
        _lines.removeHandler(handler)
        handler.close()


class _Loud:
    """A line that cannot be written is reported in the log, and the bot continues."""

    def handleError(self, record: logging.LogRecord) -> None:
        log.error("audit_log_failed", error=type(sys.exc_info()[1]).__name__)


class _Stream(_Loud, logging.StreamHandler[TextIO]):
    pass


class _File(_Loud, logging.handlers.WatchedFileHandler):
    pass
