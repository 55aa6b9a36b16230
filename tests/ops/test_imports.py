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
BOLT = ("slack_bolt", "bot.process.web_part")
OPTIONAL = ("rich", "opentelemetry.sdk.metrics")
UNNEEDED = {
    "bot.app": (*WORK, *ENGINES, *RENDERING, *TOOLS, *BOLT, *OPTIONAL, *RARE, "local_slack"),
    "bot.process.web_part": (*WORK, *ENGINES, *RENDERING, *TOOLS, *OPTIONAL, *RARE),
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


def test_the_types_of_the_sdk_are_imported_with_their_first_use() -> None:
    lines = (
        "import sys, bot.engines, openai",
        "print(sum(name.startswith('openai.types.') for name in sys.modules))",
        "openai.AsyncOpenAI(api_key='sk-1').files.create",
        "from openai.types import FileObject, responses",
        "print(FileObject.__module__, responses.Response.__module__)",
        "print(responses.response.Response is responses.Response, hasattr(responses, 'nothing'))",
    )
    code = "\n".join(lines)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, *found = done.stdout.split()
    assert int(count) < 100
    assert found == [
        "openai.types.file_object",
        "openai.types.responses.response",
        *("True", "False"),
    ]


def test_the_root_has_at_most_twelve_modules() -> None:
    assert len(list(Path(bot.__file__).parent.glob("*.py"))) <= 12
