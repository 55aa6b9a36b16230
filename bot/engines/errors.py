"""The one place where the SDK's errors become the program's own."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import openai

from bot.errors import BotError, ConversationGone, RateLimited, Retry, RunFailed
from bot.telemetry import metrics

T = TypeVar("T")

LOCK_PAUSE = 2.0
"""Seconds after which a conversation on which the server is still working is tried again."""

DETAIL_CHARS = 300

_QUOTA = re.compile(r"insufficient_quota|billing|spend|usage_limit|credit")
_LOCKED = re.compile(r"conversation_locked|while a run|already has an active run")
_NO_SUCH = re.compile(r"No (assistant|run|message) found")
_UNANSWERED = "No tool output found for"
_TOO_LONG = re.compile(r"context_length_exceeded|exceeds the context window|maximum context length")


@contextmanager
def vendor_errors(missing: str = "conversation") -> Iterator[None]:
    """Turn what the SDK raises within into the errors of `bot.errors`.

    `missing` says what a 404 would mean: with "conversation" it becomes ConversationGone, with
    anything else RunFailed with the reason `<missing>_not_found`, unless the server says what.
    """
    try:
        yield
    except openai.APIError as error:
        # `from None`: the SDK's error carries the request, and with it what people wrote.
        parsed = parse_error(error, missing)
        metrics.engine_errors.labels(_label(parsed)).inc()
        raise parsed from None
    except ValueError as error:
        metrics.engine_errors.labels("protocol").inc()
        raise Retry(f"not an answer of the protocol: {type(error).__name__}") from None


def _label(error: BotError) -> str:
    if isinstance(error, Retry | RunFailed):
        return metrics.kind(error.reason)
    return "conversation_gone"


def checked(kind: type[T], answer: object) -> T:
    """The answer, if it is one: there are servers that say 200 to what they do not know, and
    proxies that answer with a page. Raises Retry for those.
    """
    if isinstance(answer, kind) and getattr(answer, "id", None):
        return answer
    raise Retry("not an answer of the protocol")


def parse_error(error: openai.APIError, missing: str = "conversation") -> BotError:
    """What the caller is to do about an error of the SDK. The status decides first, then the code.

    Servers built on other frameworks answer `{"detail": ...}`, so that code and param are None.
    """
    if isinstance(error, openai.APITimeoutError):
        return Retry("timeout")
    if isinstance(error, openai.APIConnectionError):
        return Retry("connection")
    if not isinstance(error, openai.APIStatusError):
        return Retry(error.code or "broken stream")
    status = error.status_code
    if status == 429:
        return _parse_429(error)
    if status in (408, 409) or status >= 500 or status < 400:
        return Retry(f"status {status}", after=retry_after(error))
    if status in (401, 403):
        # The server's words on a wrong key quote parts of the key.
        return RunFailed("failed", "authentication" if status == 401 else "permission")
    return _parse_refusal(error, missing)


def retry_after(error: openai.APIStatusError) -> float | None:
    """The seconds the server asks for, if it does."""
    headers = error.response.headers
    try:
        if "retry-after-ms" in headers:
            return float(headers["retry-after-ms"]) / 1000
        return float(headers["retry-after"])
    except (KeyError, ValueError):
        return None


def words(error: openai.APIError) -> str:
    """The server's own message, without what the SDK puts before it."""
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body.get("detail") or "")
    return str(body or "")


def _parse_429(error: openai.APIStatusError) -> BotError:
    if _QUOTA.search(f"{error.code} {error.type}"):
        return RunFailed("failed", "insufficient_quota", detail=words(error)[:DETAIL_CHARS])
    return RateLimited(error.code or "rate limit", after=retry_after(error))


def _parse_refusal(error: openai.APIStatusError, missing: str) -> BotError:
    message = words(error)
    text = f"{error.code} {message}"
    detail = message[:DETAIL_CHARS]
    if _LOCKED.search(text):
        return Retry("conversation_locked", after=LOCK_PAUSE, counts=False)
    if error.code == "model_not_found":
        return RunFailed("failed", "model_not_found", detail=detail)
    if _TOO_LONG.search(text):
        return RunFailed("failed", "context_length_exceeded", detail=detail)
    if _UNANSWERED in message:
        return RunFailed("failed", "unanswered_call", detail=detail)
    if error.status_code == 405:
        return RunFailed("failed", "endpoint_not_found", detail=detail)
    if error.status_code != 404:
        return RunFailed("failed", "bad_request", detail=detail)
    named = _NO_SUCH.search(message)
    if named is not None:
        return RunFailed("failed", f"{named[1]}_not_found", detail=detail)
    if missing == "conversation":
        return ConversationGone(detail)
    return RunFailed("failed", f"{missing}_not_found", detail=detail)
