"""IP addresses and host names: which of them are internal."""

import ipaddress
from collections.abc import Sequence

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All public addresses. `ipaddress` counts others as global, such as `fec0::1` and `::10.0.0.1`."""
_AZURE_HOST = ipaddress.ip_address("168.63.129.16")
_INTERNAL_DOMAINS = frozenset(
    {
        *("localhost", "local", "localdomain", "internal", "lan", "home", "corp", "intranet"),
        *("private", "test"),
    }
)
"""Top-level domains that no one can register."""


def is_internal_host(host: str) -> bool:
    """Whether a host is internal whatever DNS says: an internal IP address, a name without dots, or
    one that no one can register."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        return not are_public([name])
    except ValueError:
        *labels, last = name.split(".")
        return not labels or last in _INTERNAL_DOMAINS or name.endswith(".home.arpa")


def are_public(addresses: Sequence[str]) -> bool:
    """Whether there are IP addresses, all of them of the public internet. Raises ValueError."""
    return bool(addresses) and all(_is_public(_parse(each)) for each in addresses)


def has_link_local(addresses: Sequence[str]) -> bool:
    """Whether one of the addresses is link-local: there, clouds serve the secrets of a machine."""
    return any(_is_link_local(_parse(each)) for each in addresses)


def _parse(address: str) -> IpAddress:
    """An IP address; of one that contains an IPv4 address, the latter."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv4Address):
        return found
    if found in _NAT64:
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
    return found.ipv4_mapped or found.sixtofour or found


def _is_public(address: IpAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and not _is_link_local(address)


def _is_link_local(address: IpAddress) -> bool:
    return address.is_link_local or address == _AZURE_HOST
