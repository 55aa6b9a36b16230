"""The checks of tools for `bot doctor`: the file, and each server with its tools."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from urllib.parse import urlsplit

from bot.checks import Check, Finding, failed, ok, skipped, warning
from bot.settings import Settings
from bot.tools.addresses import are_public
from bot.tools.config import ServerConfig, load_tools
from bot.tools.names import name_functions
from bot.tools.tool import Tool
from bot.tools.toolbox import MOST_FUNCTIONS, Toolbox, open_toolbox

_ASKED = {"never": "never asks", "writes": "asks before writes", "always": "always asks"}


@asynccontextmanager
async def open_checks(settings: Settings) -> AsyncIterator[tuple[Check, ...]]:
    """One check for each server. Raises ConfigError for a wrong file."""
    config = load_tools(settings.bot_tools)
    async with open_toolbox(config) as toolbox:
        if settings.bot_tools is None:
            yield (Check("tools", _nothing),)
            return
        names = [f"tools {name}" for name in config.servers]
        checks = [
            Check(f"tools {name}", partial(_look, toolbox, name))
            if server.auth == "none"
            else Check(f"tools {name}", partial(_look_at_accounts, settings, server))
            for name, server in config.servers.items()
        ]
        yield (*checks, Check("tools", partial(_count, toolbox), needs=tuple(names)))


async def _nothing() -> Finding:
    return skipped("no BOT_TOOLS: the assistant only talks")


async def _look(toolbox: Toolbox, name: str) -> Finding:
    config = toolbox.config.servers[name]
    try:
        async with asyncio.timeout(config.connect_timeout):
            tools = await toolbox.list_server(name)
    except TimeoutError:
        fix = f"is it up? does it need more than connect_timeout = {config.connect_timeout:g}?"
        return failed("no answer", fix)
    except Exception as error:
        kind = type(error).__name__
        fix = "run its command by hand" if config.command else "check its url and headers"
        return failed(f"cannot be reached ({kind})", fix)
    offered = [tool for tool in tools if config.offers_somewhere(tool.name)]
    if not offered:
        return warning(f"offers none of its {len(tools)} tools", "check allow and deny")
    return ok(_describe(offered, len(tools), _ASKED[config.ask]))


def _describe(offered: list[Tool], all_tools: int, asked: str) -> str:
    writes = sum(not tool.read_only for tool in offered)
    left_out = f" ({all_tools - len(offered)} not offered)" if all_tools > len(offered) else ""
    return f"{len(offered)} tools{left_out}, {writes} may write; {asked}"


async def _look_at_accounts(settings: Settings, server: ServerConfig) -> Finding:
    """A server that needs people's accounts: what is needed to connect them."""
    if not settings.bot_public_url or not settings.keyring.ids:
        return failed("cannot connect accounts", "set BOT_PUBLIC_URL and BOT_ENCRYPTION_KEYS")
    if not settings.bot_public_url.startswith("https:"):
        return warning("BOT_PUBLIC_URL is not https", "authorization servers will refuse it")
    if not server.is_internal and await _resolves_internally(server):
        return failed("its address is internal", "if that is intended: internal = true")
    return ok("each person connects an account; its tools are then known")


async def _resolves_internally(server: ServerConfig) -> bool:
    from bot.tools.pinned import resolve  # imports httpx2

    addresses = await resolve(urlsplit(server.url or "").hostname or "")
    return bool(addresses) and not are_public(addresses)


async def _count(toolbox: Toolbox) -> Finding:
    tools = [own.tool for own in toolbox.own]
    for name, config in toolbox.config.servers.items():
        if config.auth == "person":
            continue
        listed = await toolbox.list_server(name)
        tools += [tool for tool in listed if config.offers_somewhere(tool.name)]
    named = name_functions(tools)
    if len(named) > MOST_FUNCTIONS:
        fix = "offer fewer: allow, deny, or channels"
        return warning(f"{len(named)} functions; only {MOST_FUNCTIONS} can be offered", fix)
    return ok(f"{len(named)} functions, {len(toolbox.own)} of them our own")
