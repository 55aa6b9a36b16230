"""Repairs of a Redis server by `bot doctor`, and its connection."""

import asyncio
import re

from redis.exceptions import ResponseError

from bot.checks import Repair, RepairFailed
from bot.errors import StoreUnavailable
from bot.settings import Settings
from bot.settings.addresses import parse_address
from bot.store.connection import Connection
from bot.store.keys import Keys
from bot.store.servers import open_connection

PLAIN_SECONDS = 3.0
SAMPLE = 1000


def set_on_server(url: str, settings: Settings, name: str, value: str) -> Repair:
    """A repair that changes a setting of the server at an address, unless the server is shared."""

    async def repair() -> str:
        keys = Keys(settings.bot_redis_prefix)
        verify = settings.redis_tls_verify
        connection = open_connection(url, keys, tls_verify=verify, connections=1)
        try:
            if await _is_shared(connection, keys):
                raise RepairFailed("this Redis holds the keys of others, too")
            return await _change(connection, name, value)
        except (ResponseError, StoreUnavailable) as error:
            raise RepairFailed(f"the server refuses it: {first_line(error)}") from None
        finally:
            await connection.close()

    return repair


async def _is_shared(connection: Connection, keys: Keys) -> bool:
    """Whether the server has another database, or a sample of the keys contains foreign ones."""
    info = await connection.execute("INFO", "keyspace")
    databases = [name for name in info if re.fullmatch(r"db\d+", name)]
    _, found = await connection.execute("SCAN", 0, "COUNT", SAMPLE)
    return len(databases) > 1 or any(not _is_own(str(key), keys) for key in found)


def _is_own(key: str, keys: Keys) -> bool:
    """Whether it is a key of the bot, or of one of its shards."""
    return re.match(rf"\{{{re.escape(keys.prefix)}(:\d+)?\}}:", key) is not None


async def _change(connection: Connection, name: str, value: str) -> str:
    await connection.execute("CONFIG", "SET", name, value)
    try:
        await connection.execute("CONFIG", "REWRITE")
    except ResponseError:
        return f"set {name} {value} until the server restarts: it has no configuration file"
    return f"set {name} {value}"


async def lacks_tls(url: str) -> bool:
    """Whether an address with TLS leads to a port without TLS, which would never answer."""
    address = parse_address(url)
    if not (address.sentinel_tls if address.kind == "sentinel" else address.tls):
        return False
    try:
        async with asyncio.timeout(PLAIN_SECONDS):
            reader, writer = await asyncio.open_connection(*address.hosts[0])
            try:
                writer.write(b"PING\r\n")
                return (await reader.read(1)) in (b"+", b"-")
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError):
        return False


def first_line(error: Exception) -> str:
    """The first line of an error, shortened."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
