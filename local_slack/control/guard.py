"""Access control. Every request must be to this address and from its own origin; the page and the
control API also need the token."""

import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from local_slack.local_slack import LocalSlack

LOOPBACK = ("127.0.0.1", "localhost")
OWN_SITE = (None, "same-origin", "none")
"""`Sec-Fetch-Site` of requests from the page itself, a typed address or a program."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def refuse_other_origins(slack: LocalSlack) -> Middleware:
    """Middleware that refuses requests that a page of another site may have sent.

    It also protects the Web API, whose tokens are not secret here.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        port = slack.base_url.rpartition(":")[2]
        own = [f"{name}:{port}" for name in LOOPBACK]
        # slack_sdk's built-in Socket Mode client leaves the port out of its Host header.
        own_host = request.host in (*own, *LOOPBACK)
        own_origin = request.headers.get("Origin") in (None, *(f"http://{host}" for host in own))
        if not (own_host and own_origin):
            return web.json_response({"error": "forbidden"}, status=403)
        return await handler(request)

    return middleware


class PageGuard:
    """Admits requests with the token to the page and the control API.

    The token comes as `Authorization: Bearer`, as `?token=`, or in the page's cookie. Cookies
    ignore ports, so a page of another server on this machine would send ours: the cookie counts
    only if the browser says that the request has our own origin.
    """

    def __init__(self, slack: LocalSlack) -> None:
        self._slack = slack

    @property
    def cookie(self) -> str:
        """Its name; each workspace has its own, since cookies ignore ports."""
        return f"local_slack_{self._slack.base_url.rpartition(':')[2]}"

    def refuse(self, request: web.Request) -> web.Response | None:
        """A 401 response if the token is missing, else None."""
        if self.is_token(_given(request)) or self._has_cookie(request):
            return None
        return web.json_response({"error": "unauthorized"}, status=401)

    def is_token(self, given: str | None) -> bool:
        token = self._slack.control_token
        return given is not None and secrets.compare_digest(given.encode(), token.encode())

    def _has_cookie(self, request: web.Request) -> bool:
        own = request.headers.get("Sec-Fetch-Site") in OWN_SITE or _is_link_to_page(request)
        return own and self.is_token(request.cookies.get(self.cookie))


def _is_link_to_page(request: web.Request) -> bool:
    """Whether the request opens the page itself, for example from another workspace: it holds no
    data."""
    return request.path == "/" and request.headers.get("Sec-Fetch-Dest") == "document"


def _given(request: web.Request) -> str | None:
    header = request.headers.get("Authorization")
    if header is not None:
        return header.removeprefix("Bearer ")
    return request.query.get("token")
