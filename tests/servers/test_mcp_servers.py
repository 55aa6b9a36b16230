"""Real MCP servers, from PyPI and npm. Optional: `python3 dev.py test --servers` installs them."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.policy import decide
from bot.tools.tool import Caller, ToolResult
from bot.tools.toolbox import Toolbox, open_toolbox
from tests.fakes.openai import Call, calling
from tests.servers.processes import VARIABLE
from tests.stories.tools import script
from tests.world import open_world

pytestmark = [
    pytest.mark.skipif(VARIABLE not in os.environ, reason="needs dev.py test --servers"),
]
CALLER = Caller("T1", "C1", "1.0", "U1")


def python_server(name: str, *arguments: str, of: str = "mcp") -> ServerConfig:
    """A server of PyPI, as `pip` installs it, in the environment `of`."""
    program = Path(os.environ[VARIABLE]) / of / "bin" / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    return ServerConfig(command=str(program), args=arguments)


def node_server(name: str, *arguments: str, **changes: Any) -> ServerConfig:
    """A server of npm."""
    program = Path(os.environ[VARIABLE]) / "node" / "node_modules" / ".bin" / f"mcp-server-{name}"
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    return ServerConfig(command=str(program), args=arguments, **changes)


async def call(toolbox: Toolbox, function: str, **arguments: Any) -> ToolResult:
    tool = (await toolbox.offer("C1")).functions[function]
    return await toolbox.call(tool, arguments, CALLER)


async def test_time() -> None:
    servers = {"time": python_server("mcp-server-time")}
    async with open_toolbox(ToolsConfig(servers=servers)) as toolbox:
        result = await call(toolbox, "time__get_current_time", timezone="Asia/Tokyo")
    assert (result.is_error, result.outcome) == (False, "done")
    assert "Asia/Tokyo" in result.text


async def test_git(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        names = ("-c", "user.name=a", "-c", "user.email=a@example.com")
        subprocess.run(["git", *names, *arguments], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "notes.txt").write_text("milk\n")
    await asyncio.to_thread(git, "init")
    await asyncio.to_thread(git, "add", ".")
    await asyncio.to_thread(git, "commit", "-m", "Buy milk")
    config = python_server("mcp-server-git", "--repository", str(tmp_path))
    async with open_toolbox(ToolsConfig(servers={"git": config})) as toolbox:
        log = await call(toolbox, "git__git_log", repo_path=str(tmp_path))
        functions = (await toolbox.offer("C1")).functions
        writes = decide(functions["git__git_commit"], config, "C1")
        reads = decide(functions["git__git_log"], config, "C1")
    assert "Buy milk" in log.text
    assert (reads, writes) == ("allow", "ask")


async def test_filesystem(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("milk\n")
    servers = {"files": node_server("filesystem", str(tmp_path))}
    async with open_toolbox(ToolsConfig(servers=servers)) as toolbox:
        read = await call(toolbox, "files__read_text_file", path=str(tmp_path / "notes.txt"))
        outside = await call(toolbox, "files__read_text_file", path="/etc/passwd")
        functions = (await toolbox.offer("C1")).functions
        assert decide(functions["files__write_file"], servers["files"], "C1") == "ask"
    assert "milk" in read.text
    assert outside.is_error


EVERYTHING: dict[str, tuple[dict[str, Any], bool, str]] = {
    "echo": ({"message": "milk"}, False, "milk"),
    "get-sum": ({"a": 2, "b": 3}, False, "5"),
    "get-tiny-image": ({}, False, "[image: image/png"),
    "get-resource-links": ({}, False, "[resource: demo://"),
    "get-resource-reference": ({}, False, "Resource 1"),
    "get-structured-content": ({"location": "Chicago"}, False, "temperature"),
    "get-annotated-message": ({"messageType": "success"}, False, "success"),
    "trigger-elicitation-request": ({}, False, "declined"),
    "get-sum ": ({"a": "x"}, True, "nvalid"),
    "simulate-research-query": ({"topic": "x"}, True, "task"),
    "toggle-simulated-logging": ({}, False, "Started"),
}
"""Calls of the reference server (revision 2025-11-25): whether they fail, part of the result."""


async def test_everything() -> None:
    """Images, resources, structured content, questions, logging, tasks."""
    servers = {"e": node_server("everything")}
    async with open_toolbox(ToolsConfig(servers=servers)) as toolbox:
        for name, (arguments, fails, part) in EVERYTHING.items():
            result = await call(toolbox, f"e__{name.strip()}", **arguments)
            assert (result.is_error, part in result.text) == (fails, True), result


async def test_sequential_thinking() -> None:
    servers = {"s": node_server("sequential-thinking")}
    thought = {"thought": "a", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1}
    async with open_toolbox(ToolsConfig(servers=servers)) as toolbox:
        made = await call(toolbox, "s__sequentialthinking", **thought)
        wrong = await call(toolbox, "s__sequentialthinking", thought=1)
    assert (made.is_error, wrong.is_error) == (False, True)


async def test_sqlite_on_an_older_sdk(tmp_path: Path) -> None:
    """It gives no hints: even a query may write, and asks."""
    path = str(tmp_path / "notes.db")
    servers = {"db": python_server("mcp-server-sqlite", "--db-path", path, of="old-mcp")}
    async with open_toolbox(ToolsConfig(servers=servers)) as toolbox:
        await call(toolbox, "db__create_table", query="CREATE TABLE notes (text)")
        await call(toolbox, "db__write_query", query="INSERT INTO notes VALUES ('milk')")
        found = await call(toolbox, "db__read_query", query="SELECT * FROM notes")
        wrong = await call(toolbox, "db__read_query", query="DROP TABLE notes")
        functions = (await toolbox.offer("C1")).functions
        assert decide(functions["db__read_query"], servers["db"], "C1") == "ask"
    assert "milk" in found.text
    assert "Only SELECT" in wrong.text


FAST = """
from fastmcp import Context, FastMCP
from fastmcp.utilities.types import Image
server = FastMCP("fast")

@server.tool(annotations={"readOnlyHint": True})
def add(a: int, b: int) -> int:
    return a + b

@server.tool
def fail() -> str:
    raise ValueError("out of paper")

@server.tool
async def progress(ctx: Context) -> str:
    for step in range(200):
        await ctx.report_progress(step, 200)
        await ctx.info("x" * 1000)
    return "done"

@server.tool
def image() -> Image:
    return Image(data=b"png", format="png")

@server.tool
def flood() -> str:
    return "x" * 3_000_000

server.run(show_banner=False)
"""


async def test_fastmcp(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text(FAST)
    servers = {"f": python_server("python", str(tmp_path / "server.py"))}
    async with open_toolbox(ToolsConfig(servers=servers)) as toolbox:
        assert (await call(toolbox, "f__add", a=2, b=3)).text == "5"
        assert (await call(toolbox, "f__add", a="x")).is_error
        assert "out of paper" in (await call(toolbox, "f__fail")).text
        assert (await call(toolbox, "f__progress")).text == "done"
        assert "[image: image/png, 3 bytes" in (await call(toolbox, "f__image")).text
        assert "[cut: 20000 of 3000000" in (await call(toolbox, "f__flood")).text


async def test_memory_in_a_turn(redis_url: str, tmp_path: Path) -> None:
    """A write, allowed by the file, then a read, in one turn of the whole bot."""
    config = node_server("memory")
    path = tmp_path / "tools.toml"
    file, programs = tmp_path / "memory.json", os.environ["PATH"]
    path.write_text(
        f'[servers.memory]\ncommand = "{config.command}"\nask = "never"\n'
        f'env = {{ MEMORY_FILE_PATH = "{file}", PATH = "{programs}" }}\n'
    )
    entity = (
        '{"entities": [{"name": "Ada", "entityType": "person", "observations": ["likes tea"]}]}'
    )
    async with open_world(redis_url, tmp_path, bot_tools=path) as world:
        world.fake.answer = script(
            calling(Call("memory__create_entities", entity)),
            calling(Call("memory__read_graph", "{}")),
        )
        root = await world.ask("#general", "@bot Ada likes tea")
        (said,) = await world.replies("#general", root)
    assert "likes tea" in said
    assert "likes tea" in file.read_text()
