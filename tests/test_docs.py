"""The documentation: its links have targets, its examples are valid, and its site is complete."""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

import dev
from bot.cli.main import commands
from bot.cli.reference import LogEvent, find_log_events, render_pages
from bot.dlp.rules import load_rules
from bot.errors import ConfigError
from bot.settings import Settings
from bot.settings.prices import load_prices
from bot.store.families import render_families
from bot.tools.config import load_tools

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SITE = sorted(DOCS.rglob("*.md"))
PAGES = [*SITE, *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
PARSERS: dict[str, Callable[[str], Any]] = {
    "python": lambda text: compile(text, "example", "exec"),
    "toml": tomllib.loads,
    "json": json.loads,
    "yaml": yaml.safe_load,
}


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and the site make it."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", text).strip())


def anchors(page: Path) -> set[str]:
    text = BLOCK.sub("", page.read_text())
    return {slug(heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)}


def links(page: Path) -> Iterator[str]:
    text = BLOCK.sub("", page.read_text())
    yield from re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text)
    yield from re.findall(r'(?:src|srcset)="([^"]+)"', text)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_have_targets(page: Path) -> None:
    for link in links(page):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if page in SITE:
            assert target.is_relative_to(DOCS), f"{link} is not on the site"
        if anchor:
            assert anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_examples_are_valid(page: Path) -> None:
    for language, text in BLOCK.findall(page.read_text()):
        if language in PARSERS:
            PARSERS[language](text)
        for words in shell_lines(text) if language in ("", "sh", "console") else ():
            check_command(words)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_examples_run(page: Path) -> None:
    for language, text in BLOCK.findall(page.read_text()):
        if language == "python":
            exec(compile(text, str(page), "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_toml_examples_are_accepted(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the code that reads such a file."""
    for name in ("WIKI_TOKEN", "CRM_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "secret")
    for language, text in BLOCK.findall(page.read_text()):
        if language != "toml" or "[project" in text:
            continue
        (file := tmp_path / "example.toml").write_text(text)
        accepted = [load.__name__ for load in LOADERS if is_accepted(load, file)]
        assert len(accepted) == 1, (text, accepted)


LOADERS: tuple[Callable[[Path], Any], ...] = (load_prices, load_rules, load_tools)


def is_accepted(load: Callable[[Path], Any], file: Path) -> bool:
    try:
        load(file)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_manifest_examples_print_a_manifest(page: Path) -> None:
    for _, text in BLOCK.findall(page.read_text()):
        for program, *words in shell_lines(text):
            if program != "dev.py" and words[0] == "manifest":
                done = CliRunner().invoke(commands, words)
                assert done.exit_code == 0, done.output
                assert yaml.safe_load(done.output)["oauth_config"]


def test_the_page_of_keys_names_those_that_the_page_handles() -> None:
    scripts = (ROOT / "local_slack" / "page" / "js").glob("*.js")
    code = "\n".join(script.read_text() for script in scripts)
    handled = set(re.findall(r'event\.key === "(\w+)"', code))
    handled |= {
        key
        for keys in re.findall(r"\{([^}]*)\}\[event\.key\]", code)
        for key in re.findall(r"(\w+):", keys)
    }
    page = (DOCS / "reference" / "keyboard.md").read_text()
    assert {key for key in handled if f"`{key}`" not in page} == set()
    named = set(re.findall(r"`(Arrow\w+|Enter|Escape|Tab|k)`", page))
    assert named == handled


def shell_lines(text: str) -> Iterator[list[str]]:
    """The lines that call `bot` or `dev.py`."""
    for line in text.replace("\\\n", " ").splitlines():
        found = re.match(r"\s*(?:\.venv/bin/)?(bot|threadbot|python3 dev\.py)\s+(.*)", line)
        if found:
            yield [found[1].split()[-1], *shlex.split(found[2], comments=True)]


def check_command(words: list[str]) -> None:
    program, *rest = words
    if program == "dev.py":
        assert all(word in dev.WORDS for word in rest[0].split("|")), words
        return
    command: Any = commands
    while isinstance(command, click.Group):
        assert rest[0] in command.commands, words
        command, rest = command.commands[rest[0]], rest[1:]
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known, words


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_the_named_settings_exist(page: Path) -> None:
    known = {name.upper() for name in Settings.model_fields}
    text = page.read_text()
    named = set(re.findall(r"\b(?:BOT|SLACK|OPENAI|REDIS)_[A-Z_]*[A-Z]\b", text))
    families = {name for name in named if any(each.startswith(f"{name}_") for each in known)}
    assert named - families - known - {"BOT_ADMIN"} == set()


@pytest.mark.parametrize("page", sorted((DOCS / "runbooks").glob("*.md")), ids=ids)
def test_the_log_events_in_runbooks_exist(page: Path) -> None:
    """Every name in code font is a word of the code, so that a renamed event is noticed."""
    code = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py"))
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", page.read_text())) - {"rule_files"}
    assert {name for name in named if name.removesuffix("_total") not in code} == set()


def test_the_navigation_has_every_page() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    assert {page.relative_to(DOCS).as_posix() for page in SITE} == set(
        re.findall(r"([\w/-]+\.md)$", text, re.M)
    )


def test_the_generated_pages_are_those_of_the_code() -> None:
    for name, text in render_pages().items():
        assert (DOCS / "reference" / name).read_text() == text, f"{name}: dev.py generate"


def test_the_table_of_redis_keys_is_that_of_the_code() -> None:
    assert render_families() in (DOCS / "architecture.md").read_text(), "dev.py generate"


def test_the_page_of_routes_has_every_route() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "bot").rglob("*.py"))
    names = dict(re.findall(r'^(\w+_PATH) = "([^"]+)"', code, re.M))
    added = re.findall(r'router\.add_(get|post)\(\s*(?:"([^"]+)"|(\w+))', code)
    routes = {f"{method.upper()} {path or names[name]}" for method, path, name in added}
    page = (DOCS / "reference" / "http.md").read_text()
    assert set(re.findall(r"^\| `((?:GET|POST) [^`]+)`", page, re.M)) == routes


def test_ci_runs_the_test_command_of_the_readme() -> None:
    [command] = re.findall(r"^exec (.+)$", (ROOT / ".ci" / "run").read_text(), re.M)
    blocks = "\n".join(
        re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    )
    assert command in [line.split("#")[0].strip() for line in blocks.splitlines()]


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 70


def test_log_events_are_found_with_level_and_fields(tmp_path: Path) -> None:
    code = (
        'log.info("made", id=1)\nlog.warning("made", thread=2)\nprint("no", log.info)\nlog.info()\n'
        'log.exception("broken" if one else "lost", turns=3)\n'
    )
    (tmp_path / "module.py").write_text(code)
    made, *others = find_log_events(tmp_path).items()
    assert made == ("made", LogEvent({"info", "warning"}, {"id", "thread"}))
    assert others == [(name, LogEvent({"error"}, {"turns"})) for name in ("broken", "lost")]
