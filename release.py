#!/usr/bin/env python3
"""Checks a release and builds it: `python3 dev.py release`, with `--tag` also the git tag.

In `dist/`: the wheels and source distributions of the bot and of the local Slack, and for each the
bill of materials (CycloneDX) with the locked versions of all dependencies.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
DIST = ROOT / "dist"
PACKAGES = ("threadbot", "threadbot-local-slack")


def find_problems(root: Path) -> Iterator[str]:
    """The problems that prevent a release, one line each."""
    project = _project(root / "pyproject.toml")
    version = project["version"]
    code = re.search(r'__version__ = "(.+)"', (root / "bot" / "__init__.py").read_text())
    if code is None or code[1] != version:
        yield f"bot/__init__.py does not say {version}"
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        yield f"{version} is not a version of three numbers"
    yield from _changelog_problems((root / "CHANGELOG.md").read_text(), version)
    if "Source" not in project.get("urls", {}):
        yield "pyproject.toml names no Source in [project.urls]"
    slack = _project(root / "local_slack" / "pyproject.toml")["version"]
    wanted = next(
        (
            d
            for ds in project["optional-dependencies"].values()
            for d in ds
            if d.startswith("threadbot-local-slack")
        ),
        "",
    )
    if not re.search(rf">={re.escape(slack.rpartition('.')[0])}", wanted):
        yield f"the extra `try` does not require threadbot-local-slack {slack}"
    yield from _git_problems(root, version)


def _changelog_problems(changelog: str, version: str) -> Iterator[str]:
    head = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.M)
    if head is None:
        yield f"CHANGELOG.md has no entry `## [{version}] - YYYY-MM-DD`"
        return
    unreleased = changelog[: head.start()].partition("## [Unreleased]")[2]
    if unreleased.strip():
        yield f"CHANGELOG.md has entries under Unreleased: move them to {version}"


def _git_problems(root: Path, version: str) -> Iterator[str]:
    if _git(root, "status", "--porcelain"):
        yield "the working tree has changes that are not committed"
    tagged = _git(root, "rev-list", "-n1", f"v{version}", check=False)
    if tagged and tagged != _git(root, "rev-parse", "HEAD"):
        yield f"the tag v{version} exists, on another commit: raise the version"


def _project(file: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads(file.read_text())["project"]
    return project


def _git(root: Path, *command: str, check: bool = True) -> str:
    ended = subprocess.run(["git", *command], cwd=root, check=check, capture_output=True, text=True)
    return ended.stdout.strip()


def build(uv: str, root: Path, dist: Path) -> None:
    """Build both packages. A second build of the same commit gives the same bytes."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": _git(root, "log", "-1", "--format=%ct")}
    for package in PACKAGES:
        command = [uv, "build", "--quiet", "--package", package, "--out-dir", str(dist)]
        subprocess.run(command, cwd=root, check=True, env=environment)


def write_bill(uv: str, root: Path, package: str, file: Path) -> None:
    """The bill of materials of a package: its production requirements, with versions."""
    command = [uv, "export", "--locked", "--quiet", "--no-default-groups", "--package", package]
    told = subprocess.run(
        [*command, "--format", "cyclonedx1.5"], cwd=root, check=True, capture_output=True, text=True
    )
    file.write_text(json.dumps(json.loads(told.stdout), indent=1) + "\n")


def main(uv: str, *options: str) -> None:
    """Check, build, and with `--tag` tag; exits with 1 and the problems if there are any."""
    problems = list(find_problems(ROOT))
    if problems:
        sys.exit("\n".join(f"release: {problem}" for problem in problems))
    build(uv, ROOT, DIST)
    for package in PACKAGES:
        write_bill(uv, ROOT, package, DIST / f"{package}.cdx.json")
    for path in sorted(DIST.iterdir()):
        print(f"{path.stat().st_size:>10,} {path.relative_to(ROOT)}")
    version = _project(ROOT / "pyproject.toml")["version"]
    if "--tag" in options:
        subprocess.run(
            ["git", "tag", "-a", f"v{version}", "-m", f"Release {version}"], cwd=ROOT, check=True
        )
        print(f"tagged v{version}; push it with: git push origin v{version}")


if __name__ == "__main__":
    main(*sys.argv[1:])
