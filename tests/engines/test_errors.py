"""The mapping of the SDK's errors to what the caller does next."""

import httpx2
import openai
import pytest

from bot.engines.errors import parse_error, vendor_errors
from bot.errors import BotError, ConversationGone, DependencyDown, Retry, RunFailed
from bot.texts.answers import WORDS

REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/responses")


def error_of(
    status: int,
    message: str = "",
    *,
    code: str | None = None,
    type: str | None = None,
    headers: dict[str, str] | None = None,
    detail: bool = False,
    param: str | None = None,
    body: object = None,
) -> openai.APIStatusError:
    """The SDK's error for a response."""
    error = {"message": message, "code": code, "type": type, "param": param}
    body = body or ({"detail": message} if detail else {"error": error})
    response = httpx2.Response(status, headers=headers, json=body, request=REQUEST)
    client = openai.AsyncOpenAI(api_key="x")
    return client._make_status_error_from_response(response)


def reported(error: BotError) -> tuple[object, ...]:
    """The error as its class and its fields."""
    if isinstance(error, DependencyDown):
        return DependencyDown, error.reason, error.after, error.certain
    if isinstance(error, Retry):
        return Retry, error.after, error.counts
    if isinstance(error, RunFailed):
        return RunFailed, error.reason
    return (type(error),)


LOCKED = "Another process is currently operating on this conversation. Please retry."
CASES = [
    (error_of(408), (Retry, None, True)),
    (error_of(409), (Retry, None, True)),
    (error_of(500), (DependencyDown, "status 500", None, False)),
    (error_of(504), (DependencyDown, "status 504", None, False)),
    (error_of(502), (DependencyDown, "status 502", None, True)),
    (error_of(529), (DependencyDown, "status 529", None, True)),
    (
        error_of(503, "overloaded", headers={"retry-after": "7"}),
        (DependencyDown, "status 503", 7.0, True),
    ),
    (error_of(429, code="rate_limit_exceeded"), (Retry, None, False)),
    (error_of(429, headers={"retry-after": "3"}), (Retry, 3.0, False)),
    (error_of(429, headers={"retry-after-ms": "250"}), (Retry, 0.25, False)),
    (error_of(429, headers={"retry-after": "soon"}), (Retry, None, False)),
    (error_of(429, "Too many", detail=True), (Retry, None, False)),
    (error_of(429, code="insufficient_quota"), (RunFailed, "insufficient_quota")),
    (error_of(429, type="insufficient_quota"), (RunFailed, "insufficient_quota")),
    (error_of(429, code="billing_hard_limit_reached"), (RunFailed, "insufficient_quota")),
    (error_of(429, code="project_spend_limit_reached"), (RunFailed, "insufficient_quota")),
    (error_of(400, LOCKED, code="conversation_locked"), (Retry, 2.0, False)),
    (
        error_of(400, "Can't add messages to thread_a while a run run_b is active."),
        (Retry, 2.0, False),
    ),
    (
        error_of(400, "Thread thread_a already has an active run run_b.", detail=True),
        (Retry, 2.0, False),
    ),
    (error_of(401, "Incorrect API key provided: sk-a"), (RunFailed, "authentication")),
    (error_of(403), (RunFailed, "permission")),
    (error_of(404, "Conversation with id 'conv_a' not found."), (ConversationGone,)),
    (error_of(404, "No thread found with id 'thread_a'."), (ConversationGone,)),
    (error_of(404, "No thread", detail=True), (ConversationGone,)),
    (error_of(404, "No assistant found with id 'a'."), (RunFailed, "assistant_not_found")),
    (error_of(404, "No run found with id 'run_a'."), (RunFailed, "run_not_found")),
    (error_of(404, code="model_not_found"), (RunFailed, "model_not_found")),
    (error_of(400, code="model_not_found"), (RunFailed, "model_not_found")),
    (error_of(400, code="context_length_exceeded"), (RunFailed, "context_length_exceeded")),
    (
        error_of(400, "Your input exceeds the context window of this model.", detail=True),
        (RunFailed, "context_length_exceeded"),
    ),
    (
        error_of(400, "No tool output found for function call call_a."),
        (RunFailed, "unanswered_call"),
    ),
    (error_of(400, "Unknown parameter: 'x'."), (RunFailed, "bad_request")),
    (error_of(405, "Method Not Allowed", detail=True), (RunFailed, "endpoint_not_found")),
    (error_of(422, "field required", detail=True), (RunFailed, "bad_request")),
    (openai.APITimeoutError(REQUEST), (DependencyDown, "timeout", None, False)),
    (
        openai.APIConnectionError(request=REQUEST),
        (DependencyDown, "connection_lost", None, False),
    ),
    (openai.APIError("broken", REQUEST, body=None), (DependencyDown, "broken stream", None, False)),
]


@pytest.mark.parametrize(("error", "wanted"), CASES, ids=lambda case: str(case)[:60])
def test_an_error_maps_to_what_the_caller_does_next(
    error: openai.APIError, wanted: tuple[object, ...]
) -> None:
    assert reported(parse_error(error)) == wanted


MODEL = "gpt-6-luna"
UNKNOWN_MODELS = {
    "OpenAI": error_of(404, "The model `gpt-6-luna` does not exist.", code="model_not_found"),
    "Ollama": error_of(404, "model 'gpt-6-luna' not found, try pulling it first"),
    "vLLM": error_of(404, "The model `x` does not exist.", code="404", param="model"),
    "LiteLLM": error_of(400, "Invalid model name passed in model=gpt-6-luna. Call /v1/models"),
    "transformers": error_of(
        400, "Server is pinned to 'tiny', requested 'gpt-6-luna'.", detail=True
    ),
    "graphserve": error_of(
        404, body={"detail": {"error": {"code": "model_not_found", "message": "no"}}}
    ),
    "nested word": error_of(404, body={"detail": {"error": "unknown model gpt-6-luna"}}),
    "no code": error_of(404, body={"error": "model gpt-6-luna not found"}),
}


@pytest.mark.parametrize("missing", ["conversation", "endpoint"])
@pytest.mark.parametrize("server", UNKNOWN_MODELS)
def test_an_unknown_model_is_one_however_a_server_says_it(server: str, missing: str) -> None:
    parsed = parse_error(UNKNOWN_MODELS[server], missing, model=MODEL)
    assert reported(parsed) == (RunFailed, "model_not_found")


@pytest.mark.parametrize(
    "error",
    [
        error_of(400, "gpt-6-luna does not support image inputs."),
        error_of(400, "'input_file' is not supported by gpt-6-luna at this moment"),
        error_of(
            400,
            "Unsupported value: 'png' is not supported with gpt-6-luna.",
            code="unsupported_value",
            param="input[0].content[1]",
        ),
    ],
)
def test_a_rejected_file_is_not_an_unknown_model(
    error: openai.APIStatusError,
) -> None:
    assert reported(parse_error(error, model=MODEL)) == (RunFailed, "bad_request")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (error_of(400, "The response was filtered", code="content_filter"), "content_filter"),
        (error_of(400, "x", code="content_policy_violation"), "content_filter"),
        (
            error_of(400, "The response was filtered due to Azure's content management policy"),
            "content_filter",
        ),
        (error_of(400, "Invalid prompt: flagged", code="invalid_prompt"), "invalid_prompt"),
        (
            error_of(400, "Not with this model.", code="unsupported_parameter", param="truncation"),
            "unsupported_parameter",
        ),
        (error_of(400, "Not allowed under Zero Data Retention."), "data_retention"),
        (
            error_of(400, "request exceeds the available context size"),
            "context_length_exceeded",
        ),
        (error_of(501, "Not implemented"), "endpoint_not_found"),
        (error_of(400, "API key not valid. Please pass a valid API key."), "authentication"),
        (error_of(400, "No connected db.", type="no_db_connection"), "authentication"),
    ],
)
def test_refusals_keep_their_reason(error: openai.APIStatusError, reason: str) -> None:
    assert reported(parse_error(error, model=MODEL)) == (RunFailed, reason)
    assert reason in WORDS


@pytest.mark.parametrize("after", ["-5", "nan", "inf", "1e999"])
def test_an_invalid_retry_after_is_ignored(after: str) -> None:
    assert reported(parse_error(error_of(429, headers={"retry-after": after}))) == (
        Retry,
        None,
        False,
    )


def test_a_404_of_another_object_is_not_a_lost_conversation() -> None:
    assert reported(parse_error(error_of(404), "run")) == (RunFailed, "run_not_found")


def test_the_servers_message_is_cut() -> None:
    error = parse_error(error_of(400, "x" * 5000))
    assert isinstance(error, RunFailed)
    assert len(error.detail) == 300


def test_the_servers_message_about_a_wrong_key_is_dropped() -> None:
    error = parse_error(error_of(401, "Incorrect API key provided: sk-secret"))
    assert "sk-secret" not in str(error)


def test_what_a_server_quotes_is_not_logged() -> None:
    fault = {"loc": ["body", "stream_options"], "msg": "not permitted", "input": "swordfish"}
    error = parse_error(error_of(422, body={"detail": [fault]}))
    assert isinstance(error, RunFailed)
    assert "stream_options" in error.detail
    assert "swordfish" not in error.detail
    assert "stream_options" not in str(error)


def test_an_unreadable_response_is_retried() -> None:
    with pytest.raises(Retry), vendor_errors():
        raise ValueError("Expecting value: line 1")


def test_the_vendors_error_is_not_chained() -> None:
    with pytest.raises(Retry) as caught, vendor_errors():
        raise openai.APITimeoutError(REQUEST)
    assert caught.value.__suppress_context__
