"""The tools file: valid files, and the errors of invalid ones."""

from pathlib import Path

import pytest

from bot.errors import ConfigError
from bot.tools.config import ServerConfig, ToolsConfig, load_tools
from bot.tools.names import name_functions
from bot.tools.output import checked_schema
from bot.tools.policy import decide
from bot.tools.tool import Tool

READ = Tool("read_page", "", {}, server="s", read_only=True)
WRITE = Tool("write_page", "", {}, server="s")
PARAMETERS = {"type": "object"}


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_without_a_file_there_are_no_tools() -> None:
    assert load_tools(None) == ToolsConfig()


def test_a_server_takes_three_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path / "tools.toml", '[servers.time]\ncommand = "uvx"\nargs = ["mcp-server-time"]\n'
    )
    server = load_tools(path).servers["time"]
    assert server.command == "uvx"
    assert server.ask == "writes"


def test_a_standard_mcp_json_is_read_as_it_is(tmp_path: Path) -> None:
    path = written(
        tmp_path / ".mcp.json",
        '{"mcpServers": {"wiki": {"type": "http", "url": "https://w.example/mcp", '
        '"headers": {"Authorization": "Bearer ${WIKI}"}, "icon": "x"}, '
        '"off": {"command": "x", "disabled": true}}}',
    )
    config = load_tools(path, {"WIKI": "secret"})
    assert list(config.servers) == ["wiki"]
    assert config.servers["wiki"].headers == {"Authorization": "Bearer secret"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("t.toml", "[servers.x]\n", "needs either url or command"),
        ("t.toml", '[servers.x]\nurl = "https://a.example"\ncommand = "b"\n', "either url or"),
        ("t.toml", '[servers.x]\nurl = "ftp://a.example"\n', "not an http(s) address"),
        ("t.toml", '[servers.x]\ncommand = "b"\nasks = "never"\n', "servers.x.asks"),
        ("t.toml", '[servers.x]\ncommand = "b"\nask = "sometimes"\n', "servers.x.ask"),
        ("t.toml", '[servers."a b"]\ncommand = "b"\n', "a server's name"),
        ("t.toml", '[servers.x]\ncommand = "${NOT_THERE}"\n', "NOT_THERE is not set"),
        ("t.toml", "[servers.x\n", "t.toml"),
        ("t.toml", "rounds = 0\n", "rounds"),
        ("t.json", "[]", "mcpServers"),
        ("t.json", '{"mcpServers": {"x": 1}}', "mcpServers.x"),
        ("t.json", "{", "t.json"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(
    tmp_path: Path, name: str, text: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_tools(written(tmp_path / name, text), {})
    assert says in str(caught.value)
    assert caught.value.variable == "BOT_TOOLS"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml"):
        load_tools(tmp_path / "gone.toml")


def test_function_names_fit_the_server_and_are_unique_and_stable() -> None:
    tools = [
        Tool("a.b", "", PARAMETERS, server="s"),
        Tool("a_b", "", PARAMETERS, server="s"),
        Tool("x" * 128, "", PARAMETERS, server="s"),
        Tool("größe", "", PARAMETERS, server="s"),
        Tool("plain", "", PARAMETERS),
    ]
    named = name_functions(tools)
    assert len(named) == len(tools)
    assert all(len(name) <= 64 and name.isascii() for name in named)
    assert named == name_functions(reversed(tools))
    assert named["plain"] is tools[4]
    assert list(named) == sorted(named)


@pytest.mark.parametrize(
    ("tool", "changes", "external", "decision"),
    [
        (READ, {}, False, "allow"),
        (READ, {}, True, "allow"),
        (READ, {"ask": "always"}, False, "ask"),
        (READ, {"always_ask": ("read_*",)}, False, "ask"),
        (READ, {"trust_hints": False}, False, "ask"),
        (READ, {"deny": ("read_*",)}, False, "deny"),
        (READ, {"allow": ("write_*",)}, False, "deny"),
        (READ, {"channels": ("C2",)}, False, "deny"),
        (WRITE, {}, False, "ask"),
        (WRITE, {"ask": "never"}, False, "allow"),
        (WRITE, {"ask": "never"}, True, "ask"),
        (WRITE, {"ask": "never", "always_ask": ("write_*",)}, False, "ask"),
        (WRITE, {"ask": "never", "deny": ("*",), "allow": ("*",)}, False, "deny"),
    ],
)
def test_deny_beats_ask_beats_allow(
    tool: Tool, changes: dict[str, object], external: bool, decision: str
) -> None:
    config = ServerConfig.model_validate({"command": "x", **changes})
    assert decide(tool, config, "C1", read_external=external) == decision


@pytest.mark.parametrize(
    ("schema", "kept"),
    [
        ({"type": "object", "properties": {"a": {"type": "string"}}}, True),
        ({"type": "object"}, True),
        ({"properties": {"a": {}}}, True),
        ({"type": "string"}, False),
        ({}, False),
        (None, False),
        ({"type": "object", "description": "x" * 60_000}, False),
        ({"type": "object", "properties": {"a": object()}}, False),
    ],
)
def test_a_schema_that_no_server_takes_allows_all_arguments(
    schema: dict[str, object] | None, kept: bool
) -> None:
    checked = checked_schema(schema)
    assert checked["type"] == "object"
    assert "properties" in checked
    assert ((schema or {}).items() <= checked.items()) == (kept or not schema)
