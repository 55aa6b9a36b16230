"""Requests to addresses that an MCP server has named, sent to the IP address that was checked.

A host is resolved once per request. Otherwise its owner could answer the check with a public
address and the connection with an internal one (DNS rebinding).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx2

from bot.tools.credential import ConnectFailed

TIMEOUT = 15.0
"""Seconds for one request, until the last byte of the answer."""
MOST_ADDRESSES = 4
"""Addresses of a host that are tried."""

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the IP addresses of a host; none if it is unknown."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All public addresses. `ipaddress` counts others as global, such as `fec0::1` and `::10.0.0.1`."""
_AZURE_HOST = ipaddress.ip_address("168.63.129.16")


async def resolve(host: str) -> Sequence[str]:
    """The addresses that the system's resolver returns."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class Home:
    """A configured server. Only an internal one may name internal addresses."""

    url: str
    is_internal: bool


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

    async def home(self, url: str) -> Home:
        """A configured server, as its host resolves now. Raises ConnectFailed if it does not."""
        addresses = await self._resolve(httpx2.URL(url).host)
        if not addresses:  # not internal: its owner could have its resolver fail for a moment
            raise ConnectFailed("the server's host is unknown")
        return Home(url, not are_public(addresses))

    async def check(self, url: str, home: Home) -> Sequence[str]:
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
            raise ConnectFailed("the server names an internal address")
        return addresses

    async def send(self, request: httpx2.Request, home: Home) -> httpx2.Response:
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


def are_public(addresses: Sequence[str]) -> bool:
    """Whether there are addresses, all of them of the public internet."""
    return bool(addresses) and all(_is_public(_parse(each)) for each in addresses)


def has_link_local(addresses: Sequence[str]) -> bool:
    """Whether one of the addresses is link-local: there, clouds serve the secrets of a machine."""
    return any(_is_link_local(_parse(each)) for each in addresses)


def _parse(address: str) -> Address:
    """An IP address; of one that contains an IPv4 address, the latter."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if found in _NAT64:
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour or found


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not _is_link_local(address)


def _is_link_local(address: Address) -> bool:
    return address.is_link_local or address == _AZURE_HOST
