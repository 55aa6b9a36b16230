"""OAuth by the rules of MCP, as two halves: the redirect to the authorization server, and the
callback.

Protected resource metadata (RFC 9728), server metadata (RFC 8414), PKCE, resource indicators
(RFC 8707), client ID metadata documents with dynamic registration as fallback, `iss` (RFC 9207),
revocation (RFC 7009). https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode, urlsplit

import httpx2
from mcp.client.auth import OAuthFlowError, OAuthRegistrationError, OAuthTokenError, PKCEParameters
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_client_registration_request,
    create_oauth_metadata_request,
    extract_resource_metadata_from_www_auth,
    extract_scope_from_www_auth,
    get_client_metadata_scopes,
    handle_auth_metadata_response,
    handle_protected_resource_response,
    handle_registration_response,
    handle_token_response_scopes,
    is_valid_client_metadata_url,
    issuers_match,
    should_use_client_metadata_url,
)
from mcp.shared.auth import OAuthClientMetadata, OAuthMetadata, ProtectedResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from pydantic import AnyUrl, ValidationError

from bot.tools.credential import Client, ConfiguredServer, ConnectFailed, Credential, NotConnected
from bot.tools.pinned import TIMEOUT, PinnedClient, Resolve, resolve

GRANTS = ["authorization_code", "refresh_token"]
_REFUSALS = (
    httpx2.codes.OK,  # some servers name an error there, too
    httpx2.codes.BAD_REQUEST,
    httpx2.codes.UNAUTHORIZED,
    httpx2.codes.FORBIDDEN,
)
_TEMPORARY = ("temporarily_unavailable", "server_error", "slow_down")
LONGEST_LIFE = 3600 * 24 * 365
"""Seconds after which a token is renewed at the latest."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit to an authorization server: its address for the person, its result (a credential
    without tokens), the PKCE verifier, and whether the server will name itself.
    """

    address: str
    credential: Credential
    verifier: str = field(repr=False)
    demands_iss: bool


class OAuth:
    """The client side of OAuth. `callback` is where authorization servers send people back,
    `client_url` the address of our client ID metadata document."""

    def __init__(
        self,
        callback: str,
        client_url: str,
        transport: httpx2.AsyncBaseTransport,
        resolve: Resolve = resolve,
    ) -> None:
        self._callback = callback
        self._client_url = client_url if is_valid_client_metadata_url(client_url) else None
        self._http = PinnedClient(transport, resolve)

    async def begin(self, home: ConfiguredServer, state: str, own: Client | None = None) -> Visit:
        """Prepare a person's visit for a configured server. Raises ConnectFailed.

        `own` is a client that was registered by hand.
        """
        try:
            async with asyncio.timeout(4 * TIMEOUT):
                return await self._begin(home, state, own)
        except (OAuthFlowError, OAuthRegistrationError, ValidationError) as error:
            raise ConnectFailed(
                f"the server's metadata is invalid ({type(error).__name__})"
            ) from None
        except httpx2.InvalidURL:
            raise ConnectFailed("the server names an invalid address") from None
        except (httpx2.HTTPError, TimeoutError, OSError):
            raise ConnectFailed("the server cannot be reached") from None

    async def _begin(self, home: ConfiguredServer, state: str, own: Client | None) -> Visit:
        asked = await self._http.send(httpx2.Request("GET", home.url), home)
        found = await self._resource(home, extract_resource_metadata_from_www_auth(asked))
        server = await self._server(home, found)
        for endpoint in (server.authorization_endpoint, server.token_endpoint):
            await self._http.check(str(endpoint), home)
        if "S256" not in (server.code_challenge_methods_supported or ()):
            raise ConnectFailed("the authorization server does not support PKCE")
        wanted = extract_scope_from_www_auth(asked)
        scope = get_client_metadata_scopes(wanted, found, server, GRANTS)
        credential = Credential(
            home.url,
            str(server.issuer),
            own or await self._client(server, scope, home),
            str(server.token_endpoint),
            str(found.resource) if found else resource_url_from_server_url(home.url),
            str(server.revocation_endpoint or ""),
            scope or "",
            is_internal=home.is_internal,
        )
        pkce = PKCEParameters.generate()
        address = self._address(server, credential, state, pkce.code_challenge)
        demands_iss = bool(server.authorization_response_iss_parameter_supported)
        return Visit(address, credential, pkce.code_verifier, demands_iss)

    def _address(
        self, server: OAuthMetadata, credential: Credential, state: str, challenge: str
    ) -> str:
        query = {
            "response_type": "code",
            "client_id": credential.client.id,
            "redirect_uri": self._callback,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "resource": credential.resource,
        }
        query |= {"scope": credential.scope} if credential.scope else {}
        endpoint = str(server.authorization_endpoint)
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    async def _resource(
        self, home: ConfiguredServer, announced: str | None
    ) -> ProtectedResourceMetadata | None:
        for url in build_protected_resource_metadata_discovery_urls(announced, home.url):
            answer = await self._http.send(create_oauth_metadata_request(url), home)
            found = await handle_protected_resource_response(answer)
            if found is None:
                continue
            ours = resource_url_from_server_url(home.url)
            if not check_resource_allowed(ours, str(found.resource)):
                raise ConnectFailed("the server's metadata is of another server")
            return found
        return None

    async def _server(
        self, home: ConfiguredServer, found: ProtectedResourceMetadata | None
    ) -> OAuthMetadata:
        issuer = str(found.authorization_servers[0]) if found else None
        for url in build_oauth_authorization_server_metadata_discovery_urls(issuer, home.url):
            answer = await self._http.send(create_oauth_metadata_request(url), home)
            goes_on, server = await handle_auth_metadata_response(answer)
            if server is not None:
                if issuer and not issuers_match(str(server.issuer), issuer):
                    raise ConnectFailed("the authorization server names another issuer")
                return server
            if not goes_on:
                break
        raise ConnectFailed("there is no authorization server")

    async def _client(
        self, server: OAuthMetadata, scope: str | None, home: ConfiguredServer
    ) -> Client:
        """Our identity there: the address of our metadata document, else a new registration."""
        if should_use_client_metadata_url(server, self._client_url):
            return Client(str(self._client_url))
        if not server.registration_endpoint:
            raise ConnectFailed("the authorization server knows no way to register this bot")
        metadata = client_metadata(self._callback, scope)
        request = create_client_registration_request(server, metadata, str(server.issuer))
        made = await handle_registration_response(await self._http.send(request, home))
        method = made.token_endpoint_auth_method or "none"
        if method not in ("none", "client_secret_post", "client_secret_basic"):
            raise ConnectFailed("the authorization server demands another kind of client")
        return Client(str(made.client_id), made.client_secret or "", method)

    async def finish(
        self, credential: Credential, home: ConfiguredServer, verifier: str, code: str
    ) -> Credential:
        """Exchange the code for tokens. Raises ConnectFailed."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
            "resource": credential.resource,
        }
        try:
            return await self._tokens(credential, home, form)
        except NotConnected:
            raise ConnectFailed("the authorization server refused the code") from None
        except (httpx2.HTTPError, TimeoutError, OSError):
            raise ConnectFailed("the authorization server cannot be reached") from None

    async def refresh(self, credential: Credential, home: ConfiguredServer) -> Credential:
        """New tokens. Raises NotConnected if the server refuses, and httpx2.HTTPError."""
        if not credential.refresh_token:
            raise NotConnected
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credential.refresh_token,
            "resource": credential.resource,
        }
        try:
            return await self._tokens(credential, home, form)
        except ConnectFailed as error:
            raise httpx2.ConnectError(str(error)) from None

    async def revoke(self, credential: Credential, home: ConfiguredServer) -> bool:
        """Revoke the tokens if the server supports that. Returns whether it did."""
        if not credential.revocation_url:
            return False
        token = credential.refresh_token or credential.access_token
        kind = "refresh_token" if credential.refresh_token else "access_token"
        form = {"token": token, "token_type_hint": kind}
        try:
            answer = await self._post(credential.revocation_url, credential, home, form)
            if answer.status_code == httpx2.codes.BAD_REQUEST and not credential.client.secret:
                # Servers of the MCP SDK demand the field from clients without a secret, too.
                form["client_secret"] = ""
                answer = await self._post(credential.revocation_url, credential, home, form)
        except (httpx2.HTTPError, TimeoutError, OSError, ConnectFailed):
            return False
        return answer.status_code == httpx2.codes.OK

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _tokens(
        self, credential: Credential, home: ConfiguredServer, form: Mapping[str, str]
    ) -> Credential:
        answer = await self._post(credential.token_url, credential, home, form)
        if _is_refusal(answer):
            raise NotConnected
        if answer.status_code != httpx2.codes.OK:
            raise httpx2.TransportError("the authorization server failed")
        try:
            token = await handle_token_response_scopes(answer)
        except OAuthTokenError:
            raise httpx2.TransportError("the authorization server's answer is unreadable") from None
        life = float(max(0, min(token.expires_in or 0, LONGEST_LIFE)))
        return replace(
            credential,
            access_token=token.access_token,
            refresh_token=token.refresh_token or credential.refresh_token,
            expires_at=time.time() + life if life else 0.0,
            scope=token.scope or credential.scope,
        )

    async def _post(
        self, url: str, credential: Credential, home: ConfiguredServer, form: Mapping[str, str]
    ) -> httpx2.Response:
        client = credential.client
        data, headers = dict(form), {"Accept": "application/json"}
        if client.method == "client_secret_basic":
            pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            data["client_id"] = client.id
            if client.method == "client_secret_post":
                data["client_secret"] = client.secret
        request = httpx2.Request("POST", url, data=data, headers=headers)
        return await self._http.send(request, home)


def _is_refusal(answer: httpx2.Response) -> bool:
    """Whether the authorization server refuses the grant itself (RFC 6749, section 5.2). Anything
    else, such as a limit or a page of a proxy, does not mean that the account has ended."""
    if answer.status_code not in _REFUSALS:
        return False
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        found = None
    error = found.get("error") if isinstance(found, dict) else None
    if isinstance(error, str):
        return error not in _TEMPORARY
    return answer.status_code in (httpx2.codes.BAD_REQUEST, httpx2.codes.UNAUTHORIZED)


def client_metadata(callback: str, scope: str | None = None) -> OAuthClientMetadata:
    """We as a client, for registrations and for our metadata document."""
    return OAuthClientMetadata(
        client_name="threadbot",
        redirect_uris=[AnyUrl(callback)],
        grant_types=list(GRANTS),
        response_types=["code"],
        token_endpoint_auth_method="none",
        scope=scope,
    )
