"""Our own tools, and the functions of all tools together."""

import subprocess
import sys
from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.tools.config import ToolsConfig
from bot.tools.own import NAMES, own_tools
from bot.tools.policy import decide
from bot.tools.tool import Caller
from bot.tools.toolbox import open_toolbox

CALLER = Caller("T1", "C1", "1.0", "U1")


async def call(name: str, **arguments: object) -> str:
    async with open_toolbox(ToolsConfig(own=(name,))) as toolbox:
        tool = (await toolbox.offer("C1")).functions[name]
        return (await toolbox.call(tool, arguments, CALLER)).text


def test_each_module_holds_the_tool_of_its_name() -> None:
    folder = Path(__file__).parents[2] / "bot" / "tools" / "own"
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert set(own_tools(NAMES)) == modules


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="there is no tool clock; known: current_time"):
        own_tools(["clock"])


async def test_none_is_offered_unless_the_file_names_it() -> None:
    async with open_toolbox(ToolsConfig()) as toolbox:
        assert not await toolbox.offer("C1")


def test_one_that_reads_is_called_and_one_that_writes_asks() -> None:
    tool = own_tools(["current_time"])["current_time"].tool
    assert decide(tool, None, "C1", read_external=True) == "allow"


async def test_the_time_in_a_zone() -> None:
    assert "UTC" in await call("current_time")
    assert await call("current_time", timezone="Europe/Berlin")
    for wrong in ("Mars/Olympus", "../../etc/passwd", "", "\0", "x" * 10_000):
        reported = await call("current_time", timezone=wrong)
        assert reported == "there is no such time zone" or (not wrong and "UTC" in reported)


def test_without_servers_the_mcp_sdk_is_not_imported() -> None:
    """It takes a second and 30 MB."""
    code = (
        "import asyncio, sys\n"
        "import bot.app, bot.turn.ask\n"
        "from bot.tools.config import ToolsConfig\n"
        "from bot.tools.toolbox import open_toolbox\n"
        "async def look():\n"
        "    async with open_toolbox(ToolsConfig(own=('current_time',))) as toolbox:\n"
        "        await toolbox.offer('C1')\n"
        "asyncio.run(look())\n"
        "print(sorted({'mcp', 'mcp_types', 'uvicorn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
