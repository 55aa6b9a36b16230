"""Structured logs: JSON where a machine reads them, coloured lines on a terminal.

Ids, counts and times only. Texts of messages and secrets never get here, which is why the loggers
of Bolt and the SDKs, which print request bodies at INFO, are kept at WARNING.
"""

import logging
import sys

import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger("bot")

CHATTY = ("slack_bolt", "slack_sdk", "openai", "httpx2", "httpcore2", "aiohttp.access", "asyncio")


def configure(level: str) -> None:
    """Send every log of the process to standard error, from `level` on."""
    terminal = sys.stderr.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
