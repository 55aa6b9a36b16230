"""Installation into any workspace by OAuth: the "Add to Slack" page and the callback.

https://docs.slack.dev/authentication/installing-with-oauth
"""

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode, urljoin

from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.errors import BotError, Retry, StoreUnavailable, Undeliverable
from bot.settings import Settings
from bot.slack.client import error_code, exchange, slack_errors
from bot.slack.install_pages import Page, refused
from bot.slack.install_state import COOKIE, SECONDS, InstallStates, new_browser
from bot.slack.installed import access_circuit
from bot.slack.manifest import CALLBACK_PATH
from bot.store import Installation
from bot.store.shards import Shards
from bot.telemetry import audit_log
from bot.telemetry.log import log
from bot.texts import install as texts

INSTALL_PATH = "/slack/install"
CALLBACKS_PER_MINUTE = 120
_BROWSER = re.compile(r"[A-Za-z0-9_-]{32}")
_TEAM = re.compile(r"[TE][A-Z0-9]{1,30}")


class Refused(Exception):
    """The installation ends here; the text is for the person."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.text = text
        self.status = status


class Install:
    """The routes of the installation."""

    def __init__(
        self,
        shards: Shards,
        client: AsyncWebClient,
        settings: Settings,
        scopes: Sequence[str],
        on_change: Callable[[str], None],
    ) -> None:
        """`on_change` is called with the id of an installation that was stored."""
        assert settings.slack_client_id is not None
        assert settings.slack_client_secret is not None
        assert settings.bot_public_url is not None
        self._shards = shards
        self._client = client
        self._settings = settings
        self._scopes = scopes
        self._on_change = on_change
        self._client_id = settings.slack_client_id
        self._url = settings.bot_public_url.rstrip("/")
        self._states = InstallStates(
            settings.slack_client_secret.get_secret_value(), shards.home.flags
        )
        self._callbacks: deque[float] = deque(maxlen=CALLBACKS_PER_MINUTE)

    def add_routes(self, site: web.Application) -> None:
        """Serve both pages."""
        site.router.add_get(INSTALL_PATH, self.page)
        site.router.add_get(CALLBACK_PATH, self.callback)

    async def page(self, request: web.Request) -> web.Response:
        """The page with the button. `?team=T…` asks for that workspace."""
        browser = self._browser(request) or new_browser()
        link = self._authorize_url(self._states.issue(browser), request.query.get("team", ""))
        response = Page(texts.ADD, texts.ABOUT, texts.ADD, link).respond()
        response.set_cookie(
            COOKIE,
            browser,
            max_age=SECONDS,
            path="/",
            secure=self._url.startswith("https:"),
            httponly=True,
            samesite="Lax",  # Slack sends the browser back with a link
        )
        return response

    async def callback(self, request: web.Request) -> web.Response:
        """Where Slack sends the browser afterwards, with a code or an error."""
        try:
            installation = await self._install(request)
        except Refused as refusal:
            log.info("install_refused", reason=refusal.text, status=refusal.status)
            response = refused(refusal.text, self._url + INSTALL_PATH, refusal.status).respond()
        else:
            text = texts.installed_in(installation.name or installation.id)
            link = self._link_to_app(installation)
            response = Page(texts.INSTALLED, text, texts.OPEN, link).respond()
        return response

    async def _install(self, request: web.Request) -> Installation:
        query = request.query
        state, code = query.get("state", ""), query.get("code", "")
        if not self._states.is_valid(state, self._browser(request)):
            raise Refused(texts.STALE)
        self._count()
        try:
            if not await self._states.use_up(state):
                raise Refused(texts.STALE)
            if not code:
                raise Refused(texts.CANCELLED)
            installation = await self._exchange(code)
            store = self._shards.of(installation.id)
            if not await store.installations.save(installation):
                raise Refused(texts.REMOVED, 409)
            await store.circuits.forget(access_circuit(installation.id))
        except StoreUnavailable:
            raise Refused(texts.STORE_DOWN, 503) from None
        self._on_change(installation.id)
        by = installation.installed_by
        audit_log.record("workspace_installed", team=installation.id, user=by)
        log.info("workspace_installed", team=installation.id, by=installation.installed_by)
        return installation

    def _count(self) -> None:
        """Bound what a flood of callbacks can store."""
        now, calls = time.monotonic(), self._callbacks
        if len(calls) == calls.maxlen and now - calls[0] < 60:
            raise Refused(texts.BUSY, 429)
        calls.append(now)

    async def _exchange(self, code: str) -> Installation:
        """Exchange a code for the installation; Slack confirms whose token it is."""
        try:
            answer = await exchange(
                self._client, self._settings, code=code, redirect_uri=self._url + CALLBACK_PATH
            )
            with slack_errors():
                identity = await self._client.auth_test(token=answer["access_token"])
            installation = read_installation(answer, identity)
        except SlackApiError as error:
            log.warning("install_code_refused", error=error_code(error))
            raise Refused(texts.CODE_REFUSED) from None
        except Retry:
            raise Refused(texts.SLACK_DOWN, 503) from None
        except (KeyError, TypeError, ValueError, Undeliverable):
            raise Refused(texts.CODE_REFUSED) from None
        if installation is None:
            raise Refused(texts.CODE_REFUSED)
        await self._check_allowed(installation)
        return installation

    async def _check_allowed(self, installation: Installation) -> None:
        """Only the workspaces that may use the bot may install it; the others lose the token."""
        ids = {installation.team_id, installation.enterprise_id} - {""}
        allowed, denied = self._settings.bot_allow_teams, self._settings.bot_deny_teams
        if not ids & denied and (not allowed or ids & allowed):
            return
        try:
            with slack_errors():
                await self._client.auth_revoke(token=installation.token)
        except (SlackApiError, BotError) as error:
            log.warning("token_not_revoked", team=installation.id, error=str(error)[:100])
        raise Refused(texts.NOT_ALLOWED, 403)

    def _browser(self, request: web.Request) -> str:
        value = request.cookies.get(COOKIE, "")
        return value if _BROWSER.fullmatch(value) else ""

    def _authorize_url(self, state: str, team: str) -> str:
        query = {
            "client_id": self._client_id,
            "scope": ",".join(self._scopes),
            "redirect_uri": self._url + CALLBACK_PATH,
            "state": state,
        }
        if _TEAM.fullmatch(team):
            query["team"] = team
        return f"{urljoin(self._client.base_url, '/oauth/v2/authorize')}?{urlencode(query)}"

    def _link_to_app(self, installation: Installation) -> str:
        """Slack's own address of the workspace."""
        is_slack = re.fullmatch(r"https://[a-z0-9.-]+\.slack(-gov)?\.com/", installation.url)
        return installation.url if is_slack else ""


def read_installation(
    answer: AsyncSlackResponse, identity: AsyncSlackResponse
) -> Installation | None:
    """From Slack's answers; None unless both name the same workspace or organization."""
    is_org = bool(answer.get("is_enterprise_install"))
    team, enterprise = answer.get("team") or {}, answer.get("enterprise") or {}
    owner = enterprise if is_org else team
    id = str(owner.get("id") or "")
    named = {identity.get("team_id"), identity.get("enterprise_id") if is_org else None}
    if not _TEAM.fullmatch(id) or id not in named or answer.get("token_type") != "bot":
        return None
    expires_in = float(answer.get("expires_in") or 0)
    date = answer.headers.get("Date")
    now = parsedate_to_datetime(date).timestamp() if date else time.time()
    return Installation(
        id=id,
        name=str(owner.get("name") or ""),
        team_id="" if is_org else id,
        enterprise_id=str(enterprise.get("id") or ""),
        user_id=str(identity.get("user_id") or ""),
        bot_id=str(identity.get("bot_id") or ""),
        url=str(identity.get("url") or ""),
        token=str(answer["access_token"]),
        refresh_token=str(answer.get("refresh_token") or ""),
        expires_at=time.time() + expires_in if expires_in else 0.0,
        installed_at=now,
        installed_by=str((answer.get("authed_user") or {}).get("id") or ""),
        scopes=tuple(filter(None, str(answer.get("scope") or "").split(","))),
    )
