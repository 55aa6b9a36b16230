"""Logs, metrics and traces."""

from bot.imports import absent

with absent("rich"):  # sixty modules that format tracebacks, which we do not print
    import structlog  # noqa: F401  # imported here first, without rich
