"""The pages on which people connect their accounts: `/connect/…`, `/oauth/callback`, and our client
ID metadata document.

A GET of the link changes nothing: programs that preview links in messages may send one.
"""

import secrets
from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import urlsplit

from aiohttp import web

from bot.telemetry.log import log
from bot.texts import accounts as texts
from bot.tools.accounts import (
    CLIENT_PATH,
    CONNECT_PATH,
    LINK_SECONDS,
    RETURN_PATH,
    Accounts,
)
from bot.tools.credential import ConnectFailed

COOKIE = "connect"
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}}
button{{font:inherit;padding:.5rem 1rem}}</style></head>
<body><h1>{title}</h1>{body}</body></html>
"""

Notify = Callable[[str, str, str], Awaitable[None]]
"""Asks a person in Slack for the code of the page: workspace, person, server."""


class ConnectSite:
    """The routes. `notify` asks the person in Slack for the code."""

    def __init__(self, accounts: Accounts, notify: Notify) -> None:
        self._accounts = accounts
        self._notify = notify

    @property
    def _cookie_path(self) -> str:
        """The path that browsers see, behind a proxy that strips part of it."""
        return urlsplit(self._accounts.callback).path

    def add_routes(self, site: web.Application) -> None:
        """Add the routes to the HTTP port of `web`."""
        site.router.add_get(CONNECT_PATH, self.show)
        site.router.add_post(CONNECT_PATH, self.begin)
        site.router.add_get(RETURN_PATH, self.finish)
        site.router.add_get(CLIENT_PATH, self.describe)

    async def show(self, request: web.Request) -> web.Response:
        """The page behind a link: whose account will be used by whom."""
        invitation = await self._accounts.invited(request.match_info["token"])
        if invitation is None:
            return _page(texts.TITLE, f"<p>{escape(texts.LINK_EXPIRED)}</p>", status=404)
        about = escape(texts.about(invitation.server, invitation.name or invitation.user_id))
        form = f'<form method="post"><button>{escape(texts.GO_ON)}</button></form>'
        return _page(texts.TITLE, f"<p>{about}</p><p>{escape(texts.ONLY_YOU)}</p>{form}")

    async def begin(self, request: web.Request) -> web.StreamResponse:
        """Send the person to the authorization server."""
        browser = secrets.token_urlsafe(32)
        try:
            address = await self._accounts.begin(request.match_info["token"], browser)
        except ConnectFailed as error:
            return _failed(error)
        answer = web.Response(status=303, headers={**HEADERS, "Location": address})
        answer.set_cookie(
            COOKIE,
            browser,
            max_age=LINK_SECONDS,
            path=self._cookie_path,
            httponly=True,
            samesite="Lax",
            secure=self._accounts.callback.startswith("https:"),
        )
        return answer

    async def finish(self, request: web.Request) -> web.Response:
        """The person comes back from the authorization server."""
        query = request.query
        try:
            invitation, code = await self._accounts.finish(
                query.get("state", ""),
                request.cookies.get(COOKIE, ""),
                query.get("code", ""),
                query.get("iss"),
            )
        except ConnectFailed as error:
            return _failed(error)
        await self._notify(invitation.team_id, invitation.user_id, invitation.server)
        half = len(code) // 2
        paragraphs = (
            f"<p>{escape(texts.enter_code(invitation.server))}</p>",
            f"<p><strong>{code[:half]}-{code[half:]}</strong></p>",
            f"<p>{escape(texts.TELL_NO_ONE)}</p>",
        )
        answer = _page(texts.TITLE, "".join(paragraphs))
        answer.del_cookie(COOKIE, path=self._cookie_path)
        return answer

    async def describe(self, _: web.Request) -> web.Response:
        """Our client ID metadata document."""
        document = {
            "client_id": self._accounts.client_url,
            "client_name": "threadbot",
            "redirect_uris": [self._accounts.callback],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
        }
        return web.json_response(document)


def _failed(error: ConnectFailed) -> web.Response:
    log.info("account_not_connected", reason=str(error)[:100])
    return _page(texts.TITLE, f"<p>{escape(texts.failed(str(error)))}</p>", status=400)


def _page(title: str, body: str, status: int = 200) -> web.Response:
    text = _PAGE.format(title=escape(title), body=body)
    return web.Response(text=text, status=status, content_type="text/html", headers=HEADERS)
