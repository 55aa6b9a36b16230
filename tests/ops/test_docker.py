"""The image and the compose file. Docker does not run here: the files are parsed, and the steps
executed."""

import asyncio
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot.cli.main import commands
from bot.settings import Settings
from tests.ops.builds import copy_files, uv_sync
from tests.ops.processes import ROOT, open_process, open_site

OF_THE_IMAGE = {"PATH", "PYTHONUNBUFFERED", "UV_COMPILE_BYTECODE", "UV_LINK_MODE"}
OF_THE_IMAGE |= {"UV_CACHE_DIR", "UV_PYTHON_DOWNLOADS", "PYTHONDONTWRITEBYTECODE"}


def instructions() -> list[tuple[str, str]]:
    text = (ROOT / "Dockerfile").read_text()
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(None, 1)) for line in joined.splitlines()]  # type: ignore[misc]


def stage(name: str) -> list[tuple[str, str]]:
    """The instructions of a stage; "": of the last one, which has no name."""
    found: list[tuple[str, str]] = []
    is_in = False
    for word, value in instructions():
        if word == "FROM":
            is_in = value.partition(" AS ")[2] == name
        elif is_in:
            found.append((word, value))
    return found


def values(word: str) -> list[str]:
    return [value for name, value in instructions() if name == word]


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yml").read_text())
    return found


def test_the_image_is_built_with_the_versions_of_the_project() -> None:
    python = (ROOT / ".python-version").read_text().strip()
    stages = {name.partition(" AS ")[2] for name in values("FROM")}
    bases = {image.split()[0] for image in values("FROM")} - stages
    assert bases == {f"python:{python}-slim"}
    version = re.search(r'UV_VERSION = "([\d.]+)"', (ROOT / "dev.py").read_text())
    assert version is not None
    assert f"--from=ghcr.io/astral-sh/uv:{version[1]} " in values("COPY")[0]


def test_the_image_runs_without_rights_and_gets_sigterm() -> None:
    final = stage("base") + stage("")
    users = [value for name, value in final if name == "USER"]
    assert users == ["10001:10001"], "by number, which Kubernetes can check"
    created = " ".join(value for name, value in final if name == "RUN")
    assert "--uid 10001" in created
    assert "--gid 10001" in created
    copied = [value for name, value in final if name == "COPY"]
    assert [value for value in copied if "--chown" in value] == [], "code belongs to root"
    assert values("STOPSIGNAL") == ["SIGTERM"]
    assert values("ENTRYPOINT") == ['["bot"]'], "without a shell between, which would keep SIGTERM"
    assert [value for name, value in final if name == "CMD"] == ['["run"]']
    assert '"bot.cli.probe"' in values("HEALTHCHECK")[0]


def test_the_image_of_bot_try_has_its_packages_and_no_port_of_a_deployment() -> None:
    own = stage("try")
    assert [value for name, value in own if name == "CMD"] == ['["try"]']
    assert [name for name, _ in own if name in ("ENV", "EXPOSE", "HEALTHCHECK")] == []
    [built] = [value for name, value in stage("build-try") if name == "RUN"]
    assert "--extra try" in built
    assert "--extra" not in " ".join(value for name, value in stage("build") if name == "RUN")
    assert "docker build --target try" in (ROOT / "docs/how-to/containers.md").read_text()


def test_the_image_sets_variables_that_exist() -> None:
    for line in values("ENV"):
        for pair in line.split():
            name = pair.partition("=")[0]
            assert name in OF_THE_IMAGE or name.lower() in Settings.model_fields, name


def test_what_the_image_copies_is_there_and_is_sent_to_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    sent = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    for line in values("COPY"):
        if "--from" not in line:
            for name in line.split()[:-1]:
                assert (ROOT / name).exists()
                paths = {name, name.partition("/")[0]}
                assert any(fnmatch(path, pattern) for path in paths for pattern in sent), name


@pytest.mark.timeout(400)
async def test_the_steps_of_the_image_build_a_bot_that_runs(tmp_path: Path, redis_url: str) -> None:
    venv = tmp_path / ".venv"
    for word, line in stage("build"):
        if word == "COPY" and "--from" not in line:
            copy_files(tmp_path, line.split()[:-1])
        elif word == "RUN" and "uv sync" in line:
            options = line.split("uv sync")[1].split()
            await asyncio.to_thread(uv_sync, tmp_path, *options, environment=venv)
    (elsewhere := tmp_path / "data").mkdir()
    (tmp_path / "bot").rename(tmp_path / "gone")
    given = {"PATH": f"{venv / 'bin'}:/usr/bin:/bin", "PYTHONPATH": ""}
    async with (
        open_site(redis_url) as site,
        open_process(site, "run", directory=elsewhere, command=("bot", "run"), **given) as bot,
    ):
        environment = site.environment | given | {"PORT": bot.url.rpartition(":")[2]}
        assert await asyncio.to_thread(probe, venv, elsewhere, environment) == 0
        await bot.end()
        assert await asyncio.to_thread(probe, venv, elsewhere, environment) == 1


def probe(venv: Path, directory: Path, environment: dict[str, str]) -> int:
    command = [str(venv / "bin" / "python"), "-m", "bot.cli.probe"]
    return subprocess.run(command, cwd=directory, env=environment, timeout=60).returncode


def test_compose_keeps_what_was_acknowledged() -> None:
    redis = compose()["services"]["redis"]
    command = " ".join(redis["command"])
    assert "--appendonly yes --appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command
    assert redis["volumes"] == ["redis:/data"]
    assert "redis" in compose()["volumes"]
    assert "ports" not in redis


def test_compose_runs_both_halves_once_redis_is_there() -> None:
    services = compose()["services"]
    for name in ("web", "worker"):
        service = services[name]
        assert service["command"] == [name]
        assert name in commands.commands
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}
        assert service["environment"]["REDIS_URL"] == "redis://redis:6379/0"
        assert service["stop_grace_period"] == "30s"
    assert [port for port in services["web"]["ports"] if not port.startswith("127.0.0.1:")] == []


def test_no_container_can_change_itself_or_gain_rights() -> None:
    for name, service in compose()["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["pids_limit"] <= 512, name
        assert "privileged" not in service, name
        writable = [v for v in service["volumes"] if not v.endswith(":ro")]
        assert writable == (["redis:/data"] if name == "redis" else []), name


def test_every_container_has_a_health_check() -> None:
    services = compose()["services"]
    assert services["redis"]["healthcheck"]["test"] == ["CMD", "redis-cli", "ping"]
    assert '"bot.cli.probe"' in values("HEALTHCHECK")[0], "web and worker have that of the image"
    for name in ("web", "worker"):
        assert "healthcheck" not in services[name]


def test_redis_is_reached_by_the_bot_only() -> None:
    found = compose()
    assert found["networks"] == {"backend": {"internal": True}}
    assert found["services"]["redis"]["networks"] == ["backend"]
    for name in ("web", "worker"):
        assert found["services"][name]["networks"] == ["default", "backend"]


def test_no_value_of_env_can_break_what_the_file_fixes() -> None:
    """PORT, BOT_HOST or a state directory from .env would conflict with the published port and
    volumes."""
    for name in ("web", "worker"):
        service = compose()["services"][name]
        fixed = service["environment"]
        assert {
            "PORT": "3000",
            "BOT_HOST": "0.0.0.0",
            "BOT_HEALTH_PORT": "3001",
        }.items() <= fixed.items()
        assert fixed["BOT_STATE_DIR"] == "/data"
        assert [v for v in fixed if v.lower() not in Settings.model_fields] == []
        assert "/data:uid=10001,gid=10001,mode=0700" in service["tmpfs"]
        assert "host.docker.internal:host-gateway" in service["extra_hosts"]
    assert compose()["services"]["web"]["ports"] == ["127.0.0.1:${PORT:-3000}:3000"]


def test_the_prices_of_the_examples_are_where_the_readme_says() -> None:
    for name in ("web", "worker"):
        [volume] = compose()["services"][name]["volumes"]
        source, target, mode = volume.split(":")
        assert (ROOT / source / "prices.toml").exists()
        assert (target, mode) == (f"{values('WORKDIR')[-1]}/examples", "ro")


def test_compose_uses_words_that_compose_knows() -> None:
    known = {"build", "image", "env_file", "environment", "depends_on", "restart", "command"}
    known |= {"stop_grace_period", "ports", "volumes", "healthcheck", "read_only", "cap_drop"}
    known |= {"security_opt", "tmpfs", "extra_hosts", "networks", "pids_limit", "init", "user"}
    extensions = {"x-bot", "x-hardened"}
    assert compose().keys() - extensions == {"name", "services", "volumes", "networks"}
    for name, service in compose()["services"].items():
        assert service.keys() <= known, name
