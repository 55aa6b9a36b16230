"""Connecting an account: metadata that is hostile, incomplete or of another server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from bot.tools.addresses import are_public, is_internal_host
from bot.tools.config import ServerConfig
from bot.tools.credential import (
    Client,
    ConfiguredServer,
    ConnectFailed,
    Credential,
    NotConnected,
)
from bot.tools.oauth import OAuth
from bot.tools.pinned import TIMEOUT, PinnedClient

HOME = "https://93.184.216.34"
SERVER = f"{HOME}/mcp"
PUBLIC = ConfiguredServer(SERVER, is_internal=False)
ISSUER = "https://93.184.216.35"
CALLBACK, CLIENT = "https://bot.example/oauth/callback", "https://bot.example/oauth/client.json"
RESOURCE = {"resource": SERVER, "authorization_servers": [ISSUER], "scopes_supported": ["notes"]}
METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/authorize?tenant=1",
    "token_endpoint": f"{ISSUER}/token",
    "registration_endpoint": f"{ISSUER}/register",
    "response_types_supported": ["code"],
    "code_challenge_methods_supported": ["S256"],
}


class Internet(httpx2.AsyncBaseTransport):
    """Answers by address; everything else is not found. `asked` are the addresses."""

    def __init__(self, **changes: Any) -> None:
        self.asked: list[str] = []
        self.sent: list[httpx2.Request] = []
        resource = RESOURCE | changes.pop("resource", {})
        self._pages: dict[str, Any] = {
            f"{HOME}/.well-known/oauth-protected-resource/mcp": resource,
            f"{ISSUER}/.well-known/oauth-authorization-server": METADATA | changes,
            f"{ISSUER}/register": {"client_id": "dyn", "redirect_uris": [CALLBACK]},
        }

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = str(request.url)
        self.asked.append(url)
        self.sent.append(request)
        if url not in self._pages:
            return httpx2.Response(401 if url == SERVER else 404, request=request)
        page = self._pages[url]
        if isinstance(page, httpx2.Response):
            return page
        return httpx2.Response(200, json=page, request=request)


@pytest.fixture
async def open_oauth() -> AsyncIterator[Callable[[Internet], OAuth]]:
    opened: list[OAuth] = []

    def open_(internet: Internet) -> OAuth:
        opened.append(OAuth(CALLBACK, CLIENT, internet))
        return opened[-1]

    yield open_
    for each in opened:
        await each.aclose()


Open = Callable[[Internet], OAuth]


async def test_a_visit_has_what_the_protocol_demands(open_oauth: Open) -> None:
    visit = await open_oauth(Internet()).begin(PUBLIC, "state-1")
    query = parse_qs(urlsplit(visit.address).query)
    assert query["tenant"] == ["1"]
    assert query["state"] == ["state-1"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["resource"] == [SERVER]
    assert query["scope"] == ["notes"]
    assert query["client_id"] == ["dyn"]
    assert visit.verifier not in visit.address
    assert "verifier" not in repr(visit)


async def test_the_metadata_document_is_preferred_to_a_registration(open_oauth: Open) -> None:
    internet = Internet(client_id_metadata_document_supported=True)
    visit = await open_oauth(internet).begin(PUBLIC, "state-1")
    assert visit.credential.client == Client(CLIENT)
    assert f"{ISSUER}/register" not in internet.asked


async def test_a_client_of_the_file_is_preferred_to_both(open_oauth: Open) -> None:
    internet = Internet()
    own = Client("ours", "sesame", "client_secret_basic")
    visit = await open_oauth(internet).begin(PUBLIC, "state-1", own)
    assert visit.credential.client == own
    assert "sesame" not in repr(visit)
    assert f"{ISSUER}/register" not in internet.asked


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_methods_supported": None},
        {"code_challenge_methods_supported": ["plain"]},
        {"issuer": "https://93.184.216.36"},
        {"token_endpoint": "http://93.184.216.35/token"},
        {"token_endpoint": "https://10.0.0.1/token"},
        {"authorization_endpoint": "https://[::1]/authorize"},
        {"registration_endpoint": "https://169.254.169.254/register"},
        {"registration_endpoint": None},
        {"resource": {"resource": "https://other.example/mcp"}},
        {"resource": {"authorization_servers": ["https://127.0.0.1"]}},
        {"resource": {"authorization_servers": ["http://93.184.216.35"]}},
    ],
)
async def test_what_a_hostile_server_says_is_refused(
    open_oauth: Open, changes: dict[str, Any]
) -> None:
    internet = Internet(**changes)
    with pytest.raises(ConnectFailed):
        await open_oauth(internet).begin(PUBLIC, "state-1")
    for url in internet.asked:
        assert urlsplit(url).hostname in ("93.184.216.34", "93.184.216.35")
        assert urlsplit(url).scheme == "https"


async def test_an_internal_server_may_have_an_internal_authorization_server() -> None:
    client = PinnedClient(Internet())
    tls, plain = (
        ConfiguredServer("https://10.0.0.1/mcp", True),
        ConfiguredServer("http://127.0.0.1:9/mcp", True),
    )
    await client.check("https://10.0.0.2/token", tls)
    await client.check("http://127.0.0.1:9/token", plain)
    for url, home in (
        ("http://10.0.0.2/token", tls),
        ("https://169.254.169.254/token", tls),
        ("https://168.63.129.16/token", tls),
        ("javascript:alert(1)", PUBLIC),
        ("https:///token", PUBLIC),
    ):
        with pytest.raises(ConnectFailed):
            await client.check(url, home)


INTERNAL = (
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254"),
    *("0.0.0.0", "255.255.255.255", "224.0.0.1", "192.0.2.1", "168.63.129.16", "::1", "::"),
    *("fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
    *("2002:a00:1::", "::ffff:169.254.169.254", "::10.0.0.1", "fec0::1"),
)


def test_addresses_that_are_not_of_the_public_internet() -> None:
    assert [address for address in INTERNAL if are_public([address])] == []
    assert not are_public(["93.184.216.34", "10.0.0.1"])
    assert are_public(["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])


@pytest.mark.parametrize(
    "host",
    [
        *("127.1", "2130706433", "0x7f000001", "0177.0.0.1", "localhost", "localhost.", "0"),
        *(
            "[::ffff:127.0.0.1]",
            "[::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "127.0.0.1.",
            "%31%32%37.1",
        ),
    ],
)
async def test_other_spellings_of_internal_addresses_are_refused(host: str) -> None:
    """The system's resolver reads octal and decimal numbers as addresses."""
    internet = Internet(token_endpoint=f"https://{host}/token")
    client = OAuth(CALLBACK, CLIENT, internet)
    with pytest.raises(ConnectFailed):
        await client.begin(PUBLIC, "state-1")
    await client.aclose()


class Rebinding:
    """A resolver whose answers for one host change from public to internal."""

    def __init__(self, *answers: str) -> None:
        self.answers = list(answers)

    async def __call__(self, host: str) -> list[str]:
        if host != "rebinding.example":
            return [host]
        return [self.answers.pop(0)]


async def test_a_request_goes_to_the_address_that_was_checked() -> None:
    """The owner of a host may change its address between the check and the connection."""
    internet, rebinding = Internet(), Rebinding("93.184.216.99", "10.0.0.1")
    client = PinnedClient(internet, rebinding)
    request = httpx2.Request("POST", "https://rebinding.example:8443/token", data={"a": "b"})
    await client.send(request, PUBLIC)
    (sent,) = internet.sent
    assert str(sent.url) == "https://93.184.216.99:8443/token"
    assert sent.headers["Host"] == "rebinding.example:8443"
    assert sent.headers["Connection"] == "close"
    assert sent.extensions["sni_hostname"] == "rebinding.example"
    assert sent.content == b"a=b"
    with pytest.raises(ConnectFailed):
        await client.send(request, PUBLIC)
    assert len(internet.sent) == 1


@pytest.mark.parametrize("is_internal", [True, False, None])
async def test_a_public_server_cannot_become_internal_by_its_dns(is_internal: bool | None) -> None:
    """Its owner has the name resolve to an internal address, before or after it is connected; what
    an older version stored about that does not count.
    """
    url = "https://rebinding.example/mcp"
    home = ConfiguredServer(url, ServerConfig(url=url, auth="person").is_internal)
    token_url = "https://10.0.0.1/token"
    known = Credential(url, ISSUER, Client("us"), token_url, url, is_internal=is_internal)
    internet = Internet()
    client = OAuth(CALLBACK, CLIENT, internet, Rebinding(*["127.0.0.1"] * 9))
    with pytest.raises(ConnectFailed, match="own address is internal"):
        await client.begin(home, "state-1")
    with pytest.raises(ConnectFailed, match="names an internal address"):
        await client.finish(known, home, "verifier", "code-1")
    with pytest.raises(httpx2.ConnectError):
        await client.refresh(replace(known, refresh_token="r"), home)
    assert not await client.revoke(replace(known, revocation_url="https://10.0.0.1/revoke"), home)
    assert internet.asked == []
    await client.aclose()


def test_the_configuration_decides_which_servers_are_internal() -> None:
    internal = (
        *("mcp", "localhost", "127.0.0.1", "[::1]", "10.0.0.1", "192.168.1.1.", "fd00::1"),
        *("mcp.tools.svc.cluster.local", "MCP.Internal.", "notes.lan", "nas.home.arpa"),
    )
    assert [host for host in internal if not is_internal_host(host)] == []
    public = (
        "example.com",
        "local.example.com",
        "93.184.216.34",
        "127.0.0.1.nip.io",
        "localhost.co",
    )
    assert [host for host in public if is_internal_host(host)] == []
    url = "https://mcp.corp.example.com/mcp"
    assert not ServerConfig(url=url, auth="person").is_internal
    assert ServerConfig(url=url, auth="person", internal=True).is_internal
    assert not ServerConfig(url="https://mcp/mcp", auth="person", internal=False).is_internal


@pytest.mark.parametrize("error", [httpx2.ConnectError, httpx2.ConnectTimeout])
async def test_the_next_address_is_tried_if_one_does_not_answer(
    error: type[httpx2.TransportError],
) -> None:
    class Partly(Internet):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.url.host == "2606:4700::1111":
                assert request.extensions["timeout"]["connect"] < TIMEOUT
                raise error("unreachable")
            return await super().handle_async_request(request)

    async def resolve(host: str) -> list[str]:
        return ["2606:4700::1111", "93.184.216.34"]

    internet = Partly()
    client = PinnedClient(internet, resolve)
    answer = await client.send(httpx2.Request("GET", "https://two.example/"), PUBLIC)
    assert answer.status_code == 404
    assert internet.asked == ["https://93.184.216.34/"]


async def test_an_answer_that_never_ends_is_cut_off() -> None:
    class Dripping(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                yield b" "
                await asyncio.sleep(0.01)

    class Slow(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(200, stream=Dripping(), request=request)

    client = PinnedClient(Slow(), timeout=0.2)
    with pytest.raises(httpx2.HTTPError):
        await client.send(httpx2.Request("GET", SERVER), PUBLIC)


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
async def test_a_client_authenticates_as_it_was_registered(open_oauth: Open, method: str) -> None:
    internet = Internet()
    internet._pages[f"{ISSUER}/token"] = {
        "access_token": "a",
        "token_type": "Bearer",
        "expires_in": 60,
        "refresh_token": "r",
    }
    client = Client("us", "" if method == "none" else "s:1", method)
    known = Credential(SERVER, ISSUER, client, f"{ISSUER}/token", SERVER)
    got = await open_oauth(internet).finish(known, PUBLIC, "verifier", "code-1")
    assert (got.access_token, got.refresh_token) == ("a", "r")
    assert "access_token='a'" not in repr(got)
    request = internet.sent[-1]
    form = parse_qs(request.content.decode())
    assert (form["code_verifier"], form["resource"]) == (["verifier"], [SERVER])
    assert ("Authorization" in request.headers) == (method == "client_secret_basic")
    assert form.get("client_secret") == (["s:1"] if method == "client_secret_post" else None)


async def test_a_malformed_answer_is_an_error(open_oauth: Open) -> None:
    internet = Internet()
    internet._pages[f"{ISSUER}/token"] = ["no", json.dumps({})]
    known = Credential(SERVER, ISSUER, Client("us"), f"{ISSUER}/token", SERVER)
    with pytest.raises(ConnectFailed):
        await open_oauth(internet).finish(known, PUBLIC, "verifier", "code-1")


def answered(status: int, body: str) -> httpx2.Response:
    return httpx2.Response(status, text=body, request=httpx2.Request("POST", f"{ISSUER}/token"))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answered(400, '{"error": "invalid_grant"}'), NotConnected),
        (answered(401, ""), NotConnected),
        (answered(403, '{"error": "access_denied"}'), NotConnected),
        (answered(200, '{"error": "bad_refresh_token"}'), NotConnected),
        (answered(429, '{"error": "rate_limited"}'), httpx2.HTTPError),
        (answered(400, '{"error": "temporarily_unavailable"}'), httpx2.HTTPError),
        (answered(403, "<p>Blocked"), httpx2.HTTPError),
        (answered(404, '{"error": "no route"}'), httpx2.HTTPError),
        (answered(307, ""), httpx2.HTTPError),
        (answered(503, ""), httpx2.HTTPError),
        (answered(200, "<p>Maintenance"), httpx2.HTTPError),
        (answered(200, "[" * 100_000), httpx2.HTTPError),
    ],
    ids=lambda value: f"{value.status_code} {value.text[:12]}" if hasattr(value, "text") else "",
)
async def test_only_a_refused_grant_ends_an_account(
    open_oauth: Open, answer: httpx2.Response, error: type[Exception]
) -> None:
    """After a limit or a page of a proxy the account is kept, and its token renewed later."""
    internet = Internet()
    internet._pages[f"{ISSUER}/token"] = answer
    known = Credential(SERVER, ISSUER, Client("us"), f"{ISSUER}/token", SERVER, refresh_token="r")
    with pytest.raises(error):
        await open_oauth(internet).refresh(known, PUBLIC)
