"""An MCP server with the SDK's own authorization server, for accounts of people."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    OAuthAuthorizationServerProvider,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from tests.ports import free_port
from tests.tools.servers import READ, WRITE, serve_http

SCOPES = ["notes"]


@dataclass
class Provider(OAuthAuthorizationServerProvider[AuthorizationCode, RefreshToken, AccessToken]):
    """Grants every request at once, for the account that is signed in in the browser."""

    account: str = "alice@example.com"
    lifetime: int = 3600
    """Seconds for which an access token is valid."""
    clients: dict[str, OAuthClientInformationFull] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    refreshing: dict[str, RefreshToken] = field(default_factory=dict)
    refreshed: int = 0
    revoked: list[str] = field(default_factory=list)
    issuer: str = ""
    called: list[str] = field(default_factory=list)
    """The accounts with which the tools were called."""

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        self.clients[client_info.client_id or ""] = client_info

    async def authorize(
        self, client: OAuthClientInformationFull, params: AuthorizationParams
    ) -> str:
        code = secrets.token_hex(16)
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or SCOPES,
            expires_at=time.time() + 60,
            client_id=client.client_id or "",
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=True,
            resource=params.resource,
            subject=self.account,
        )
        where = str(params.redirect_uri)
        return construct_redirect_uri(where, code=code, state=params.state, iss=self.issuer)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._issue(client, authorization_code.subject, authorization_code.resource)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return self.refreshing.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        self.refreshed += 1
        del self.refreshing[refresh_token.token]
        return self._issue(client, refresh_token.subject, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        found = self.access.get(token)
        return found if found and (found.expires_at or 0) > time.time() else None

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        self.revoked.append(token.subject or "")
        who = token.subject
        self.access = {key: each for key, each in self.access.items() if each.subject != who}
        kept = {key: each for key, each in self.refreshing.items() if each.subject != who}
        self.refreshing = kept

    def _issue(
        self, client: OAuthClientInformationFull, subject: str | None, resource: str | None
    ) -> OAuthToken:
        access, refresh = f"access-{secrets.token_hex(16)}", f"refresh-{secrets.token_hex(16)}"
        ends, owner = int(time.time() + self.lifetime), client.client_id or ""
        self.access[access] = AccessToken(
            token=access,
            client_id=owner,
            scopes=SCOPES,
            expires_at=ends,
            resource=resource,
            subject=subject,
        )
        self.refreshing[refresh] = RefreshToken(
            token=refresh, client_id=owner, scopes=SCOPES, resource=resource, subject=subject
        )
        return OAuthToken(
            access_token=access,
            token_type="Bearer",
            expires_in=self.lifetime,
            refresh_token=refresh,
            scope=" ".join(SCOPES),
        )


def build(provider: Provider, origin: str) -> MCPServer[Any]:
    """A server with a tool that reads and one that writes, both of the account's own."""
    provider.issuer = origin
    server: MCPServer[Any] = MCPServer(
        "notes",
        auth_server_provider=provider,
        auth=AuthSettings.model_validate(
            {
                "issuer_url": origin,
                "resource_server_url": f"{origin}/mcp",
                "required_scopes": SCOPES,
                "client_registration_options": ClientRegistrationOptions(
                    enabled=True, valid_scopes=SCOPES, default_scopes=SCOPES
                ),
                "revocation_options": RevocationOptions(enabled=True),
                "validate_token_resource": True,
            }
        ),
    )

    def account() -> str:
        token = get_access_token()
        provider.called.append(token.subject or "" if token else "")
        return provider.called[-1]

    @server.tool(annotations=READ)
    def whoami() -> str:
        """Whose account it is; repeats the token, as careless servers do."""
        name, token = account(), get_access_token()
        return f"you are {name} with {token.token if token else ''}"

    @server.tool(annotations=WRITE)
    def note(text: str) -> str:
        """Write a note."""
        return f"noted for {account()}: {text}"

    return server


@asynccontextmanager
async def open_notes(provider: Provider) -> AsyncIterator[str]:
    """Such a server on a free port; yields its address."""
    port = free_port()
    async with serve_http(build(provider, f"http://127.0.0.1:{port}"), port) as url:
        yield url
