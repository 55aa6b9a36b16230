"""The files of the platforms: they are valid, agree with each other, and start what exists."""

import asyncio
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.cli import exit_codes
from bot.cli.main import commands as program
from bot.settings import Settings
from bot.slack.http_server import KEEP_ALIVE
from tests.ops.helm import CHART, VALIDATORS
from tests.ops.processes import ROOT

ROUTER_IDLE = 90
"""Seconds for which Heroku's router keeps an idle connection to a dyno."""
SERVING = {("web",), ("worker",), ("run",)}


def render_yaml() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "render.yaml").read_text())
    return found


def fly_toml() -> dict[str, Any]:
    return tomllib.loads((ROOT / "fly.toml").read_text())


def start_commands() -> dict[str, set[tuple[str, ...]]]:
    """The arguments of `bot` in every start command, by file."""
    lines = (ROOT / "Procfile").read_text().splitlines()
    compose = yaml.safe_load((ROOT / "compose.yml").read_text())["services"]
    docker = (ROOT / "Dockerfile").read_text()
    [image] = re.findall(r"^CMD (\[.*\])$", docker, re.M)[-1:]
    of_render = [
        command
        for service in render_yaml()["services"]
        for name in ("dockerCommand", "preDeployCommand")
        if (command := service.get(name))
    ]
    fly = fly_toml()
    pages = [*(ROOT / "docs" / "how-to").glob("*.md"), ROOT / "docs" / "heroku.md"]
    text = "\n".join(page.read_text() for page in pages)
    of_helm = "\n".join(path.read_text() for path in CHART.rglob("*.yaml"))
    return {
        "Procfile": {_of_bot(line.partition(":")[2]) for line in lines},
        "Dockerfile": {tuple(json.loads(image))},
        "compose.yml": {
            tuple(each["command"]) for name, each in compose.items() if name != "redis"
        },
        "render.yaml": {_of_bot(command) for command in of_render},
        "fly.toml": {
            tuple(shlex.split(command))
            for command in (*fly["processes"].values(), fly["deploy"]["release_command"])
        },
        "helm": {(word,) for word in re.findall(r"args: \[(\w+)\]", of_helm)}
        | {("web",), ("worker",)},
        "cloud-run.md": {(word,) for word in re.findall(r"--args=(\w+)", text)},
    }


def _of_bot(command: str) -> tuple[str, ...]:
    program, *rest = shlex.split(command)
    assert program == "bot", command
    return tuple(rest)


def test_every_platform_runs_both_halves() -> None:
    for file, commands in start_commands().items():
        assert {("web",), ("worker",)} <= commands or ("run",) in commands, file


async def test_every_start_command_is_one_of_the_program(tmp_path: Path) -> None:
    """Each process reaches the check of its settings, of which there are none here.

    That the commands do their work is shown by the tests of Heroku, of the image and of the doctor.
    """
    commands = set().union(*start_commands().values())
    codes = await asyncio.gather(*(run_once(words, tmp_path) for words in commands & SERVING))
    assert codes == [exit_codes.CONFIG] * len(SERVING)
    checks = commands - SERVING
    assert checks == {("doctor",), ("doctor", "--release")}
    for name, *options in checks:
        program.commands[name].make_context(name, options)


async def run_once(words: tuple[str, ...], directory: Path) -> int:
    done = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *words),
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    return await done.wait()


def test_idle_connections_outlive_those_of_the_router() -> None:
    """A router that reuses a connection just closed by us loses a request: Slack repeats events,
    but not buttons."""
    assert KEEP_ALIVE > ROUTER_IDLE


def test_the_compose_file_fits_its_specification() -> None:
    path = VALIDATORS / "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
    if not path.exists():
        pytest.skip("no schemas in .dev/validators")
    found = yaml.safe_load((ROOT / "compose.yml").read_text())
    errors = Draft202012Validator(json.loads(path.read_text())).iter_errors(found)
    assert [error.message for error in errors] == []


SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type", "name", "plan"],
    "properties": {
        "type": {"enum": ["web", "worker", "keyvalue"]},
        "name": {"type": "string"},
        "plan": {"enum": ["starter", "standard", "pro"]},
        "runtime": {"const": "docker"},
        "dockerCommand": {"type": "string"},
        "preDeployCommand": {"type": "string"},
        "healthCheckPath": {"type": "string", "pattern": "^/"},
        "maxShutdownDelaySeconds": {"type": "integer", "minimum": 1, "maximum": 300},
        "maxmemoryPolicy": {"const": "noeviction"},
        "ipAllowList": {"type": "array"},
        "envVars": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["key"],
                "minProperties": 2,
                "maxProperties": 2,
                "additionalProperties": False,
                "properties": {
                    "key": {"type": "string"},
                    "value": {"type": "string"},
                    "sync": {"const": False},
                    "generateValue": {"const": True},
                    "fromService": {
                        "type": "object",
                        "required": ["type", "name"],
                        "minProperties": 3,
                        "additionalProperties": False,
                        "properties": {
                            "type": {"type": "string"},
                            "name": {"type": "string"},
                            "property": {"enum": ["connectionString"]},
                            "envVarKey": {"type": "string"},
                        },
                    },
                },
            },
        },
    },
}
"""The part of https://render.com/docs/blueprint-spec that we use."""


def test_the_blueprint_of_render_is_valid() -> None:
    found = render_yaml()
    assert found.keys() == {"services"}
    for service in found["services"]:
        errors = Draft202012Validator(SERVICE).iter_errors(service)
        assert [error.message for error in errors] == [], service["name"]


def test_the_services_of_render_get_their_variables_from_services_that_exist() -> None:
    services = {service["name"]: service for service in render_yaml()["services"]}
    for service in services.values():
        for variable in service.get("envVars", []):
            assert variable["key"].lower() in Settings.model_fields
            if source := variable.get("fromService"):
                target = services[source["name"]]
                assert target["type"] == source["type"]
                if name := source.get("envVarKey"):
                    assert name in {each["key"] for each in target["envVars"]}
    assert [
        s["name"] for s in services.values() if s["type"] == "keyvalue" and s["ipAllowList"]
    ] == []


def test_fly_checks_the_ports_that_the_processes_open() -> None:
    fly = fly_toml()
    assert {name.lower() for name in fly["env"]} <= Settings.model_fields.keys()
    assert fly["http_service"]["internal_port"] == int(fly["env"]["PORT"])
    assert fly["checks"]["worker"]["port"] == int(fly["env"]["BOT_HEALTH_PORT"])
    named = [*fly["http_service"]["processes"], *fly["checks"]["worker"]["processes"]]
    named += [name for each in fly["metrics"] for name in each["processes"]]
    assert set(named) == fly["processes"].keys()
    assert fly["http_service"]["auto_stop_machines"] == "off"
    assert fly["kill_signal"] == "SIGTERM"
    assert fly["kill_timeout"] >= 30
    known = {"app", "primary_region", "kill_signal", "kill_timeout", "build", "deploy", "env"}
    known |= {"processes", "http_service", "checks", "metrics", "vm"}
    assert fly.keys() <= known
    assert (ROOT / fly["build"]["dockerfile"]).exists()
