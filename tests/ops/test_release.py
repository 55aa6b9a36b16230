"""The release script: what it refuses, and its bill of materials."""

import json
import subprocess
from pathlib import Path

import pytest

import release
from tests.ops.builds import find_uv
from tests.ops.processes import ROOT

PYPROJECT = """\
[project]
name = "threadbot"
version = "1.2.3"
[project.urls]
Source = "https://example.com/threadbot"
[project.optional-dependencies]
try = ["threadbot-local-slack>=0.1,<0.2"]
"""
FILES = {
    "pyproject.toml": PYPROJECT,
    "local_slack/pyproject.toml": '[project]\nname = "threadbot-local-slack"\nversion = "0.1.0"\n',
    "bot/__init__.py": '__version__ = "1.2.3"\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-27\n\n- A thing.\n",
}


def git(root: Path, *command: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com")
    subprocess.run(["git", *identity, *command], cwd=root, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository that can be released."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q")
    commit(tmp_path)
    return tmp_path


def commit(root: Path) -> None:
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", "A change")


def test_a_finished_release_has_no_problems_with_and_without_its_tag(clone: Path) -> None:
    assert list(release.find_problems(clone)) == []
    git(clone, "tag", "v1.2.3")
    assert list(release.find_problems(clone)) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("bot/__init__.py", "1.2.3", "1.2.4", "bot/__init__.py does not say 1.2.3"),
        ("pyproject.toml", "1.2.3", "1.2.3rc1", "not a version of three numbers"),
        ("CHANGELOG.md", "[1.2.3]", "[1.2.2]", "has no entry"),
        ("CHANGELOG.md", "## [1.2.3]", "- Late.\n\n## [1.2.3]", "under Unreleased"),
        ("pyproject.toml", "Source", "Other", "no Source"),
        ("local_slack/pyproject.toml", "0.1.0", "0.2.0", "threadbot-local-slack 0.2.0"),
    ],
)
def test_each_thing_that_does_not_fit_is_named(
    clone: Path, name: str, old: str, new: str, problem: str
) -> None:
    text = (clone / name).read_text()
    assert old in text
    (clone / name).write_text(text.replace(old, new))
    commit(clone)
    assert any(problem in each for each in release.find_problems(clone))


def test_a_dirty_tree_and_a_taken_tag_are_refused(clone: Path) -> None:
    git(clone, "tag", "v1.2.3")
    commit(clone)
    assert any("another commit" in each for each in release.find_problems(clone))
    (clone / "new").write_text("")
    assert any("not committed" in each for each in release.find_problems(clone))


def test_the_bill_of_materials_names_what_production_installs(tmp_path: Path) -> None:
    file = tmp_path / "bill.json"
    release.write_bill(find_uv(), ROOT, "threadbot", file)
    named = {component["name"] for component in json.loads(file.read_text())["components"]}
    assert {"slack-bolt", "openai", "redis"} <= named
    assert not named & {"pytest", "mypy", "rich"}
