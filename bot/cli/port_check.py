"""Whether the bot can listen on the ports of the settings."""

import errno
import socket
from collections.abc import Iterator

import aiohttp

from bot.checks import Check, Finding, failed, ok
from bot.settings import Settings

TIMEOUT = aiohttp.ClientTimeout(total=3)


def find_checks(settings: Settings) -> Iterator[Check]:
    """One check for PORT, one for BOT_HEALTH_PORT where that is set."""
    ports = {"PORT": settings.port, "BOT_HEALTH_PORT": settings.bot_health_port}
    for variable, port in ports.items():
        if port is not None:
            check = PortCheck(variable, settings.bot_host, port)
            yield Check(variable.removeprefix("BOT_").replace("_", " ").lower(), check.look)


class PortCheck:
    """One address on which the bot listens. `variable` is the setting of the port."""

    def __init__(self, variable: str, host: str, port: int) -> None:
        self._variable = variable
        self._host = host
        self._port = port

    async def look(self) -> Finding:
        """Whether the port is free, or already used by the bot."""
        where = f"{self._host}:{self._port}"
        try:
            _try_to_listen(self._host, self._port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return await self._judge_used(where)
            if error.errno == errno.EACCES:
                fix = f"set {self._variable} to a port above 1023"
                return failed(f"{where} is reserved for root", fix)
            fix = "set BOT_HOST to an address of this machine; 0.0.0.0 is all of them"
            return failed(f"cannot listen at {where}: {error.strerror}", fix)
        return ok(f"{where} is free" if self._port else "any free port")

    async def _judge_used(self, where: str) -> Finding:
        if await self._is_the_bot():
            return ok(f"the bot answers at {where}")
        fix = f"stop that program (`lsof -i :{self._port}` names it), or set {self._variable}"
        return failed(f"{where} is in use by another program", fix)

    async def _is_the_bot(self) -> bool:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._host, self._host)
        try:
            async with (
                aiohttp.ClientSession(timeout=TIMEOUT) as session,
                session.get(f"http://{host}:{self._port}/healthz") as response,
            ):
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        return isinstance(answer, dict) and "status" in answer


def _try_to_listen(host: str, port: int) -> None:
    family, *_, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    socket.create_server(address[:2], family=family).close()
