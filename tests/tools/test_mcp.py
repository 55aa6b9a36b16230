"""The MCP client against real servers: public ones and our own."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.tool import Caller, Tool, ToolResult
from bot.tools.toolbox import Toolbox, open_toolbox

CALLER = Caller("T1", "C1", "1.0", "U1")
SERVERS = Path(__file__).parent / "servers.py"


def situations(counts: Path, **changes: Any) -> ServerConfig:
    return ServerConfig(command=sys.executable, args=(str(SERVERS), str(counts)), **changes)


def open_with(**servers: ServerConfig) -> AbstractAsyncContextManager[Toolbox]:
    return open_toolbox(ToolsConfig(servers=servers))


async def tool_of(toolbox: Toolbox, function: str) -> Tool:
    return (await toolbox.offer("C1")).functions[function]


async def call(toolbox: Toolbox, function: str, **arguments: Any) -> ToolResult:
    return await toolbox.call(await tool_of(toolbox, function), arguments, CALLER)


def effects(counts: Path) -> list[str]:
    return counts.read_text().split()


@pytest.fixture
def counts(tmp_path: Path) -> Path:
    return tmp_path / "counts"


@pytest.fixture
async def toolbox(counts: Path) -> AsyncIterator[Toolbox]:
    async with open_with(s=situations(counts)) as toolbox:
        yield toolbox


async def test_a_public_server_is_listed_with_its_hints_and_called() -> None:
    config = ServerConfig(command=sys.executable, args=("-m", "mcp_server_time"))
    async with open_with(time=config) as toolbox:
        tool = await tool_of(toolbox, "time__get_current_time")
        assert tool.read_only
        assert "timezone" in tool.parameters["properties"]
        result = await toolbox.call(tool, {"timezone": "Europe/Berlin"}, CALLER)
    assert not result.is_error
    assert "Europe/Berlin" in result.text


async def test_a_tool_that_raises_is_an_error_for_the_model(toolbox: Toolbox) -> None:
    result = await call(toolbox, "s__fail")
    assert result.is_error
    assert result.outcome == "done"
    assert "Traceback" not in result.text


async def test_wrong_arguments_are_an_error_for_the_model(toolbox: Toolbox) -> None:
    result = await call(toolbox, "s__read", subject="x")
    assert result.is_error
    assert "topic" in result.text


async def test_a_long_result_is_cut(toolbox: Toolbox) -> None:
    result = await call(toolbox, "s__flood", characters=2_000_000)
    assert not result.is_error
    assert len(result.text) < 20_100
    assert "20000 of 2000000 characters" in result.text


async def test_a_slow_call_ends_at_the_timeout_with_an_unknown_outcome(counts: Path) -> None:
    async with open_with(s=situations(counts, timeout=2.0)) as toolbox:
        tool = await tool_of(toolbox, "s__slow")
        began = time.monotonic()
        result = await toolbox.call(tool, {"seconds": 60}, CALLER)
        assert time.monotonic() - began < 60
        assert result.outcome == "unknown"
        assert (await call(toolbox, "s__read", topic="rain")).text == "about rain"


async def test_a_server_that_dies_in_a_call_leaves_the_outcome_unknown_and_comes_back(
    toolbox: Toolbox, counts: Path
) -> None:
    result = await call(toolbox, "s__crash")
    assert result.outcome == "unknown"
    assert effects(counts) == ["crash"]
    assert (await call(toolbox, "s__read", topic="rain")).text == "about rain"


async def test_a_server_that_cannot_be_started_loses_only_its_own_tools(counts: Path) -> None:
    missing = ServerConfig(command="/no/such/program")
    async with open_with(gone=missing, s=situations(counts)) as toolbox:
        offer = await toolbox.offer("C1")
        assert "s__read" in offer.functions
        assert not any(name.startswith("gone__") for name in offer.functions)


async def test_an_unresponsive_server_is_skipped_for_a_while(counts: Path) -> None:
    program = f"echo started >> '{counts}'; cat > /dev/null"
    silent = ServerConfig(command="/bin/sh", args=("-c", program), connect_timeout=3.0)
    async with open_with(silent=silent) as toolbox:
        assert not await toolbox.offer("C1")
        assert not await toolbox.offer("C1")
    assert effects(counts) == ["started"], "the second time nothing is waited for"


async def test_a_call_to_a_server_that_is_gone_did_not_run() -> None:
    async with open_with(gone=ServerConfig(url="http://127.0.0.1:9/mcp", timeout=5)) as toolbox:
        tool = Tool("write", "", {}, server="gone")
        result = await toolbox.call(tool, {}, CALLER)
    assert result.outcome == "not_run"


async def test_concurrent_calls_share_one_process(toolbox: Toolbox, counts: Path) -> None:
    tool = await tool_of(toolbox, "s__read")
    results = await asyncio.gather(
        *(toolbox.call(tool, {"topic": str(n)}, CALLER) for n in range(50))
    )
    assert [result.text for result in results] == [f"about {n}" for n in range(50)]


async def test_our_secrets_do_not_reach_a_server_process(
    counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb-secret")
    code = (
        "import os;from mcp.server.mcpserver import MCPServer;s=MCPServer('e');"
        "s.tool(name='env')(lambda: ' '.join(os.environ));s.run('stdio')"
    )
    config = ServerConfig(command=sys.executable, args=("-c", code), env={"ITS_OWN": "1"})
    async with open_with(e=config) as toolbox:
        names = (await call(toolbox, "e__env")).text
    assert "ITS_OWN" in names
    assert "SLACK" not in names


async def test_a_list_that_is_old_is_used_while_a_new_one_is_fetched(
    counts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_with(s=situations(counts)) as toolbox:
        server = toolbox._servers["s"]
        assert await toolbox.offer("C1")
        hangs = asyncio.Event()

        async def hang() -> tuple[Tool, ...]:
            await hangs.wait()
            raise ConnectionError

        monkeypatch.setattr(server, "fetch_tools", hang)
        server._list_again_at = 0.0
        assert "s__read" in (await toolbox.offer("C1")).functions
        listing = server._listing
        assert listing is not None
        hangs.set()
        await asyncio.wait({listing})
        assert not await toolbox.offer("C1"), "a server that is gone offers nothing"
