"""Maps the SDK's errors to the program's own."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import openai

from bot.engines.transport import ResponseTooLarge
from bot.errors import (
    NOT_THE_PROTOCOL,
    BotError,
    ConversationGone,
    DependencyDown,
    RateLimited,
    Retry,
    RunFailed,
    parse_retry_after,
)
from bot.telemetry import metrics
from bot.timing import EngineTiming

NotFoundKind = str
"""The meaning of a 404: `conversation`, `run`, `file`, `model`, `assistant`, `endpoint`."""

DETAIL_CHARS = 300
MESSAGE_CHARS = 20_000
"""How much of the message of an error is searched for its reason."""
KEPT_CHARS = 12_000
"""How much of an endless answer is kept."""
UNAVAILABLE = frozenset({502, 503, 529})
"""Statuses of a server, or of a proxy in front of it, that is down for every request."""

_BY_STATUS = {
    402: "insufficient_quota",
    405: "endpoint_not_found",
    413: "context_length_exceeded",
}
_QUOTA = re.compile(r"insufficient_quota|billing|spend|usage_limit|credit")
_UNPAID = re.compile(
    r"insufficient_quota|billing_|(?:credit )?balance is too low|insufficient (?:balance|credits?)",
    re.IGNORECASE,
)
_LOCKED = re.compile(r"conversation_locked|while a run|already has an active run")
_NO_SUCH = re.compile(r"No (assistant|run|message) found")
_UNANSWERED = re.compile(r"No tool output found for|do not have an approval")
_UNKNOWN_CALL = re.compile(r"No tool call found for")
_TOO_LONG = re.compile(
    r"context_length_exceeded|exceed_context|exceeds? the (available )?context"
    r"|maximum context length|prompt is too long|input (length|is too long)",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content_filter|content_policy|content management policy|moderation_blocked"
    r"|ResponsibleAIPolicy"
)
_UNKNOWN_MODEL = re.compile(
    r"not? found|not exist|n't exist|unknown|invalid model|no such|pinned to|could ?n[o']t find"
    r"|cannot find|not? (available|loaded|installed|deployed|served|recogni[sz]ed|a? ?valid)"
    r"|try pulling|unsupported model|model_not",
    re.IGNORECASE,
)
_MODEL_CODES = re.compile(r"model_not_found|model_not_available|unknown_model|invalid_model")
_REFUSED_FIELD = re.compile(r"unsupported_(parameter|value)|unknown_parameter|missing_required")
_IN_CONTENT = re.compile(r"input|messages|content")
"""Parameters with people's content: a refused file is not a refused setting."""
_STATUS = re.compile(r"4(?!04)\d\d|5\d\d")
"""Routers put the status of the server behind them into the code of an error. A 404 from there does
not say what is missing."""
_WRONG_KEY = re.compile(
    r"invalid_api_key|api_key_invalid|no_db_connection|API key not valid|incorrect api key",
    re.IGNORECASE,
)
"""Gemini and LiteLLM refuse a key with status 400."""
_NO_STORAGE = re.compile(r"zero data retention|zero_data_retention|data retention", re.IGNORECASE)


@contextmanager
def vendor_errors(
    missing: NotFoundKind = "conversation",
    *,
    model: str = "",
    lock_pause: float = EngineTiming().lock_pause,
) -> Iterator[None]:
    """Map the errors of the SDK inside the block to those of `bot.errors`.

    `missing` says what a 404 means: with "conversation" it becomes ConversationGone, with anything
    else RunFailed with the reason `<missing>_not_found`, unless the server names something else.
    `model` is the model that was asked for.
    """
    try:
        yield
    except openai.APIError as error:
        # `from None`: the SDK's error contains the request, and with it people's texts.
        parsed = parse_error(error, missing, model=model, lock_pause=lock_pause)
        metrics.engine_errors.labels(_label(parsed)).inc()
        raise parsed from None
    except ResponseTooLarge:
        metrics.engine_errors.labels("answer_too_large").inc()
        raise too_large() from None
    except httpx2.RequestError as error:
        # The body of a response that the SDK has not read.
        is_timeout = isinstance(error, httpx2.TimeoutException)
        raise Retry("timeout" if is_timeout else "connection") from None
    except (ValueError, RecursionError) as error:
        metrics.engine_errors.labels("protocol").inc()
        raise Retry(f"{NOT_THE_PROTOCOL}: {type(error).__name__}") from None


def too_large(text: str = "") -> RunFailed:
    """The server sent more than any answer may hold; the beginning of the text is kept."""
    return RunFailed("failed", "answer_too_large", text=text[:KEPT_CHARS])


def _label(error: BotError) -> str:
    if isinstance(error, Retry | RunFailed):
        return metrics.kind(error.reason)
    return "conversation_gone"


def parse_error(
    error: openai.APIError,
    missing: NotFoundKind = "conversation",
    *,
    model: str = "",
    lock_pause: float = EngineTiming().lock_pause,
) -> BotError:
    """Classify an error of the SDK. The status decides first, then the code.

    Servers built on other frameworks answer `{"detail": ...}`, without code and param.
    """
    if isinstance(error.__cause__, ResponseTooLarge):
        return too_large()
    if isinstance(error, openai.APIConnectionError):
        return _parse_connection(error)
    if not isinstance(error, openai.APIStatusError):
        return _parse_stream_error(error)
    return _parse_status(error, missing, model, lock_pause)


def _parse_status(
    error: openai.APIStatusError, missing: NotFoundKind, model: str, lock_pause: float
) -> BotError:
    status = error.status_code
    if status == 429:
        return _parse_429(error)
    if status in (401, 403):
        # The server's message about a wrong key quotes part of the key.
        return RunFailed("failed", "authentication" if status == 401 else "permission")
    if status == 501:
        return RunFailed("failed", "endpoint_not_found")
    if status == 409 and _LOCKED.search(_Refusal(error).all):
        return Retry("conversation_locked", after=lock_pause, counts=False)
    if status in (408, 409) or status < 400:
        return Retry(f"status {status}", after=retry_after(error))
    if status >= 500:
        certain = status in UNAVAILABLE
        return DependencyDown(f"status {status}", after=retry_after(error), certain=certain)
    refusal = _Refusal(error)
    if _WRONG_KEY.search(refusal.all):
        return RunFailed("failed", "authentication")
    if _LOCKED.search(refusal.all):
        return Retry("conversation_locked", after=lock_pause, counts=False)
    reason = _refused_for(refusal, model) or _missing_thing(status, refusal.message, missing)
    if reason == "conversation_not_found":
        return ConversationGone(refusal.detail)
    return RunFailed("failed", reason, detail=refusal.detail)


def _parse_connection(error: openai.APIConnectionError) -> DependencyDown:
    """Distinguish an unreachable server from one that does not answer."""
    if isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout):
        return DependencyDown("unreachable", certain=True)
    if isinstance(error, openai.APITimeoutError):
        return DependencyDown("timeout")
    return DependencyDown("connection_lost")


def retry_after(error: openai.APIStatusError) -> float | None:
    """The seconds the server asks for, if it does."""
    headers = error.response.headers
    if (milliseconds := parse_retry_after(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    return parse_retry_after(headers.get("retry-after", ""))


class _Refusal:
    """The server's error message, wherever it is in the body."""

    def __init__(self, error: openai.APIError) -> None:
        body = _innermost(error.body)
        if isinstance(body, Mapping):
            words = body.get("message") or body.get("detail") or body.get("error") or ""
            code, kind, param = body.get("code"), body.get("type"), body.get("param")
        else:
            words, code, kind, param = body or "", None, None, None
        self.message = _without_input(words)[:MESSAGE_CHARS]
        self.detail = self.message[:DETAIL_CHARS]
        self.param = str(param or "")
        self.code = " ".join(str(found) for found in (code, kind, error.code) if found)
        self.all = f"{self.code} {self.message}"


def _without_input(words: object) -> str:
    """A message as text. FastAPI lists the errors of a request with the values it refused, which
    are what people said."""
    if not isinstance(words, list):
        return str(words)
    faults = ({**each, "input": ""} if isinstance(each, Mapping) else each for each in words[:20])
    return "; ".join(map(str, faults))


def _innermost(body: object) -> object:
    """The error in `{"error": …}`, `{"detail": {"error": …}}`, `[{"error": …}]` and the like."""
    for _ in range(4):
        if isinstance(body, list) and body:
            body = body[0]
            continue
        if not isinstance(body, Mapping) or body.get("message"):
            break
        inner = body.get("error") or body.get("detail")
        if not isinstance(inner, Mapping):
            break
        body = inner
    return body


def _refused_for(refusal: _Refusal, model: str) -> str:
    """The reason of a refusal that has its own text for people, or ""."""
    if _TOO_LONG.search(refusal.all):
        return "context_length_exceeded"
    if _UNPAID.search(refusal.all):
        return "insufficient_quota"
    if _UNANSWERED.search(refusal.message):
        return "unanswered_call"
    if _UNKNOWN_CALL.search(refusal.message):
        return "unknown_call"
    if _FILTERED.search(refusal.all):
        return "content_filter"
    if "invalid_prompt" in refusal.code:
        return "invalid_prompt"
    if _names_unknown_model(refusal, model):
        return "model_not_found"
    if _NO_STORAGE.search(refusal.all):
        return "data_retention"
    if _REFUSED_FIELD.search(refusal.code) and not _IN_CONTENT.match(refusal.param):
        return "unsupported_parameter"
    return ""


def _names_unknown_model(refusal: _Refusal, model: str) -> bool:
    if _MODEL_CODES.search(refusal.code):
        return True
    if _REFUSED_FIELD.search(refusal.code):
        return False
    is_about_it = refusal.param == "model" or bool(model and model in refusal.message)
    return is_about_it and bool(_UNKNOWN_MODEL.search(refusal.message) or not refusal.message)


def _missing_thing(status: int, message: str, missing: NotFoundKind) -> str:
    if status != 404:
        return _BY_STATUS.get(status, "bad_request")
    named = _NO_SUCH.search(message)
    return f"{named[1] if named else missing}_not_found"


def _parse_429(error: openai.APIError) -> BotError:
    if _QUOTA.search(f"{error.code} {error.type}"):
        return RunFailed("failed", "insufficient_quota", detail=_Refusal(error).detail)
    after = retry_after(error) if isinstance(error, openai.APIStatusError) else None
    return RateLimited(error.code or "rate limit", after=after)


def error_in(body: Mapping[str, Any], model: str = "") -> BotError:
    """Classify an error object in a response whose status says nothing."""
    request = httpx2.Request("POST", "http://server")
    return _parse_stream_error(openai.APIError("", request, body=dict(body)), model)


def _parse_stream_error(error: openai.APIError, model: str = "") -> BotError:
    """An error that came as an event or with status 200, after the request was accepted."""
    refusal: Any = _Refusal(error)
    if "rate_limit" in refusal.code or "quota" in refusal.code:
        return _parse_429(error)
    reason = _refused_for(refusal, model)
    if reason:
        return RunFailed("failed", reason, detail=refusal.detail)
    if _STATUS.fullmatch(str(error.code)):
        response = httpx2.Response(int(str(error.code)), request=error.request)
        status_error = openai.APIStatusError("", response=response, body=error.body)
        return _parse_status(status_error, "run", model, EngineTiming().lock_pause)
    return DependencyDown(error.code or "broken stream")
