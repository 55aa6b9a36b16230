"""Several workspaces that share one app: OAuth pages, token rotation, uninstallation.

The app reaches all of them at one address. A token decides which workspace a call is for. Their
events come to one request URL, or over the sockets of the app-level token. Ids of people and
channels repeat across workspaces, as they may in Slack.
"""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from local_slack.api.web_api import Tokens
from local_slack.consent_page import consent_page
from local_slack.delivery.events import Event, authorization
from local_slack.delivery.socket_mode import SocketMode
from local_slack.local_slack import LocalSlack, Route
from local_slack.server import open_workspace
from local_slack.workspace.model import Channel, Json
from local_slack.workspace.state import State

CLIENT_ID = "1111.2222"
TOKEN_SECONDS = 43200
"""Life of a token with rotation."""


@dataclass
class Token:
    """A bot token of one workspace; `expires_at` is 0 without rotation."""

    team_id: str
    expires_at: float = 0.0
    state: str = "valid"
    """Or the error that Slack answers with: `token_revoked`, `account_inactive`."""


@dataclass
class Grant:
    """What a person agreed to; its code can be exchanged once."""

    team_id: str
    redirect_uri: str
    user_id: str
    scopes: str


@dataclass
class Distribution:
    """The app's side of Slack, for all its workspaces."""

    redirect_uris: list[str]
    rotation: bool
    signing_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    client_id: str = CLIENT_ID
    client_secret: str = field(default_factory=lambda: secrets.token_hex(16))
    app_token: str = field(default_factory=lambda: f"xapp-{secrets.token_hex(8)}")
    sockets: SocketMode = field(default_factory=lambda: SocketMode(State.app_id))
    workspaces: dict[str, LocalSlack] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    """The workspaces of the refresh tokens that were not used yet."""
    refreshes: int = 0
    is_down: bool = False
    asks: bool = False
    """Whether the person is asked on a page also if the app names the workspace."""
    on_install: Callable[[str], None] = lambda team_id: None
    """Called with the id of a workspace in which the app was installed."""
    base_url: str = ""

    @property
    def api_url(self) -> str:
        """For `AsyncWebClient(base_url=...)`."""
        return f"{self.base_url}/api/"

    def listen_at(self, url: str) -> None:
        """Deliver the events of all workspaces there, instead of through Socket Mode."""
        for slack in self.workspaces.values():
            slack.events_url = url

    def connect(self, name: str, *team_ids: str) -> str:
        """A Slack Connect channel of workspaces with distinct ids, with all people and bots in it.

        Slack sends one event for each message, in the name of the last workspace. Returns the id.
        """
        all_ = [self.workspaces[team_id].workspace for team_id in team_ids]
        people = [(each.team_id, user) for each in all_ for user in [*each.users.values()]]
        members, channel_id = [user.id for _, user in people], all_[0].new_id("C")
        channel = Channel(channel_id, "channel", name, members, is_ext_shared=True)
        channel.connected, channel.authorization = [*team_ids], authorization(all_[-1])
        for workspace in all_:
            for team_id, user in people:
                workspace.users.setdefault(user.id, replace(user, team_id=team_id))
            workspace.share_messages(all_[0], workspace.add_channel(replace(channel)))
        return channel_id

    # OAuth

    def agree(self, team_id: str, redirect_uri: str, scopes: str = "chat:write") -> str:
        """The code of a person who agrees to the installation in a workspace."""
        code = secrets.token_hex(12)
        user = next(iter(self.workspaces[team_id].workspace.users.values()))
        self.grants[code] = Grant(team_id, redirect_uri, user.id, scopes)
        return code

    def issue(self, team_id: str) -> Json:
        """New tokens of a workspace."""
        slack = self.workspaces[team_id]
        access = f"xoxb-{secrets.token_hex(8)}"
        expires_at = slack.clock.now() + TOKEN_SECONDS if self.rotation else 0.0
        self.tokens[access] = Token(team_id, expires_at)
        slack.web_api.more_tokens |= {access}
        if not self.rotation:
            return {"access_token": access}
        refresh = f"xoxe-1-{secrets.token_hex(8)}"
        self.refresh_tokens[refresh] = team_id
        return {"access_token": access, "refresh_token": refresh, "expires_in": TOKEN_SECONDS}

    def uninstall(self, team_id: str, *, first: str = "tokens_revoked") -> None:
        """Remove the app: its tokens end, and both events are sent."""
        for token in self.tokens.values():
            if token.team_id == team_id:
                token.state = "account_inactive"
        self.refresh_tokens = {k: v for k, v in self.refresh_tokens.items() if v != team_id}
        bot = self.workspaces[team_id].bot.id
        revoked: Json = {"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [bot]}}
        events: list[Json] = [revoked, {"type": "app_uninstalled"}]
        for event in sorted(events, key=lambda event: event["type"] != first):
            self.send(team_id, event)

    def send(self, team_id: str, event: Json) -> None:
        """Deliver an event about the app itself."""
        self.workspaces[team_id].deliveries_to_app.send_event(Event(event["type"], event))

    # Routes

    async def authorize(self, request: web.Request) -> web.Response:
        """The page on which a person chooses a workspace and agrees."""
        query = request.query
        if query.get("client_id") != self.client_id:
            return web.Response(status=400, text="invalid_client_id")
        if query.get("redirect_uri") not in self.redirect_uris:
            return web.Response(status=400, text="bad_redirect_uri")
        wanted = query.get("choose") or ("" if self.asks else query.get("team", ""))
        if wanted in self.workspaces:
            code = self.agree(wanted, query["redirect_uri"], query.get("scope", ""))
            answer = urlencode({"code": code, "state": query.get("state", "")})
            raise web.HTTPFound(f"{query['redirect_uri']}?{answer}")
        shown = [query["team"]] if query.get("team") in self.workspaces else list(self.workspaces)
        choices = {
            self.workspaces[team_id].workspace.team_name: urlencode({**query, "choose": team_id})
            for team_id in shown
        }
        denied = urlencode({"error": "access_denied", "state": query.get("state", "")})
        scopes = query.get("scope", "").split(",")
        return consent_page(choices, scopes, f"{query['redirect_uri']}?{denied}")

    async def call(self, request: web.Request) -> web.StreamResponse:
        """A method of the Web API, in the workspace of its token."""
        method = request.match_info["method"]
        if self.is_down:
            return web.Response(status=503, text="upstream connect error")
        if method == "oauth.v2.access":
            return web.json_response(self._exchange(await request.post()))
        if method == "apps.connections.open":
            return web.json_response(self._connect(request))
        header = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        given = header or str((await request.post()).get("token") or "")
        token = self.tokens.get(given)
        if token is None:
            return web.json_response({"ok": False, "error": "invalid_auth"})
        slack = self.workspaces[token.team_id]
        if error := self._refusal(token, slack):
            return web.json_response({"ok": False, "error": error})
        if method == "auth.revoke":
            token.state = "token_revoked"
            return web.json_response({"ok": True, "revoked": True})
        return await slack.web_api.serve(request)

    def _connect(self, request: web.Request) -> Json:
        if request.headers.get("Authorization") != f"Bearer {self.app_token}":
            return {"ok": False, "error": "invalid_auth"}
        host = self.base_url.removeprefix("http://")
        return {"ok": True, "url": f"ws://{host}/link/?ticket={self.sockets.issue_ticket()}"}

    def _refusal(self, token: Token, slack: LocalSlack) -> str:
        if token.state != "valid":
            return token.state
        is_expired = 0 < token.expires_at <= slack.clock.now()
        return "token_expired" if is_expired else ""

    def _exchange(self, form: Any) -> Json:
        if form.get("client_id") != self.client_id:
            return {"ok": False, "error": "invalid_client_id"}
        if form.get("client_secret") != self.client_secret:
            return {"ok": False, "error": "bad_client_secret"}
        if form.get("grant_type") == "refresh_token":
            return self._refresh(str(form.get("refresh_token")))
        grant = self.grants.pop(str(form.get("code")), None)
        if grant is None:
            return {"ok": False, "error": "invalid_code"}
        if grant.redirect_uri != form.get("redirect_uri"):
            return {"ok": False, "error": "bad_redirect_uri"}
        return self._installed(grant)

    def _refresh(self, refresh_token: str) -> Json:
        team_id = self.refresh_tokens.pop(refresh_token, None)
        if team_id is None:
            return {"ok": False, "error": "invalid_refresh_token"}
        self.refreshes += 1
        return self._answer(team_id, self.issue(team_id))

    def _installed(self, grant: Grant) -> Json:
        person = {"authed_user": {"id": grant.user_id}, "scope": grant.scopes}
        answer = self._answer(grant.team_id, self.issue(grant.team_id)) | person
        self.on_install(grant.team_id)
        return answer

    def _answer(self, team_id: str, tokens: Json) -> Json:
        workspace = self.workspaces[team_id].workspace
        team = {"id": workspace.team_id, "name": workspace.team_name}
        enterprise = {"id": workspace.enterprise_id, "name": "Local Enterprise"}
        return {
            "ok": True,
            "app_id": workspace.app_id,
            "token_type": "bot",
            "bot_user_id": workspace.bot.id,
            "team": None if workspace.org_install else team,
            "enterprise": enterprise if workspace.enterprise_id else None,
            "is_enterprise_install": workspace.org_install,
        } | tokens


@contextlib.asynccontextmanager
async def open_distribution(
    team_ids: Sequence[str] = ("T1", "T2", "T3"),
    *,
    redirect_uris: Iterable[str] = (),
    rotation: bool = False,
    organizations: Iterable[str] = (),
    distinct_ids: bool = False,
    **options: Any,
) -> AsyncIterator[Distribution]:
    """Workspaces with these ids, in which nothing is installed yet, at one address of loopback.

    With `distinct_ids` no id of a person, channel or bot is in two workspaces.
    Ids among `organizations` begin with E: the app is installed in the whole organization.
    `options` are those of `open_workspace`.
    """
    distribution = Distribution(list(redirect_uris), rotation)
    app = web.Application()
    app.router.add_get("/oauth/v2/authorize", distribution.authorize)
    app.router.add_route("*", "/api/{method}", distribution.call)
    app.router.add_get("/link/", distribution.sockets.serve)
    async with contextlib.AsyncExitStack() as stack:
        for number, id in enumerate((*team_ids, *organizations)):
            tokens = Tokens(secrets.token_hex(8), secrets.token_hex(8), distribution.signing_secret)
            first_id = 1 + number * 100_000 if distinct_ids else 1
            slack = await stack.enter_async_context(
                open_workspace(tokens=tokens, first_id=first_id, **options)
            )
            slack.deliveries_to_app.transport = Route(slack.http, distribution.sockets)
            slack.workspace.team_id, slack.workspace.team_name = id, f"Team {id}"
            if id.startswith("E"):
                slack.workspace.team_id, slack.workspace.enterprise_id = f"T{id}", id
                slack.workspace.org_install = True
                for user in slack.workspace.users.values():
                    user.enterprise_id, user.enterprise_teams = id, [f"T{id}"]
            distribution.workspaces[id] = slack
        runner = web.AppRunner(app, shutdown_timeout=0.5, access_log=None)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        distribution.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield distribution
