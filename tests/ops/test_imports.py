"""What a process imports (its start and its memory depend on that), and the root of the package."""

import subprocess
import sys
from pathlib import Path

import pytest

import bot

WORK = (
    "bot.process.work_part",
    "bot.worker",
    "bot.turn",
    "bot.jobs",
    "bot.upkeep.sweeper",
    "bot.dlp",
)
ENGINES = ("openai", "httpx", "bot.engines.client", "bot.engines.api", "bot.engines.replay")
RARE = ("yaml", "charset_normalizer")
RENDERING = ("markdown_it", "bot.slack.markdown.render", "PIL")
TOOLS = ("mcp", "bot.tools.toolbox")
UNNEEDED = {
    "bot.app": (*WORK, *ENGINES, *RENDERING, *TOOLS, *RARE, "local_slack"),
    "bot.process.work_part": ("openai", "mcp", "PIL", "slack_bolt", "local_slack"),
    "bot.cli.main": ("redis", "aiohttp", "slack_sdk", "slack_bolt", "openai", "bot.app"),
}


@pytest.mark.parametrize("module", UNNEEDED)
def test_a_process_imports_only_what_it_needs(module: str) -> None:
    code = f"import sys, {module}; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert module in loaded
    assert [name for name in UNNEEDED[module] if name in loaded] == []


def test_the_root_has_at_most_twelve_modules() -> None:
    assert len(list(Path(bot.__file__).parent.glob("*.py"))) <= 12
