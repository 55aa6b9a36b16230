"""Writes what operators do on the command line to the audit log."""

import sys

from bot.settings import Settings
from bot.telemetry import audit_log


def record(settings: Settings, event: audit_log.AuditEvent, **fields: audit_log.AuditValue) -> None:
    """Write a line. Standard output is for the result of the command, so audit lines go to
    standard error."""
    with audit_log.opened(settings.bot_audit_log, sys.stderr):
        audit_log.record(event, **fields)
