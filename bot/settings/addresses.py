"""Addresses of Redis in `REDIS_URL`: one server, a primary behind Sentinels, a Redis Cluster.

Several servers, or several groups of Sentinels, are separated by spaces or commas.

redis://[user[:password]@]host[:port][/db]            rediss:// for TLS, unix:// for a socket
redis+sentinel://[user[:password]@]host[:port],…/primary[/db][?sentinel_password=…]
redis+cluster://[user[:password]@]host[:port],…
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

AddressKind = Literal["server", "sentinel", "cluster"]
Host = tuple[str, int]
"""A host name or IP address, and a port."""

SCHEMES: dict[str, tuple[AddressKind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "unix": ("server", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
"""The kind of deployment and whether its connections are encrypted, by the URL's scheme."""
PORTS: dict[AddressKind, int] = {"server": 6379, "sentinel": 26379, "cluster": 6379}
SENTINEL_OPTIONS = ("sentinel_username", "sentinel_password", "sentinel_tls")
_SEPARATOR = re.compile(r"(?:\s+|\s*,\s*)(?=[a-z+]+://)")
"""Between two addresses; within one, a comma separates its hosts or is a part of its password, and
a space is a part of a socket's path."""
_SWITCH = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\[\]:@\s]+))(?::(?P<port>\d+))?")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is. `hosts` are the server, the Sentinels, or some nodes of the cluster; they are
    empty for a Unix socket."""

    kind: AddressKind
    tls: bool
    hosts: tuple[Host, ...] = ()
    url: str = field(default="", repr=False)
    """The address of one server, as redis-py reads it."""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    primary: str = ""
    """The name under which the Sentinels watch the primary."""
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False, compare=False)
    """The passwords in it, as they are and as the URL writes them."""

    @property
    def name(self) -> str:
        """The hosts, or the path of the socket: for people, without a password."""
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        return hosts or unquote(urlsplit(self.url).path)


def split_addresses(url: str) -> tuple[str, ...]:
    """The addresses in a `REDIS_URL`, which is one or a list."""
    return tuple(part for part in _SEPARATOR.split(url.strip()) if part)


def parse_addresses(url: str) -> tuple[Address, ...]:
    """Read one address or a list. Raises ValueError, whose text contains no part of `url`."""
    texts = split_addresses(url)
    if len(texts) < 2:
        return (parse_address(url.strip()),)
    found = []
    for number, text in enumerate(texts, 1):
        try:
            found.append(parse_address(text))
        except ValueError as error:
            raise ValueError(f"address {number} of {len(texts)} {error}") from None
    _check_list(texts, found)
    return tuple(found)


def _check_list(texts: tuple[str, ...], found: list[Address]) -> None:
    if any(address.kind == "cluster" for address in found):
        raise ValueError("lists a cluster; it takes one address, and spreads the shards itself")
    if len({text.partition("://")[0] for text in texts}) > 1:
        raise ValueError("mixes schemes: all addresses must begin with the same one")
    places = [_place(text, address) for text, address in zip(texts, found, strict=True)]
    for place, count in Counter(places).items():
        if count > 1:
            first, second = [at for at, each in enumerate(places, 1) if each == place][:2]
            raise ValueError(f"names one server twice: addresses {first} and {second}")


def _place(text: str, address: Address) -> tuple[object, ...]:
    """The part of an address that distinguishes two servers: not the database, the user or the
    password."""
    if not address.hosts:
        return (urlsplit(text).path,)
    hosts = sorted((host.lower(), port) for host, port in address.hosts)
    return (tuple(hosts), address.primary)


def parse_address(url: str) -> Address:
    """Read an address. Raises ValueError, whose text contains no part of `url`."""
    scheme, slashes, rest = url.partition("://")
    if not slashes or scheme not in SCHEMES:
        raise ValueError(f"must begin with {_schemes()}")
    kind, tls = SCHEMES[scheme]
    if kind == "server":
        return _server(url, tls=tls)
    if "#" in rest:
        raise ValueError("contains a #; in a password write %23")
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    userinfo, _, hosts = authority.rpartition("@")
    username, _, password = userinfo.partition(":")
    options = _options(query, SENTINEL_OPTIONS if kind == "sentinel" else ())
    primary, db = _names(kind, path)
    return Address(
        kind,
        tls,
        tuple(_host(text, PORTS[kind]) for text in hosts.split(",")),
        db=db,
        username=unquote(username) or None,
        password=unquote(password) or None,
        primary=primary,
        sentinel_username=options.get("sentinel_username") or None,
        sentinel_password=options.get("sentinel_password") or None,
        sentinel_tls=_switch(options.get("sentinel_tls"), tls) if kind == "sentinel" else tls,
        secrets=both_forms(password, *re.findall(r"sentinel_password=([^&]*)", query)),
    )


def both_forms(*passwords: str | None) -> tuple[str, ...]:
    """Passwords of addresses, each as the address writes it and as it is."""
    forms = [form for each in passwords if each for form in (each, unquote(each))]
    return tuple(dict.fromkeys(forms))


def _schemes() -> str:
    *most, last = (f"{scheme}://" for scheme in SCHEMES)
    return f"{', '.join(most)} or {last}"


def _server(url: str, *, tls: bool) -> Address:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("has a host or port that cannot be read") from None
    if host and "," in host:
        raise ValueError(
            "names several hosts; that takes redis+sentinel:// or redis+cluster://, or for several "
            "servers a complete address of each"
        )
    hosts = ((host, port or PORTS["server"]),) if host else ()
    queried = re.findall(r"[?&]password=([^&]*)", url)
    return Address("server", tls, hosts, url, secrets=both_forms(parts.password, *queried))


def _names(kind: AddressKind, path: str) -> tuple[str, int]:
    """The primary's name and the number of the database in a path."""
    parts = [unquote(part) for part in path.strip("/").split("/")] if path.strip("/") else []
    primary = parts.pop(0) if kind == "sentinel" and parts else ""
    if kind == "sentinel" and not primary:
        raise ValueError("lacks the primary's name: redis+sentinel://host:26379/mymaster")
    if len(parts) > 1 or (parts and not re.fullmatch(r"\d{1,4}", parts[0])):
        raise ValueError("has a path that is no number of a database")
    db = int(parts[0]) if parts else 0
    if kind == "cluster" and db:
        raise ValueError("names a database; a cluster has only database 0")
    return primary, db


def _host(text: str, port: int) -> Host:
    found = _HOST.fullmatch(text)
    number = int(found["port"] or port) if found else 0
    if not found or not 0 < number < 65536:
        raise ValueError("has a host or port that cannot be read: write host:port,host:port")
    return found["v6"] or found["name"], number


def _options(query: str, known: tuple[str, ...]) -> Mapping[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := set(options) - set(known):
        raise ValueError(f"has {len(unknown)} unknown options; {_known(known)}")
    return options


def _known(names: tuple[str, ...]) -> str:
    return f"known are {', '.join(names)}" if names else "none is known here"


def _switch(text: str | None, default: bool) -> bool:
    if text is None:
        return default
    if text.lower() not in _SWITCH:
        raise ValueError("sentinel_tls must be yes or no")
    return _SWITCH[text.lower()]
