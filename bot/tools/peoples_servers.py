"""People's connections to the servers that need their own account."""

import asyncio
from collections import OrderedDict
from collections.abc import Collection

from bot.texts.accounts import connect_tool
from bot.tools.accounts import Accounts
from bot.tools.http import McpTransport
from bot.tools.mcp import McpServer
from bot.tools.person_auth import PersonAuth
from bot.tools.tool import Tool

MOST_KNOWN = 500
"""People whose lists of tools a process remembers."""
MOST_CONNECTED = 32
"""Open connections of people; those unused for the longest time are closed first."""
CONNECT = "connect"

Key = tuple[str, str, str, str]
"""Server, workspace, person, account."""


class PeoplesServers:
    """One `McpServer` for each person at each server; none is shared by two people."""

    def __init__(
        self,
        accounts: Accounts,
        pool: McpTransport,
        *,
        most_known: int = MOST_KNOWN,
        most_connected: int = MOST_CONNECTED,
    ) -> None:
        self._accounts = accounts
        self._pool = pool
        self._most_known = most_known
        self._most_connected = most_connected
        self._known: OrderedDict[Key, McpServer] = OrderedDict()

    async def offered(
        self, channel_id: str, off: Collection[str], person: tuple[str, str]
    ) -> tuple[list[McpServer], list[Tool]]:
        """The servers at which the person has an account, and for the others a tool that connects
        one; of the servers that are offered in a channel."""
        servers: list[McpServer] = []
        connecting: list[Tool] = []
        for name, config in self._accounts.servers.items():
            is_here = not config.channels or channel_id in config.channels
            if name in off or not is_here:
                continue
            server = await self.find(name, person)
            if server:
                servers.append(server)
            else:
                connecting.append(_connect_tool(name))
        return servers, connecting

    async def find(self, name: str, person: tuple[str, str]) -> McpServer | None:
        """The server as one person sees it; None without an account there."""
        account = await self._accounts.find(*person, name)
        if account is None:
            return None
        key = (name, *person, account.id)
        server = self._known.get(key)
        if server is None:
            server = self._known[key] = McpServer(
                name, self._accounts.servers[name], self._pool, self._auth(name, person)
            )
        self._known.move_to_end(key)
        await self._make_room(server)
        return server

    def _auth(self, name: str, person: tuple[str, str]) -> PersonAuth:
        async def token(refused: str) -> str:
            return await self._accounts.token(*person, name, refused)

        async def drop(refused: str) -> None:
            await self._accounts.drop(*person, name, refused)

        return PersonAuth(token, drop)

    async def _make_room(self, wanted: McpServer) -> None:
        """Close what is unused, but not the server that is about to be used."""
        known = self._known.items()
        idle = [(key, each) for key, each in known if not each.is_busy and each is not wanted]
        excess = idle[: max(0, len(known) - self._most_known)]
        for key, _ in excess:  # all of them before the first pause, in which others make room, too
            del self._known[key]
        for _, server in excess:
            await server.aclose()
        connected = [server for _, server in idle if server.is_connected]
        for server in connected[: -self._most_connected]:
            await server.aclose()

    async def close_idle(self) -> None:
        """Close connections that have not been used for a while."""
        for server in list(self._known.values()):
            await server.close_idle()

    async def drop_unconfirmed(self) -> None:
        """Revoke the tokens of accounts that were never confirmed."""
        await self._accounts.drop_unconfirmed()

    async def aclose(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(server.aclose() for server in self._known.values()))


def _connect_tool(server: str) -> Tool:
    return Tool(
        CONNECT,
        connect_tool(server),
        {"type": "object", "properties": {}},
        server=server,
        read_only=True,
        open_world=False,
        connects=True,
    )
