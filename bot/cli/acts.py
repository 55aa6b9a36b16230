"""What operators do with this command line, for the audit log."""

import sys

from bot.settings import Settings
from bot.telemetry import audit_log


def record(settings: Settings, event: audit_log.Event, **fields: audit_log.Value) -> None:
    """Write a line. Standard output is the answer of the command, so that a line for it goes to
    standard error."""
    with audit_log.opened(settings.bot_audit_log, sys.stderr):
        audit_log.record(event, **fields)
