"""The Web API client, who we are in Slack, and the one place that maps Slack's errors to ours."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from urllib.request import getproxies

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web.async_client import AsyncWebClient

from bot.errors import ConfigError, RateLimited, Retry, Undeliverable
from bot.settings import Settings
from bot.telemetry import metrics

SlackClient = AsyncWebClient
"""The client's type, for modules that may not import the SDK."""
TIMEOUT = aiohttp.ClientTimeout(total=20, connect=5)

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

REVOKED = frozenset({"invalid_auth", "not_authed", "account_inactive", "token_revoked"})


@dataclass(frozen=True, slots=True)
class Identity:
    """The bot in its workspace, as `auth.test` returns it."""

    team_id: str
    enterprise_id: str
    user_id: str
    bot_id: str
    url: str


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[AsyncWebClient]:
    """One client with one connection pool. The SDK repeats no call on its own.

    aiohttp reads the proxies of the environment together with `~/.netrc`, which it looks for in a
    thread before every request: only where there is a proxy is that worth its time.
    """
    trust_env = bool(getproxies())
    async with aiohttp.ClientSession(timeout=TIMEOUT, trust_env=trust_env) as session:
        yield AsyncWebClient(
            token=settings.slack_bot_token.get_secret_value(),
            base_url=settings.slack_api_url,
            session=session,
            retry_handlers=[],  # the default one repeats a POST after a dropped connection
        )


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
    )


def error_code(error: SlackApiError) -> str:
    """Slack's error code, or `http_` and the status where the body is not Slack's."""
    response = error.response
    code = response.get("error") if isinstance(response.data, dict) else None
    return str(code or f"http_{response.status_code}")


class Uncertain(Retry):
    """The call may have taken effect. Look before repeating it."""


@contextmanager
def slack_errors() -> Iterator[None]:
    """Map what slack_sdk and aiohttp raise to Retry, Uncertain and Undeliverable.

    A refusal that is none of these stays a SlackApiError for the caller to judge.
    """
    try:
        yield
    except SlackApiError as error:
        code = error_code(error)
        metrics.slack_errors.labels(code).inc()
        if error.response.status_code == 429 or code in ("ratelimited", "rate_limited"):
            seconds = float(error.response.headers.get("Retry-After") or 1)
            raise RateLimited("slack_rate_limited", after=seconds) from error
        if error.response.status_code >= 500 or code in ("internal_error", "fatal_error"):
            raise Uncertain(f"slack_{code}") from error
        if code in ("service_unavailable", "request_timeout"):
            raise Uncertain(f"slack_{code}") from error
        if code in UNDELIVERABLE:
            raise Undeliverable(code) from error
        if code in REVOKED:
            raise Retry(f"slack_{code}", after=60) from error
        raise
    except aiohttp.ClientConnectorError as error:
        metrics.slack_errors.labels("unreachable").inc()
        raise Retry("slack_unreachable") from error
    except (aiohttp.ClientError, SlackClientError, TimeoutError) as error:
        metrics.slack_errors.labels(type(error).__name__).inc()
        raise Uncertain(f"slack_{type(error).__name__}") from error
