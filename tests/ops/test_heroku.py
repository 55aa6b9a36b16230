"""Heroku, as far as it can be simulated: its build, its processes, its variables, its SIGTERM."""

import asyncio
import json
import re
import shlex
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bot import settings
from bot.cli.main import commands
from bot.settings import Settings
from tests.ops.builds import copy_clone, uv_sync
from tests.ops.processes import ROOT, open_process, open_site
from tests.ops.servers import run_tls_redis
from tests.world import PATIENCE

HEROKU_PATIENCE = 30.0
"""Seconds from SIGTERM to SIGKILL."""
NAME_CHARACTERS = 30
"""Maximum characters of `name` in an app.json."""


def procfile() -> dict[str, str]:
    lines = (ROOT / "Procfile").read_text().splitlines()
    return {kind: command.strip() for kind, _, command in (line.partition(":") for line in lines)}


def app_json() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "app.json").read_text())
    return found


@pytest.mark.timeout(400)
async def test_a_clean_clone_is_built_released_started_and_stopped(tmp_path: Path) -> None:
    app = copy_clone(tmp_path / "app")
    python = tmp_path / "python"
    options = ("--locked", "--no-default-groups", "--compile-bytecode")
    await asyncio.to_thread(uv_sync, app, *options, environment=python)
    assert not list(python.glob("lib/*/site-packages/pytest")), "what tests need is not deployed"
    (tls := tmp_path / "tls").mkdir()
    commands = {kind: tuple(shlex.split(command)) for kind, command in procfile().items()}
    with run_tls_redis(tls) as port:
        url = f"rediss://127.0.0.1:{port}/0"
        async with AsyncExitStack() as stack:
            site = await stack.enter_async_context(open_site(url))
            dyno = {
                "PATH": f"{python / 'bin'}:/usr/bin:/bin",
                "PYTHONPATH": "",
                "DYNO": "web.1",
                "WEB_CONCURRENCY": "2",
                "BOT_REDIS_CONNECTIONS": app_json()["env"]["BOT_REDIS_CONNECTIONS"]["value"],
            }
            await release(commands["release"], app, site.environment | dyno)
            web, worker = [
                await stack.enter_async_context(
                    open_process(site, kind, directory=app, command=commands[kind], **dyno)
                )
                for kind in ("web", "worker")
            ]
            alice = site.slack.user("alice")
            root = await alice.says("#general", "@bot hello")
            await site.slack.wait_for(lambda: site.slack.replies("#general", root), PATIENCE)
            for process in (web, worker):
                code, seconds = await process.end()
                assert code == 0, process.log.decode()
                assert seconds < HEROKU_PATIENCE


async def release(command: tuple[str, ...], directory: Path, environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=directory, env=environment, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    assert "webhook" not in output.decode()


def test_the_button_sets_up_what_the_procfile_runs() -> None:
    app = app_json()
    assert len(app["name"]) <= NAME_CHARACTERS
    assert set(app["formation"]) == set(procfile()) - {"release"}
    assert all(process["quantity"] == 1 for process in app["formation"].values())
    assert {process["size"] for process in app["formation"].values()} == {"basic"}
    [redis] = [addon for addon in app["addons"] if addon.startswith("heroku-redis:")]
    assert redis != "heroku-redis:mini", "which keeps nothing on disk"


def test_the_button_states_what_it_costs() -> None:
    description = app_json()["description"]
    [total] = re.findall(r"about (\d+) US dollars a month", description)
    [dyno], [redis] = (
        re.findall(r"\((\d+) each\)", description),
        re.findall(r"premium-0, (\d+)\)", description),
    )
    assert int(total) == int(dyno) * len(app_json()["formation"]) + int(redis)
    assert f"about {total} US dollars a month" in (ROOT / "docs" / "heroku.md").read_text()


def test_the_button_asks_for_variables_that_exist_and_describes_each() -> None:
    for name, variable in app_json()["env"].items():
        assert name.lower() in Settings.model_fields
        assert variable["description"].endswith(".")
        assert not {"value", "generator"} <= variable.keys()


def test_what_the_button_asks_for_is_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    samples = {"SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "OPENAI_API_KEY": "sk-1"}
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, variable in app_json()["env"].items():
        if variable.get("required", True):
            value = variable.get("value") or samples.get(name) or "generated"
            monkeypatch.setenv(name, value)
    assert settings.find_problems(tmp_path / "no-file") == []
    assert settings.load(env_file=None).socket_mode


def test_the_page_names_commands_and_variables_that_exist() -> None:
    page = (ROOT / "docs" / "heroku.md").read_text()

    for word in re.findall(r"(?:`|run |^)bot ([a-z]+)", page, re.MULTILINE):
        assert word in commands.commands
    for name in re.findall(r"\b((?:BOT|SLACK|OPENAI|OTEL)_[A-Z_]+)\b", page):
        assert name.lower() in Settings.model_fields, name
