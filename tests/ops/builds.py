"""Clean copies of the repository, and environments built in them as a platform builds them."""

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
    """What a clone would hold: the tracked files and nothing else."""
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
    uv = find_uv()
    env = {
        **{name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        "UV_PROJECT_ENVIRONMENT": str(environment),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    version = (ROOT / ".python-version").read_text().strip()
    found = subprocess.run(
        [uv, "python", "find", "--no-project", version], capture_output=True, text=True, env=env
    )
    python = found.stdout.strip() if found.returncode == 0 else sys.executable
    ended = subprocess.run(
        [uv, "sync", *options, "--python", python],
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
    """The machine's uv that works, or the one of `dev.py`."""
    for path in (shutil.which("uv"), str(ROOT / ".dev" / "uv" / "bin" / "uv")):
        if path and Path(path).exists() and not subprocess.call([path, "--version"], **QUIET):
            return path
    pytest.skip("uv is not at hand")
