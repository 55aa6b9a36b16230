"""Logs, metrics and traces."""

from bot.imports import absent

with absent("rich"):  # sixty modules, for tracebacks that we do not print
    import structlog  # noqa: F401
