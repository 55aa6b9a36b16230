"""Connections of people: bounded, and never closed in the middle of a call."""

import asyncio
from pathlib import Path
from typing import Any

from bot.tools.config import ServerConfig
from bot.tools.credential import Client, Credential
from bot.tools.http import McpTransport
from bot.tools.peoples_servers import PeoplesServers
from tests.tools.servers import open_http
from tests.world import wait_until


class Everyone:
    """Accounts of all people, at a server that needs none."""

    def __init__(self, url: str) -> None:
        self.servers = {"s": ServerConfig(url=url, auth="person")}
        self._url = url

    async def find(self, team_id: str, user_id: str, server: str) -> Credential:
        return Credential(self._url, "i", Client("c"), "t", "r", id=user_id)

    async def token(self, team_id: str, user_id: str, server: str, refused: str = "") -> str:
        return f"token of {user_id}"


async def test_the_longest_unused_connections_are_closed_but_none_in_use(tmp_path: Path) -> None:
    counts, pool = tmp_path / "counts", McpTransport()
    async with open_http(counts) as url:
        accounts: Any = Everyone(url)
        people = PeoplesServers(accounts, pool, most_known=4, most_connected=2)
        busy = await people.find("s", ("T1", "U0"))
        assert busy is not None
        slow = asyncio.create_task(busy.call("slow", {"seconds": 0.5}))
        await wait_until(lambda: asyncio.sleep(0, counts.exists()))
        for number in range(1, 7):
            server = await people.find("s", ("T1", f"U{number}"))
            assert server is not None
            assert (await server.call("read", {"topic": "x"})).text == "about x"
        assert (await slow).text == "done"
        assert len(people._known) <= 5
        open_now = [each for each in people._known.values() if each.is_connected]
        assert len(open_now) <= 4
        await people.aclose()
    await pool.aclose()


async def test_a_connection_that_is_about_to_be_used_is_kept_although_all_others_are_busy(
    tmp_path: Path,
) -> None:
    """Ten people at once, in a process that remembers two."""
    counts, pool = tmp_path / "counts", McpTransport()
    async with open_http(counts) as url:
        accounts: Any = Everyone(url)
        people = PeoplesServers(accounts, pool, most_known=2, most_connected=2)

        async def read(number: int) -> str:
            server = await people.find("s", ("T1", f"U{number}"))
            assert server is not None
            return (await server.call("read", {"topic": "x"})).text

        assert await asyncio.gather(*map(read, range(10))) == ["about x"] * 10
        await people.aclose()
    await pool.aclose()
