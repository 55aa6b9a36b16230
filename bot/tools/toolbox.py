"""All tools of the deployment: the offer in a channel, and the call of a tool."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.calls import FunctionCall
from bot.models import NOTHING
from bot.telemetry.log import log
from bot.texts import accounts as texts
from bot.tools.accounts import Accounts
from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.hosted import built_in_tools, offered_tools, server_tool
from bot.tools.names import name_functions
from bot.tools.output import cut
from bot.tools.own import own_tools
from bot.tools.policy import PolicyDecision, asks_always, decide
from bot.tools.tool import Caller, OwnTool, Tool, ToolResult

if TYPE_CHECKING:
    from bot.tools.mcp import McpServer
    from bot.tools.peoples_servers import PeoplesServers

NOT_CONNECTED = ToolResult(texts.NOT_CONNECTED, is_error=True, outcome="not_run")
NOT_ALONE = ToolResult(texts.SEVERAL_AUTHORS, is_error=True, outcome="not_run")
PersonKey = tuple[str, str]
"""A workspace or organization, and a person in it."""

OWN_TIMEOUT = 30.0
OWN_OUTPUT = 20_000
MOST_FUNCTIONS = 128
"""Maximum functions in one request (Assistants: 128)."""
CLOSE_IDLE_EVERY = 60.0


@dataclass(frozen=True, slots=True)
class Offer:
    """The tools of one channel.

    `functions` may be called here, `listed` are those of all channels, both by the names of their
    functions, sorted. `hosted` are the tools that the AI server runs, `withheld` names those of
    `listed` and `hosted` that may not be called here.
    """

    functions: Mapping[str, Tool]
    listed: Mapping[str, Tool] = field(default_factory=dict)
    servers: Mapping[tuple[str, str], Tool] = field(default_factory=dict)
    """Tools that the AI server calls, by server and name."""
    hosted: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    withheld: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.functions or self.hosted)

    def find(self, call: FunctionCall) -> Tool | None:
        """The tool of a call, if it may be called here."""
        if call.server:
            return self.servers.get((call.server, call.name))
        return self.functions.get(call.name)


NO_TOOLS = Offer({})


class Toolbox:
    """The tools of a worker."""

    def __init__(
        self,
        config: ToolsConfig,
        servers: Mapping[str, "McpServer"],
        own: Mapping[str, OwnTool],
        people: "PeoplesServers | None" = None,
    ) -> None:
        self.config = config
        self._servers = servers
        self._own = own
        self._people = people

    @property
    def own(self) -> tuple[OwnTool, ...]:
        """The tools of our own that are offered."""
        return tuple(self._own.values())

    async def list_server(self, name: str) -> tuple[Tool, ...]:
        """All tools of a server that needs no account. Raises what connecting and listing raise."""
        return await self._servers[name].fetch_tools()

    async def offer(
        self, channel_id: str, off: Collection[str] = (), person: PersonKey | None = None
    ) -> Offer:
        """The tools of a channel, without the servers that are `off` there, or unreachable.

        Of servers that need an account there are those of the `person`; or one that connects it.
        """
        servers = list(self._servers.values())
        own, connecting = [own.tool for own in self._own.values()], list[Tool]()
        if self._people and person:
            found, connecting = await self._people.offered(channel_id, off, person)
            servers += found
        serving = {each.name for each in servers if each.serves(channel_id, off)}
        serving |= {tool.server for tool in connecting}
        lists = await asyncio.gather(*(each.tools(waits=each.name in serving) for each in servers))
        offered = [
            (server, offered_tools(listed, server.config))
            for server, listed in zip(servers, lists, strict=True)
        ]
        ours = [tool for _, tools in offered for tool in tools if not tool.server_side]
        named = name_functions([*own, *connecting, *ours])
        # People's own tools come last: the beginning of the list is the same for all.
        named = dict(sorted(named.items(), key=lambda item: self.is_personal(item[1])))
        if len(named) > MOST_FUNCTIONS:
            named = _fitting(named, serving)
        functions = {key: tool for key, tool in named.items() if _is_here(tool, serving)}
        hosted = [each for each in offered if each[0].config.server_side and each[1]]
        built_in = built_in_tools(self.config.built_in)
        if not (named or hosted or built_in):
            return NO_TOOLS
        absent = [f"mcp:{server.name}" for server, _ in hosted if server.name not in serving]
        return Offer(
            functions,
            named,
            {
                (tool.server, tool.name): tool
                for server, tools in hosted
                for tool in tools
                if server.name in serving
            },
            (
                *built_in,
                *(server_tool(server.name, server.config, tools) for server, tools in hosted),
            ),
            frozenset([*named.keys() - functions.keys(), *absent]) or NOTHING,
        )

    def decide(self, tool: Tool, channel_id: str, *, read_external: bool) -> PolicyDecision:
        """The policy's decision on a call of the tool."""
        if tool.connects:
            return "allow"
        return decide(tool, self._config_of(tool), channel_id, read_external=read_external)

    def is_personal(self, tool: Tool) -> bool:
        """Whether the tool uses an account of the person who asks."""
        config = self._config_of(tool)
        return config is not None and config.auth == "person"

    def asks_always(self, tool: Tool) -> bool:
        """Whether a person is asked before each single call of the tool."""
        return asks_always(tool, self._config_of(tool))

    async def call(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        caller: Caller,
        answers: Mapping[str, Any] | None = None,
    ) -> ToolResult:
        """Call a tool. Every failure is a `ToolResult`."""
        if tool.connects:
            return await _invite(tool, caller)
        if tool.server:
            return await self._call_server(tool, arguments, caller, answers)
        try:
            async with asyncio.timeout(OWN_TIMEOUT):
                return ToolResult(
                    cut(await self._own[tool.name].call(arguments, caller), OWN_OUTPUT)
                )
        except ValueError as error:
            return ToolResult(cut(str(error), OWN_OUTPUT), is_error=True)
        except Exception as error:
            log.exception("own_tool_failed", tool=tool.name, error=type(error).__name__)
            return ToolResult("The tool failed.", is_error=True, outcome="unknown")

    async def _call_server(
        self,
        tool: Tool,
        arguments: Mapping[str, Any],
        caller: Caller,
        answers: Mapping[str, Any] | None,
    ) -> ToolResult:
        """Call a tool of a server, with the caller's account if it needs one."""
        server = self._servers.get(tool.server)
        if server is None and self._people is not None:
            if not caller.only_author:
                return NOT_ALONE
            server = await self._people.find(tool.server, (caller.team_id, caller.user_id))
        if server is None:
            return NOT_CONNECTED
        return await server.call(tool.name, arguments, answers)

    async def close_idle(self) -> None:
        """Close connections that have not been used for a while."""
        for server in self._servers.values():
            await server.close_idle()
        if self._people:
            await self._people.close_idle()

    async def drop_unconfirmed(self) -> None:
        """Revoke the tokens of people's accounts that were never confirmed."""
        if self._people:
            await self._people.drop_unconfirmed()

    def _config_of(self, tool: Tool) -> ServerConfig | None:
        return self.config.servers.get(tool.server)


async def _invite(tool: Tool, caller: Caller) -> ToolResult:
    """Offer to connect the person's account."""
    if caller.invite is None or not caller.only_author:
        return NOT_ALONE
    return ToolResult(await caller.invite(tool.server), is_error=True, outcome="not_run")


def _is_here(tool: Tool, serving: Collection[str]) -> bool:
    return not tool.server or tool.server in serving


def _fitting(named: Mapping[str, Tool], serving: Collection[str]) -> dict[str, Tool]:
    """What fits into one request of one channel: no room is left for tools of other channels."""
    here = [(name, tool) for name, tool in named.items() if _is_here(tool, serving)]
    if len(here) > MOST_FUNCTIONS:
        log.warning("tools_left_out", offered=len(here), most=MOST_FUNCTIONS)
    return dict(here[:MOST_FUNCTIONS])


@asynccontextmanager
async def open_toolbox(
    config: ToolsConfig, accounts: Accounts | None = None
) -> AsyncIterator[Toolbox]:
    """The toolbox; nothing is connected before a tool is needed. `mcp` is imported only here.

    Without `accounts`, servers that need one are left out.

    Raises ConfigError if the file names a tool of ours that does not exist.
    """
    own = own_tools(config.own)
    if not config.servers:
        yield Toolbox(config, {}, own)
        return
    from bot.tools.http import McpTransport
    from bot.tools.mcp import McpServer
    from bot.tools.peoples_servers import PeoplesServers

    pool = McpTransport()
    shared = {name: each for name, each in config.servers.items() if each.auth == "none"}
    servers = {name: McpServer(name, each, pool) for name, each in shared.items()}
    people = PeoplesServers(accounts, pool) if accounts else None
    toolbox = Toolbox(config, servers, own, people)
    idle = asyncio.create_task(_keep_closing_idle(toolbox))
    try:
        yield toolbox
    finally:
        idle.cancel()
        await asyncio.wait([idle])
        await asyncio.gather(*(server.aclose() for server in servers.values()))
        if people:
            await people.aclose()
        await pool.aclose()


async def _keep_closing_idle(toolbox: Toolbox) -> None:
    while True:
        await asyncio.sleep(CLOSE_IDLE_EVERY)
        try:
            await toolbox.close_idle()
            await toolbox.drop_unconfirmed()
        except Exception as error:
            log.warning("tools_cleanup_failed", error=type(error).__name__)
