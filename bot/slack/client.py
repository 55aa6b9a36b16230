"""The Web API client, our identity in Slack, and the mapping of Slack's errors to ours."""

import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.request import getproxies

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import (
    CircuitOpen,
    ConfigError,
    DependencyDown,
    RateLimited,
    Undeliverable,
    parse_retry_after,
)
from bot.settings import Settings
from bot.slack.characters import without_controls
from bot.store import Circuits
from bot.telemetry import metrics
from bot.timing import SlackTiming

# Without a level of its own, the SDK writes each request and response as text, for lines that are
# dropped then.
logging.getLogger("slack_sdk.web.async_base_client").setLevel(logging.WARNING)

SlackClient = AsyncWebClient
"""The client's type, for modules that may not import the SDK."""
CONNECT_SECONDS = 5.0
LONGEST_PAUSE = 300.0
"""Maximum seconds of a `Retry-After`: a proxy may send a wrong date, and the pause would be that of
all posts of a channel."""

UNDELIVERABLE = frozenset(
    {
        "channel_not_found",
        "is_archived",
        "not_in_channel",
        "thread_not_found",
        "cannot_reply_to_message",
        "messages_tab_disabled",
        "restricted_action",
        "restricted_action_read_only_channel",
        "restricted_action_thread_only_channel",
        "restricted_action_non_threadable_channel",
        "restricted_action_thread_locked",
        "team_access_not_granted",
        "user_not_in_channel",
    }
)
"""Refusals that a retry cannot fix: https://docs.slack.dev/reference/methods/chat.postMessage."""

REFUSED_POSTS = frozenset(
    {
        "access_denied",
        "app_access_restricted",
        "ekm_access_denied",
        "enterprise_is_restricted",
        "message_limit_exceeded",
        "missing_scope",
        "no_permission",
        "not_allowed_token_type",
        "team_access_not_granted",
    }
)
"""Refusals of a post that only an admin can change."""

REVOKED = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked"})
REFUSING = REVOKED | {
    "accesslimited",
    "external_channel_migrating",
    "org_login_required",
    "team_added_to_org",
    "team_quota_exceeded",
    "token_expired",
    "two_factor_setup_required",
}
"""Temporary refusals of every call: nothing was done."""
UNAVAILABLE = frozenset({"service_unavailable"})
FAILING = UNAVAILABLE | {"internal_error", "fatal_error", "request_timeout"}
"""Failures of Slack itself: the call may have taken effect."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The bot in its workspace, as `auth.test` returns it."""

    team_id: str
    enterprise_id: str
    user_id: str
    bot_id: str
    url: str
    scopes: frozenset[str] | None = None
    """The granted scopes; None if Slack has not said."""


@asynccontextmanager
async def open_client(
    settings: Settings, timing: SlackTiming = SlackTiming()
) -> AsyncIterator[AsyncWebClient]:
    """One client with one connection pool. The SDK's own retries are off."""
    async with open_session(timing.call) as session:
        yield AsyncWebClient(**_options(settings, session))


def guard_client(client: AsyncWebClient, circuits: Circuits, access: str) -> "GuardedClient":
    """A client like this one, on the same connections, behind circuit breakers."""
    return GuardedClient(circuits, access, **options_of(client, client.token))


def options_of(client: AsyncWebClient, token: str | None) -> dict[str, Any]:
    """Options of a client on the connections of another."""
    return {
        "token": token,
        "base_url": client.base_url,
        "session": client.session,
        "retry_handlers": [],
    }


async def exchange(client: AsyncWebClient, settings: Settings, **grant: str) -> AsyncSlackResponse:
    """Call `oauth.v2.access` with a code or a refresh token, in the name of the app.

    Raises what `slack_errors` does.
    """
    assert settings.slack_client_secret is not None
    secret = settings.slack_client_secret.get_secret_value()
    app = AsyncWebClient(**options_of(client, None))
    with slack_errors():
        return await app.api_call(
            "oauth.v2.access",
            data={"client_id": settings.slack_client_id, "client_secret": secret, **grant},
        )


def open_session(seconds: float) -> aiohttp.ClientSession:
    """A session whose calls take `seconds` at most.

    It reads proxies from the environment only if there are any: otherwise aiohttp would look for
    `~/.netrc`, in a thread, before every request.
    """
    timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, CONNECT_SECONDS))
    return aiohttp.ClientSession(timeout=timeout, trust_env=bool(getproxies()))


def _options(settings: Settings, session: aiohttp.ClientSession) -> dict[str, Any]:
    return {
        "token": settings.slack_bot_token.get_secret_value() if settings.slack_bot_token else None,
        "base_url": settings.slack_api_url,
        "session": session,
        "retry_handlers": [],  # the default retries a POST after a dropped connection
    }


async def identify(client: AsyncWebClient) -> Identity:
    """Call `auth.test`. Raises ConfigError for a bad token, Retry when Slack is unavailable."""
    with slack_errors():
        try:
            answer = await client.auth_test()
        except SlackApiError as error:
            code = error_code(error)
            if code in REVOKED:
                raise ConfigError("SLACK_BOT_TOKEN", f"Slack refuses it: {code}") from None
            raise
    return Identity(
        team_id=answer.get("team_id") or "",
        enterprise_id=answer.get("enterprise_id") or "",
        user_id=answer.get("user_id") or "",
        bot_id=answer.get("bot_id") or "",
        url=answer.get("url") or "",
        scopes=_granted(answer.headers),
    )


def _granted(headers: Mapping[str, str]) -> frozenset[str] | None:
    scopes = {name.lower(): value for name, value in headers.items()}.get("x-oauth-scopes")
    return None if scopes is None else frozenset(scope.strip() for scope in scopes.split(","))


def error_code(error: SlackApiError) -> str:
    """Slack's error code, or `http_` and the status if the body is not from Slack."""
    response = error.response
    code = response.get("error") if isinstance(response.data, dict) else None
    return str(code or f"http_{response.status_code}")


class Uncertain(DependencyDown):
    """The call may have taken effect: look it up before repeating it."""


class TokenRefused(DependencyDown):
    """Slack refuses every call with this token; other workspaces are not affected."""


class GuardedClient(AsyncWebClient):
    """A client whose calls go through two circuits: that of the method's family, which all
    workspaces share, and `access`, which opens while Slack refuses this workspace's token.
    """

    def __init__(self, circuits: Circuits, access: str, **options: Any) -> None:
        super().__init__(**options)
        self._circuits = circuits
        self._access = access

    async def fresh_token(self) -> str:
        """A token that works for the next call."""
        return self.token or ""

    def is_refused(self, error: Exception) -> bool:
        """Whether an error of a call means that Slack refuses this workspace's token."""
        return isinstance(error, TokenRefused) or (
            isinstance(error, CircuitOpen) and error.dependency == self._access
        )

    async def api_call(self, api_method: str, **options: Any) -> AsyncSlackResponse:
        """Call a method, without control characters. Raises what `slack_errors` does."""
        options = without_controls(options)
        async with self._circuits.guard(self._access, timed=False):
            answer = await self._call(api_method, options)
            if isinstance(answer, TokenRefused):
                raise answer
            return answer

    async def _call(
        self, api_method: str, options: dict[str, Any]
    ) -> AsyncSlackResponse | TokenRefused:
        """The answer; a refused token is returned, because it says that Slack works."""
        async with self._circuits.guard(f"slack:{family(api_method)}"):
            try:
                with slack_errors():
                    return await super().api_call(api_method, **options)
            except TokenRefused as refused:
                return refused


def family(method: str) -> str:
    """The part of Slack that a method belongs to: `chat`, `stream`, `conversations`, ..."""
    first, _, rest = method.partition(".")
    return "stream" if rest in ("startStream", "appendStream", "stopStream") else first


def _retry_after(error: SlackApiError) -> float | None:
    seconds = parse_retry_after(error.response.headers.get("Retry-After", ""))
    return None if seconds is None else min(seconds, LONGEST_PAUSE)


def _posts(error: SlackApiError) -> bool:
    return str(error.response.api_url).endswith(("/chat.postMessage", "/chat.update"))


@contextmanager
def slack_errors() -> Iterator[None]:
    """Map what slack_sdk and aiohttp raise to RateLimited, DependencyDown and Undeliverable.

    Any other refusal stays a SlackApiError for the caller to handle.
    """
    try:
        yield
    except SlackApiError as error:
        code = error_code(error)
        metrics.slack_errors.labels(code).inc()
        if error.response.status_code == 429 or code in ("ratelimited", "rate_limited"):
            after = _retry_after(error)
            raise RateLimited(
                "slack_rate_limited", after=1.0 if after is None else after
            ) from error
        if error.response.status_code >= 500 or code in FAILING:
            certain = code in UNAVAILABLE
            raise Uncertain(f"slack_{code}", after=_retry_after(error), certain=certain) from error
        if code in REFUSING:
            raise TokenRefused(f"slack_{code}", certain=True) from error
        if code in UNDELIVERABLE or (code in REFUSED_POSTS and _posts(error)):
            raise Undeliverable(code) from error
        raise
    except aiohttp.ClientConnectorError as error:
        metrics.slack_errors.labels("unreachable").inc()
        raise DependencyDown("slack_unreachable", certain=True) from error
    except (aiohttp.ClientError, SlackClientError, TimeoutError) as error:
        metrics.slack_errors.labels(type(error).__name__).inc()
        raise Uncertain(f"slack_{type(error).__name__}") from error
