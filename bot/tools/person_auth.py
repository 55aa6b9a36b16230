"""Requests to an MCP server with the token of one person."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import httpx2

from bot.tools.credential import NotConnected

GetToken = Callable[[str], Awaitable[str]]
"""The person's token; the argument is one that the server has refused, or "". Raises
NotConnected."""

DropAccount = Callable[[str], Awaitable[None]]
"""Forgets the account with a token that the server refuses although it is new."""


class PersonAuth(httpx2.Auth):
    """Adds the token. A refused one is renewed once; a refused request had no effect."""

    def __init__(self, get_token: GetToken, drop: DropAccount) -> None:
        self._get_token = get_token
        self._drop = drop
        self._used = ""
        self._before = ""
        self.is_refused = False
        """Whether the server has refused the person's tokens, or there are none."""

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """Send a request; on a 401 again with a renewed token."""
        token = await self._token("")
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == httpx2.codes.UNAUTHORIZED:
            request.headers["Authorization"] = f"Bearer {await self._token(token)}"
            response = yield request
        self.is_refused = response.status_code == httpx2.codes.UNAUTHORIZED
        if self.is_refused:
            await self._drop(self._used)

    async def ready(self) -> None:
        """Renew the token if it ends soon. Raises NotConnected, and httpx2.HTTPError while the
        authorization server cannot be reached."""
        await self._token("")

    @property
    def secrets(self) -> tuple[str, ...]:
        """The tokens that the server may repeat: the newest one, and the one before."""
        return tuple(token for token in (self._used, self._before) if token)

    async def _token(self, refused: str) -> str:
        try:
            token = await self._get_token(refused)
        except NotConnected:
            self.is_refused = True
            raise
        if token != self._used:
            self._used, self._before = token, self._used
        return token
