"""Requests to addresses that an MCP server has named, sent to the IP address that was checked.

A host is resolved once per request. Otherwise its owner could answer the check with a public
address and the connection with an internal one (DNS rebinding).
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from bot.tools.addresses import are_public, has_link_local
from bot.tools.credential import ConfiguredServer, ConnectFailed

TIMEOUT = 15.0
"""Seconds for one request, until the last byte of the answer."""
MOST_ADDRESSES = 4
"""Addresses of a host that are tried."""
OWN_INTERNAL = "the server's own address is internal, which its configuration does not allow"

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host; none if it is unknown."""


async def resolve(host: str) -> Sequence[str]:
    """The addresses that the system's resolver returns."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


class PinnedClient:
    """An HTTP client that follows no redirects.

    It keeps no connections: the certificate of a kept one was verified for another host at the
    same address.
    """

    def __init__(
        self,
        transport: httpx2.AsyncBaseTransport,
        resolve: Resolve = resolve,
        timeout: float = TIMEOUT,
    ) -> None:
        # An address that does not answer, such as one without a route, leaves time for the next.
        limits = httpx2.Timeout(timeout, connect=timeout / MOST_ADDRESSES)
        self._http = httpx2.AsyncClient(transport=transport, timeout=limits)
        self._resolve = resolve
        self._timeout = timeout

    async def check(self, url: str, home: ConfiguredServer) -> Sequence[str]:
        """The IP addresses of a URL that the server `home` has named.

        Raises ConnectFailed if it must not be visited: it has no HTTPS, or is internal while `home`
        is not.
        """
        named, own = httpx2.URL(url), httpx2.URL(home.url)
        is_own = named.host == own.host
        if named.scheme != "https" and not (is_own and named.scheme == own.scheme == "http"):
            raise ConnectFailed("the server names an address without HTTPS")
        addresses = tuple(await self._resolve(named.host))[:MOST_ADDRESSES]
        if not addresses:
            raise ConnectFailed("the server names an unknown host")
        is_near = home.is_internal and (is_own or not has_link_local(addresses))
        if not (is_near or are_public(addresses)):
            raise ConnectFailed(OWN_INTERNAL if is_own else "the server names an internal address")
        return addresses

    async def send(self, request: httpx2.Request, home: ConfiguredServer) -> httpx2.Response:
        """Send a request to a URL that the server `home` has named, and read the answer.

        Raises ConnectFailed and httpx2.HTTPError.
        """
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self.check(str(request.url), home)
                return await self._send(request, addresses)
        except TimeoutError:
            raise httpx2.ReadTimeout("the answer takes too long") from None

    async def _send(self, request: httpx2.Request, addresses: Sequence[str]) -> httpx2.Response:
        for address in addresses[:-1]:
            try:
                return await self._http.send(self._pinned(request, address))
            except (httpx2.ConnectError, httpx2.ConnectTimeout):
                continue
        return await self._http.send(self._pinned(request, addresses[-1]))

    def _pinned(self, request: httpx2.Request, address: str) -> httpx2.Request:
        """The request to an address; its `Host` header and its TLS name stay those of the host."""
        headers = request.headers.copy()
        headers["Connection"] = "close"
        return self._http.build_request(
            request.method,
            request.url.copy_with(host=address),
            headers=headers,
            content=request.read(),
            extensions={"sni_hostname": request.url.raw_host.decode("ascii")},
        )

    async def aclose(self) -> None:
        """Close the client."""
        await self._http.aclose()
