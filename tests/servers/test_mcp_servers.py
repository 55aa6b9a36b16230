"""Real MCP servers, from PyPI and npm. Optional: `python3 dev.py test --servers` installs them."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bot.tools.config import ServerConfig, ToolsConfig
from bot.tools.policy import decide
from bot.tools.tool import Caller, Result
from bot.tools.toolbox import Toolbox, open_toolbox
from tests.fakes.openai import Call, calling
from tests.servers.processes import VARIABLE
from tests.stories.tools import script
from tests.world import open_world

pytestmark = [
    pytest.mark.skipif(VARIABLE not in os.environ, reason="needs dev.py test --servers"),
]
CALLER = Caller("T1", "C1", "1.0", "U1")


def python_server(name: str, *arguments: str) -> ServerConfig:
    """A server of PyPI, as `pip` installs it."""
    program = Path(os.environ[VARIABLE]) / "mcp" / "bin" / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    return ServerConfig(command=str(program), args=arguments)


def node_server(name: str, *arguments: str, **changes: Any) -> ServerConfig:
    """A server of npm."""
    program = Path(os.environ[VARIABLE]) / "node" / "node_modules" / ".bin" / f"mcp-server-{name}"
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    return ServerConfig(command=str(program), args=arguments, **changes)


async def call(toolbox: Toolbox, function: str, **arguments: Any) -> Result:
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
