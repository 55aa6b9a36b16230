"""The checks of tools by `bot doctor`."""

import sys
from pathlib import Path
from typing import Any

import pytest

from bot.checks import Finding
from bot.errors import ConfigError
from bot.sealing import generate_key
from bot.settings import Settings
from bot.tools.checks import open_checks

TIME = f'command = "{sys.executable}"\nargs = ["-m", "mcp_server_time"]'


async def look(directory: Path, text: str | None, **more: Any) -> dict[str, Finding]:
    path = directory / "tools.toml"
    path.write_text(text or "")
    given: dict[str, Any] = {"bot_tools": path if text is not None else None, **more}
    settings = Settings(_env_file=None, slack_bot_token="xoxb-1", **given)
    async with open_checks(settings) as checks:
        return {check.name: await check.look() for check in checks}


async def test_without_a_file_it_is_skipped(tmp_path: Path) -> None:
    assert (await look(tmp_path, None))["tools"].level == "skipped"


async def test_each_server_has_a_line(tmp_path: Path) -> None:
    found = await look(
        tmp_path,
        f'own = ["current_time"]\n[servers.time]\n{TIME}\ndeny = ["convert_time"]\n'
        '[servers.none]\ncommand = "x"\nallow = []\n'.replace('command = "x"', TIME),
    )
    assert found["tools time"].level == "ok"
    assert "1 tools (1 not offered), 0 may write" in found["tools time"].text
    assert found["tools none"].level == "warning"
    assert found["tools"].text == "2 functions, 1 of them our own"


async def test_a_server_that_cannot_be_reached_fails(tmp_path: Path) -> None:
    text = '[servers.gone]\nurl = "http://127.0.0.1:9/mcp"\n'
    path = tmp_path / "tools.toml"
    path.write_text(text)
    settings = Settings(_env_file=None, slack_bot_token="xoxb-1", bot_tools=path)
    async with open_checks(settings) as (server, _):
        finding = await server.look()
    assert finding.level == "failed"
    assert "url and headers" in finding.fix


async def test_a_name_that_looks_public_and_is_internal_is_reported(tmp_path: Path) -> None:
    """The system's resolver reads `127.1` as an address."""
    text = '[servers.s]\nurl = "https://127.1/mcp"\nauth = "person"\n'
    given = {"bot_public_url": "https://bot.example", "bot_encryption_keys": generate_key()}
    found = await look(tmp_path, text, **given)
    assert found["tools s"].level == "failed"
    assert "internal = true" in found["tools s"].fix
    found = await look(tmp_path, f"{text}internal = true\n", **given)
    assert found["tools s"].level == "ok"


async def test_a_wrong_file_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="BOT_TOOLS"):
        await look(tmp_path, "rounds = 0")
