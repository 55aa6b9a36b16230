"""Tools that the AI server runs itself, as requests name them."""

from bot.tools.config import BuiltIn, ServerConfig
from bot.tools.hosted import built_in_tools, server_tool
from bot.tools.tool import Tool

READ = Tool("read", "", {}, server="s", read_only=True, server_side=True)
WRITE = Tool("write", "", {}, server="s", server_side=True)
URL = "https://example.com/mcp"


def test_built_in_tools_are_sent_in_a_fixed_order() -> None:
    everything = BuiltIn(
        web_search=True, code_interpreter=True, image_generation=True, file_search=("vs_1",)
    )
    kinds = [tool["type"] for tool in built_in_tools(everything)]
    assert kinds == ["web_search", "code_interpreter", "image_generation", "file_search"]
    assert built_in_tools(BuiltIn()) == []


def test_a_write_asks_even_where_the_policy_never_does() -> None:
    """After external content the policy asks, and the list must not depend on a turn."""
    config = ServerConfig(url=URL, ask="never", server_side=True)
    made = server_tool("s", config, [READ, WRITE])
    assert made["require_approval"] == {
        "always": {"tool_names": ["write"]},
        "never": {"tool_names": ["read"]},
    }
    assert "headers" not in made


def test_always_asking_servers_and_untrusted_hints_ask_for_each_call() -> None:
    for config in (
        ServerConfig(url=URL, ask="always", server_side=True, channels=("C1",)),
        ServerConfig(url=URL, trust_hints=False, server_side=True),
        ServerConfig(url=URL, always_ask=("read",), server_side=True),
    ):
        made = server_tool("s", config, [READ, WRITE])
        assert "read" in made["require_approval"]["always"]["tool_names"]
