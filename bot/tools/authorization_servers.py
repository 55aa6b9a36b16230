"""The authorization servers of the servers at which people have accounts."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.tools.addresses import is_internal_host
from bot.tools.config import ServerConfig
from bot.tools.credential import ConfiguredServer, Credential

if TYPE_CHECKING:
    from bot.tools.oauth import OAuth

LARGEST_METADATA = 1_000_000
"""Maximum bytes of one answer of an authorization server."""


class AuthorizationServers:
    """The OAuth client, and the configured server that each credential is for.

    `callback` and `client_url` are those of `OAuth`.
    """

    def __init__(self, servers: Mapping[str, ServerConfig], callback: str, client_url: str) -> None:
        self._servers = servers
        self._callback = callback
        self._client_url = client_url
        self._oauth: OAuth | None = None

    async def client(self) -> "OAuth":
        """The OAuth client. It imports the MCP SDK, which takes a second: in a thread."""
        if self._oauth is None:
            from bot.tools.http import McpTransport

            oauth = await asyncio.to_thread(_load_oauth)
            transport = McpTransport(LARGEST_METADATA)
            self._oauth = oauth(self._callback, self._client_url, transport)
        return self._oauth

    def home(self, server: str, credential: Credential) -> ConfiguredServer:
        """The server of a credential. Of one that is not configured any more, only its name says
        whether it is internal."""
        config, url = self._servers.get(server), credential.server_url
        if config is not None and config.url == url:
            return ConfiguredServer(url, config.is_internal)
        return ConfiguredServer(url, is_internal_host(urlsplit(url).hostname or ""))

    async def revoke(self, server: str, credential: Credential) -> bool:
        """Revoke the tokens if the server supports that. Returns whether it did."""
        return await (await self.client()).revoke(credential, self.home(server, credential))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._oauth is not None:
            await self._oauth.aclose()


def _load_oauth() -> "type[OAuth]":
    from bot.tools.oauth import OAuth

    return OAuth
