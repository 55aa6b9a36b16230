"""Structured logs: JSON where a machine reads them, coloured lines on a terminal.

Ids, counts and times only: no message text and no secret. Bolt and the SDKs print request bodies at
INFO, so they are logged from WARNING on. Exceptions are logged by type and place, because the
message of a foreign exception may quote anything.
"""

import logging
import re
import sys
import traceback
from collections.abc import Collection
from typing import Any, TextIO

import structlog

from bot.errors import BotError

NAME = "bot"
log: structlog.stdlib.BoundLogger = structlog.get_logger(NAME)

_TOKENS = re.compile(
    r"\b(?:xox[a-z]|xapp|xoxe\.xox[a-z]|sk)-[\w-]{4,}"  # Slack's tokens, OpenAI's keys
    r"|(?<=://)[^/\s@\"']*:[^/\s@\"']+(?=@)"  # user and password of an address
    r"|(?<=[Bb]earer )[\w.~+/-]+=*"
)
HIDDEN = "***"
_FRAMES = 30
_CAUSES = 20


class _Logger(structlog.stdlib.BoundLogger):
    """Skips a line below the level at once: a turn has a dozen of them for DEBUG."""

    def debug(self, event: str | None = None, *args: Any, **fields: Any) -> Any:
        if self._logger.isEnabledFor(logging.DEBUG):
            super().debug(event, *args, **fields)


def configure(level: str, secrets: Collection[str] = (), stream: TextIO | None = None) -> None:
    """Send all logs of the process from `level` on to standard error (or `stream`).

    `secrets` are redacted, and so is anything that looks like a token or a password.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first: a line that is not written costs little
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=_Logger,
        cache_logger_on_first_use=True,
    )
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, _cut_library_line],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _describe_exception,
                renderer,
                _hiding(secrets),
            ],
            # logging would print the exception a second time
            keep_exc_info=False,
        )
    )
    handler.addFilter(_is_for_us)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _is_for_us(record: logging.LogRecord) -> bool:
    """Levels of loggers are not enough: Bolt sets those of its loggers to the root's level."""
    return record.name == NAME or record.levelno >= logging.WARNING


def _hiding(secrets: Collection[str]) -> structlog.typing.Processor:
    known = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)

    def hide(logger: Any, method: str, line: Any) -> str:
        """The last processor: redacts secrets, wherever they came from."""
        text = str(line)
        for secret in known:
            text = text.replace(secret, HIDDEN)
        return _TOKENS.sub(HIDDEN, text)

    return hide


def _cut_library_line(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep only the fixed part of a library's message: the rest may contain data."""
    line = str(event["event"]).partition("\n")[0]
    if event.get("exc_info"):
        line = line.partition(": ")[0]
    if event.get("logger") == "asyncio":
        line = re.split(r"[<(]", line)[0]
    event["event"] = line
    return event


def _describe_exception(
    logger: Any, method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Replace the message of an exception by its types and places."""
    given = event.pop("exc_info", None)
    error = sys.exc_info()[1] if given is True else given
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> str:
    """An exception and its causes by type and place, without messages that may quote anything.

    Our own errors add their reason, OSError its message: they contain no text of a person. Bounded
    in length, even if causes form a cycle.
    """
    lines: list[str] = []
    seen: set[int] = set()
    chain: BaseException | None = error
    while chain is not None and id(chain) not in seen and len(seen) < _CAUSES:
        if seen:
            lines.append("after")
        seen.add(id(chain))
        frames = traceback.extract_tb(chain.__traceback__, limit=-_FRAMES)
        lines += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        lines.append(_kind(chain))
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return "\n".join(lines)


def _kind(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, OSError):
        return f"{name}: {error}"
    reason = getattr(error, "reason", "") if isinstance(error, BotError) else ""
    return f"{name}: {reason}" if reason else name
