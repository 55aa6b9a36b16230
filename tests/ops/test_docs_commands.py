"""The commands of the documentation run as they are written, one page after the other.

Those that need another service are listed with their reason: a new one has to be run or listed.
"""

import asyncio
import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli.main import commands
from bot.sealing import generate_key
from bot.settings import load
from bot.store.installations import Installation
from bot.store.shards import open_shards
from local_slack import open_workspace
from tests.fakes.openai import open_fake_openai
from tests.ops.deployments import deployment
from tests.test_docs import BLOCK, PAGES, ids

NOT_RUN = {
    "heroku": "needs an account",
    "git push": "needs an account",
    "gcloud": "needs an account",
    "printf": "feeds gcloud",
    "fly": "needs an account",
    "docker": "needs a daemon; the file is checked in test_docker.py",
    "kubectl": "needs a cluster",
    "helm": "needs a cluster; the chart is rendered in test_helm.py",
    "redis-cli": "a program of the operating system",
    "jq": "a program of the operating system",
    "python3 dev.py": "installs everything; its words are checked in test_docs.py",
    "bot init": "asks a person; see test_init.py",
    "bot run": "does not end; see test_processes.py",
    "pytest": "runs the tests",
    "POST ": "a request, not a command",
    "200": "a response, not a command",
    "{": "a body, not a command",
    "redis+": "an address, not a command",
    "?": "the rest of an address",
}
"""The beginnings of lines that are not run, and why."""
MAY_END_WITH = {"bot doctor": (0, 1)}
"""Exit codes other than 0: the doctor finds that no worker runs."""
INSTALLED = Installation(
    "T123", "Acme", "T123", "", "U1", "B1", "https://acme.slack.com/", "xoxb-1"
)


def shell_lines(page: Path) -> Iterator[str]:
    for language, text in BLOCK.findall(page.read_text()):
        if language in ("", "sh", "console") and "──" not in text:
            for line in text.replace("\\\n", " ").splitlines():
                yield re.sub(r"\s+#.*", "", line).strip().removeprefix(".venv/bin/")


def run(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
    """Run a line of bot, with variables before it."""
    line = line.replace("/backups/", f"{folder}/")
    answers = os.environ["OPENAI_API_KEY"] if "--ai-key" in line else "y\n"
    with monkeypatch.context() as scope:
        words = shlex.split(line)
        while "=" in words[0]:
            scope.setenv(*words.pop(0).split("=", 1))
        assert words[0] in ("bot", "threadbot"), line
        return CliRunner().invoke(commands, words[1:], input=answers)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prices.toml").write_text('["gpt-6-luna"]\ninput = 1.0\noutput = 2.0\n')
    (tmp_path / "tools.toml").write_text('[servers.github]\nurl = "http://127.0.0.1:1/mcp"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def is_assignment(line: str) -> bool:
    """Lines of `.env`, whose names test_docs.py checks."""
    return all(re.match(r"[A-Z_]+=", word) for word in line.removeprefix("export ").split())


async def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in filter(None, shell_lines(page)):
        if line.startswith(tuple(NOT_RUN)) or is_assignment(line):
            continue
        ended = await asyncio.to_thread(run, line, folder, monkeypatch)
        codes = next((codes for start, codes in MAY_END_WITH.items() if start in line), (0,))
        assert ended.exit_code in codes, f"{line}\n{ended.output}\n{ended.exception}"
        assert ended.exception is None or isinstance(ended.exception, SystemExit), line


@pytest.mark.parametrize("page", PAGES, ids=ids)
async def test_the_commands_of_a_page_run(
    page: Path, redis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_workspace() as slack, open_fake_openai() as fake:
        given = deployment(slack, fake, redis_url) | {
            "BOT_REDIS_PREFIX": f"docs-{page.stem}",
            "BOT_ENCRYPTION_KEYS": generate_key(),
            "SLACK_CLIENT_ID": "1.2",
            "SLACK_CLIENT_SECRET": "secret",
            "BOT_PUBLIC_URL": "https://bot.test",
            "BOT_TOOLS": str(folder / "tools.toml"),
            "BOT_PRICES": str(folder / "prices.toml"),
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        async with open_shards(load(env_file=None)) as shards:
            await shards.of("T123").installations.save(INSTALLED)
        await run_page(page, folder, monkeypatch)


def test_every_exception_is_needed() -> None:
    lines = [line for page in PAGES for line in shell_lines(page)]
    assert [start for start in NOT_RUN if not any(line.startswith(start) for line in lines)] == []
