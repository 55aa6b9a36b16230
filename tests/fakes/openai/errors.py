"""OpenAI's error responses, verbatim where clients match on the text."""

from typing import Any, Literal

from aiohttp import web

ErrorStyle = Literal["openai", "detail"]


class ApiError(Exception):
    """An error response; raised by a route, rendered by the server."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers or {}

    def as_json(self, style: ErrorStyle) -> dict[str, Any]:
        """The body: OpenAI's, or the bare `detail` of servers built on FastAPI."""
        if style == "detail":
            return {"detail": self.message}
        error = {"message": self.message, "type": self.type}
        return {"error": {**error, "param": self.param, "code": self.code}}

    def as_response(self, style: ErrorStyle) -> web.Response:
        return web.json_response(self.as_json(style), status=self.status, headers=self.headers)


def invalid(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    return ApiError(400, message, code=code, param=param)


def not_found(message: str, *, code: str | None = None, param: str | None = None) -> ApiError:
    return ApiError(404, message, code=code, param=param)


def no_conversation(conversation_id: str) -> ApiError:
    return not_found(f"Conversation with id '{conversation_id}' not found.")


def no_such_url(method: str, path: str) -> ApiError:
    return not_found(f"Invalid URL ({method} {path})")


def conversation_locked() -> ApiError:
    return invalid(
        "Another process is currently operating on this conversation. "
        "Please retry in a few seconds.",
        code="conversation_locked",
    )


def too_long_for_context() -> ApiError:
    return invalid(
        "Your input exceeds the context window of this model. "
        "Please adjust your input and try again.",
        code="context_length_exceeded",
        param="input",
    )


def wrong_key(key: str) -> ApiError:
    """Some servers name the whole key."""
    return ApiError(401, f"Incorrect API key provided: {key}.", code="invalid_api_key")


def rate_limited(headers: dict[str, str]) -> ApiError:
    return ApiError(
        429,
        "Rate limit reached for requests. Please try again later.",
        type="requests",
        code="rate_limit_exceeded",
        headers=headers,
    )


def out_of_quota(headers: dict[str, str]) -> ApiError:
    return ApiError(
        429,
        "You exceeded your current quota, please check your plan and billing details.",
        type="insufficient_quota",
        code="insufficient_quota",
        headers=headers,
    )


def server_error(headers: dict[str, str]) -> ApiError:
    return ApiError(
        500,
        "The server had an error while processing your request. Sorry about that!",
        type="server_error",
        headers=headers,
    )


def overloaded(headers: dict[str, str]) -> ApiError:
    return ApiError(
        503,
        "The engine is currently overloaded, please try again later.",
        type="server_error",
        headers=headers,
    )
