"""The checks of Slack for `bot doctor`: tokens, scopes, subscriptions, clock, public address."""

import re
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.checks import (
    Check,
    Finding,
    connection_fix,
    failed,
    judge_clock,
    ok,
    skipped,
    warning,
)
from bot.errors import BotError, RateLimited, StoreUnavailable
from bot.settings import Settings
from bot.slack.client import FAILING, error_code, open_client, slack_errors
from bot.slack.delivery_notes import EVENT, REJECTED, judge_deliveries
from bot.slack.events import EVENTS
from bot.slack.scopes import SCOPES, find_missing, missing_for_tools
from bot.slack.server import EVENTS_PATH
from bot.slack.socket_count import CONNECTIONS, judge_connections
from bot.slack.workspace_checks import WorkspaceChecks
from bot.store.shards import open_shards

SIGNATURE_SECONDS = 300.0
"""Requests from Slack that are older than this are refused:
https://docs.slack.dev/authentication/verifying-requests-from-slack."""
TIMEOUT = aiohttp.ClientTimeout(total=10)

_APP_PAGE = "https://api.slack.com/apps → your app"
_FIXES = {
    "invalid_auth": f"copy the Bot User OAuth Token again: {_APP_PAGE} → OAuth & Permissions",
    "not_authed": f"copy the Bot User OAuth Token: {_APP_PAGE} → OAuth & Permissions",
    "token_revoked": f"install the app again: {_APP_PAGE} → Install App, and copy the new token",
    "token_expired": "switch token rotation off in the manifest, or copy a fresh token",
    "account_inactive": f"install the app again: {_APP_PAGE} → Install App, and copy the new token",
    "not_allowed_token_type": "SLACK_BOT_TOKEN takes a bot token (xoxb-…), SLACK_APP_TOKEN xapp-…",
}
_APP_TOKEN_FIX = (
    f"make a token with the scope connections:write: {_APP_PAGE} → Basic Information → "
    "App-Level Tokens"
)
_UNREACHABLE = "may this machine reach Slack (proxy: HTTPS_PROXY)? is SLACK_API_URL right?"


@asynccontextmanager
async def open_checks(
    settings: Settings,
    url: str = "",
    clock: Callable[[], float] = time.time,
    tools: Collection[str] = (),
) -> AsyncIterator[tuple[Check, ...]]:
    """The checks; `url` is the public address of an HTTP deployment ("": unknown), `tools` are
    those of our own that are offered."""
    async with open_client(settings) as client:
        yield (
            *SlackChecks(client, settings, url, clock, tools).all(),
            *WorkspaceChecks(client, settings, clock).all(),
        )


class SlackChecks:
    """The checks of one app in one workspace."""

    def __init__(
        self,
        client: AsyncWebClient,
        settings: Settings,
        url: str,
        clock: Callable[[], float],
        tools: Collection[str] = (),
    ) -> None:
        self._tools = tools
        self._client = client
        self._settings = settings
        self._url = url
        self._clock = clock
        self._headers: Mapping[str, str] = {}
        self._asked_at = 0.0
        self._bot_id = ""

    def all(self) -> tuple[Check, ...]:
        """In the order in which a reader needs them."""
        needs = ("slack token",)
        way_in = (
            Check("slack app token", self.app_token)
            if self._settings.socket_mode
            else Check("slack signing secret", self.signing_secret)
        )
        return (
            Check("slack token", self.token),
            Check("slack scopes", self.scopes, needs),
            Check("admins", self.admins, needs),
            way_in,
            Check("slack events", self.events, needs),
            Check("slack deliveries", self.deliveries, ("redis",)),
            Check("slack clock", self.time, needs),
            Check("webhook", self.webhook),
        )

    async def token(self) -> Finding:
        """Whether Slack accepts the bot token, and whose it is."""
        self._asked_at = self._clock()
        if self._settings.slack_bot_token is None:
            return skipped("not set: workspaces install the bot themselves")
        try:
            with slack_errors():
                answer = await self._client.auth_test()
        except SlackApiError as error:
            code = error_code(error)
            return failed(f"Slack refuses SLACK_BOT_TOKEN: {code}", _fix(code))
        except BotError as error:
            code = str(error).removeprefix("slack_")
            if code in _FIXES:
                return failed(f"Slack refuses SLACK_BOT_TOKEN: {code}", _fix(code))
            return self._no_answer(error)
        self._headers = {name.lower(): value for name, value in answer.headers.items()}
        self._bot_id = str(answer.get("bot_id") or "")
        if not self._bot_id:
            return failed("SLACK_BOT_TOKEN does not belong to a bot", _FIXES["invalid_auth"])
        return ok(f"@{answer.get('user')} in {answer.get('team')} ({answer.get('url')})")

    async def scopes(self) -> Finding:
        """Whether the app was granted what the manifest asks for."""
        header = self._headers.get("x-oauth-scopes")
        if header is None:
            return skipped("Slack does not report the granted scopes")
        granted = {scope.strip() for scope in header.split(",")}
        missing = find_missing(granted)
        fix = f"add under {_APP_PAGE} → OAuth & Permissions, then Reinstall to Workspace"
        if missing.scopes and missing.is_meant:
            return warning(f"missing: {missing.consequences}", fix)
        if missing.scopes:
            return failed(
                f"missing: {', '.join(sorted(each.name for each in missing.scopes))}", fix
            )
        if of_tools := missing_for_tools(granted, self._tools):
            named = "; ".join(f"{scope.name}: {scope.without}" for scope in of_tools)
            return warning(f"missing: {named}", fix)
        return ok(f"all {len(SCOPES)} of the manifest")

    async def admins(self) -> Finding:
        """Whether the admins in the settings exist in Slack."""
        unknown = []
        for user_id in sorted(self._settings.bot_admins):
            try:
                with slack_errors():
                    answer = await self._client.users_info(user=user_id)
            except (SlackApiError, BotError) as error:
                code = error_code(error) if isinstance(error, SlackApiError) else str(error)
                unknown.append(f"{user_id} ({code.removeprefix('slack_')})")
            else:
                if answer["user"].get("deleted"):
                    unknown.append(f"{user_id} (deactivated)")
        if unknown:
            fix = "copy the id again: the person's profile in Slack → ⋮ → Copy member ID"
            return warning(f"BOT_ADMINS names {', '.join(unknown)}", fix)
        if not self._settings.bot_admins:
            return skipped("no BOT_ADMINS: refusals cannot name an admin")
        return ok(f"{len(self._settings.bot_admins)} in BOT_ADMINS")

    async def app_token(self) -> Finding:
        """Whether Socket Mode can be opened."""
        assert self._settings.slack_app_token is not None
        token = self._settings.slack_app_token.get_secret_value()
        try:
            with slack_errors():
                await self._client.apps_connections_open(app_token=token)
        except SlackApiError as error:
            return failed(f"Slack refuses SLACK_APP_TOKEN: {error_code(error)}", _APP_TOKEN_FIX)
        except BotError as error:
            code = str(error).removeprefix("slack_")
            if code in _FIXES:
                return failed(f"Slack refuses SLACK_APP_TOKEN: {code}", _APP_TOKEN_FIX)
            return self._no_answer(error)
        return ok("Socket Mode can be opened")

    def _no_answer(self, error: BotError) -> Finding:
        """Slack has not refused: it asks to wait, fails itself, or cannot be reached."""
        code = str(error).removeprefix("slack_")
        if isinstance(error, RateLimited):
            return warning("Slack asks to wait: rate_limited", "try again in a minute")
        if code in FAILING:
            return failed(f"Slack fails: {code}", "see https://slack-status.com; try again later")
        fix = connection_fix(error, "SLACK_API_URL", self._settings.slack_api_url, _UNREACHABLE)
        return failed(f"Slack does not answer: {code}", fix)

    async def signing_secret(self) -> Finding:
        """Whether it looks like a signing secret; Slack has no way to test one."""
        secret = self._settings.slack_signing_secret
        value = secret.get_secret_value() if secret else ""
        if not value:
            fix = f"{_APP_PAGE} → Basic Information → Signing Secret; or set SLACK_APP_TOKEN"
            return failed("SLACK_SIGNING_SECRET is not set", fix)
        if not re.fullmatch(r"[0-9a-f]{32}", value):
            fix = f"copy it again: {_APP_PAGE} → Basic Information → Signing Secret"
            return warning("SLACK_SIGNING_SECRET is not 32 hexadecimal digits", fix)
        return ok("looks right; only an event from Slack can prove it")

    async def events(self) -> Finding:
        """Whether the app subscribes to the events that the code handles.

        Slack shows an app's subscriptions only to a person's configuration token, not to the app's
        tokens: https://docs.slack.dev/reference/methods/apps.manifest.export.
        """
        config = self._settings.slack_config_token
        if config is None:
            return skipped(
                "Slack shows subscriptions only to a person: set SLACK_CONFIG_TOKEN for this "
                "check, or compare App Manifest in the app's settings with `bot manifest`"
            )
        client = AsyncWebClient(
            token=config.get_secret_value(),
            base_url=self._client.base_url,
            session=self._client.session,
            retry_handlers=[],
        )
        try:
            with slack_errors():
                answer = await client.apps_manifest_export(app_id=await self._app_id())
        except (SlackApiError, BotError) as error:
            code = error_code(error) if isinstance(error, SlackApiError) else str(error)
            return failed(
                f"Slack does not show the app's manifest: {code.removeprefix('slack_')}",
                "make a new configuration token (they last 12 hours): "
                "https://api.slack.com/apps → Your App Configuration Tokens",
            )
        return judge_manifest(answer.get("manifest") or {}, self._settings.socket_mode, self._url)

    async def deliveries(self) -> Finding:
        """When Slack last reached the bot, and whether a signature was rejected since."""
        try:
            async with open_shards(self._settings) as shards:
                store = shards.home
                event, rejected = await store.flags.read(EVENT), await store.flags.read(REJECTED)
                shared = await store.flags.read(CONNECTIONS) if self._settings.socket_mode else None
        except StoreUnavailable:
            return skipped("Redis, which has the notes, does not answer")
        now = self._clock()
        return judge_connections(shared, now) or judge_deliveries(event, rejected, now)

    async def _app_id(self) -> str:
        """From the app-level token, or else from the bot's own user."""
        token = self._settings.slack_app_token
        found = re.match(r"xapp-\d+-(A[A-Z0-9]+)-", token.get_secret_value()) if token else None
        if found:
            return found[1]
        answer = await self._client.bots_info(bot=self._bot_id)
        return str(answer["bot"]["app_id"])

    async def time(self) -> Finding:
        """Whether Slack's clock and ours agree; over HTTP every signature depends on it."""
        date = self._headers.get("date")
        if date is None:
            return skipped("Slack's answer has no date")
        harm = f"over HTTP every event is refused beyond {SIGNATURE_SECONDS:.0f} s"
        theirs = parsedate_to_datetime(date).timestamp()
        return judge_clock("Slack", theirs, self._asked_at, SIGNATURE_SECONDS / 5, harm)

    async def webhook(self) -> Finding:
        """Whether the bot answers at its public address: it refuses unsigned requests."""
        if self._settings.socket_mode:
            return skipped("not needed: events come through Socket Mode")
        if not self._url:
            return skipped("give --url or set BOT_PUBLIC_URL to try the address Slack sends to")
        address = self._url.rstrip("/") + EVENTS_PATH
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True) as session,
                session.post(address, json={}, allow_redirects=False) as response,
            ):
                status = response.status
        except aiohttp.ClientConnectorCertificateError:
            fix = "Slack sends only where it can verify the certificate, with its whole chain"
            return failed(f"the certificate of {address} cannot be verified", fix)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            fix = "is the web process running, and the address right?"
            return failed(f"{address} does not answer: {type(error).__name__}", fix)
        return judge_webhook(address, status)


def judge_manifest(there: Mapping[str, Any], socket_mode: bool, url: str) -> Finding:
    """Compare the app's manifest in Slack with what this deployment needs."""
    settings = there.get("settings") or {}
    subscribed = settings.get("event_subscriptions") or {}
    missing = sorted(set(EVENTS) - set(subscribed.get("bot_events") or ()))
    fix = f"put the output of `bot manifest` into {_APP_PAGE} → App Manifest, and save"
    if missing:
        return failed(f"not subscribed to: {', '.join(missing)}", fix)
    if bool(settings.get("socket_mode_enabled")) != socket_mode:
        has, has_not = ("HTTP", "Socket Mode") if socket_mode else ("Socket Mode", "HTTP")
        fix = "set or unset SLACK_APP_TOKEN, or change Socket Mode in the app's settings"
        return failed(f"Slack sends by {has}, the bot listens by {has_not}", fix)
    address = url.rstrip("/") + EVENTS_PATH
    if not socket_mode and url and subscribed.get("request_url") != address:
        fix = fix.replace("manifest`", f"manifest --url {url}`")
        return failed(f"Slack sends to {subscribed.get('request_url')}, not to {address}", fix)
    return ok(f"all {len(EVENTS)} of the manifest")


def judge_webhook(address: str, status: int) -> Finding:
    """401 is the bot's own answer to an unsigned request."""
    if status != 401:
        fix = f"something else answers there; Slack needs the bot at {EVENTS_PATH}"
        return failed(f"{address} answers {status} to an unsigned request, not 401", fix)
    if not address.startswith("https://"):
        return warning(f"{address} is not https", "Slack sends to https addresses only")
    return ok(address)


def _fix(code: str) -> str:
    return _FIXES.get(code, "see https://docs.slack.dev/reference/methods/auth.test")
