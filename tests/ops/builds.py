"""Clean copies of the repository, and environments built in them like on a platform."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.ops.processes import ROOT

BUILD_SECONDS = 200
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def copy_clone(target: Path) -> Path:
    """The tracked files, as in a clone."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not in a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return copy_files(target, filter(None, listed.stdout.split("\0")))


def copy_files(target: Path, names: Iterable[str]) -> Path:
    """Copy files and folders of the repository."""
    for name in names:
        source = ROOT / name
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, target / name)
    return target


def uv_sync(directory: Path, *options: str, environment: Path) -> None:
    """`uv sync` with these options, into `environment`, with a Python of this machine."""
    _run_uv("sync", *options, "--python", _python(), directory=directory, environment=environment)


def build_wheels(target: Path) -> tuple[Path, Path]:
    """The wheels of the bot and of the local Slack, each built from its source distribution."""
    for source in (ROOT, ROOT / "local_slack"):
        _run_uv("build", "--quiet", "--out-dir", str(target), directory=source)
    [bot], [local_slack] = target.glob("threadbot-*.whl"), target.glob("threadbot_local*.whl")
    return bot, local_slack


def install(environment: Path, *requirements: str, find_links: Path) -> None:
    """Install into a new, empty environment; our own wheels come from `find_links`."""
    _run_uv("venv", "--quiet", "--python", _python(), str(environment), directory=find_links)
    options = ("--quiet", "--python", str(environment), "--find-links", str(find_links))
    _run_uv("pip", "install", *options, *requirements, directory=find_links)


def install_into(target: Path, *sources: Path) -> Path:
    """Build packages and install them, without what they require, into a folder."""
    options = ("--quiet", "--no-deps", "--target", str(target), "--python", sys.executable)
    _run_uv("pip", "install", *options, *map(str, sources), directory=target.parent)
    return target


def _python() -> str:
    """The project's Python if the machine has it."""
    version = (ROOT / ".python-version").read_text().strip()
    command = [find_uv(), "python", "find", "--no-project", version]
    found = subprocess.run(command, capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else sys.executable


def _run_uv(*command: str, directory: Path, environment: Path | None = None) -> None:
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env["UV_PYTHON_DOWNLOADS"] = "never"
    if environment is not None:
        env["UV_PROJECT_ENVIRONMENT"] = str(environment)
    ended = subprocess.run(
        [find_uv(), *command],
        cwd=directory,
        env=env,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    if "Failed to fetch" in ended.stderr or "error sending request" in ended.stderr:
        pytest.skip("the package registry cannot be reached")
    assert ended.returncode == 0, ended.stderr


def find_uv() -> str:
    """A working uv of the machine, or the one of `dev.py`."""
    for path in (shutil.which("uv"), str(ROOT / ".dev" / "uv" / "bin" / "uv")):
        if path and Path(path).exists() and not subprocess.call([path, "--version"], **QUIET):
            return path
    pytest.skip("uv is not at hand")
