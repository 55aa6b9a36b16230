"""The command `bot doctor`: settings, output and exit codes."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.cli.settings_checks import find_unknown, look_at_prices
from bot.slack.manifest import render_manifest
from local_slack.local_slack import LocalSlack
from tests.fakes.openai import FakeOpenAI
from tests.ops.deployments import (
    deployment,
    run_bot,
    settings,
)


def test_all_missing_settings_are_reported_together(tmp_path: Path) -> None:
    ended = run_bot(tmp_path, "doctor")
    assert ended.returncode == 1
    assert ended.stdout.count("\n") == 1
    assert "SLACK_BOT_TOKEN" in ended.stdout
    ended = run_bot(tmp_path, "doctor", SLACK_BOT_TOKEN="xoxp-no", PORT="many", BOT_ENGINE="llama")
    assert all(name in ended.stdout for name in ("SLACK_BOT_TOKEN", "PORT", "BOT_ENGINE"))
    assert "xoxp-no" not in ended.stdout


@pytest.mark.parametrize(
    ("given", "level", "words"),
    [
        ({}, "ok", "gpt-6-luna among them"),
        ({"openai_model": "llama"}, "warning", "counts as free"),
        ({"openai_model": "llama", "bot_limit_person_cost": 5}, "failed", "counts as free"),
        ({"bot_prices": Path("nowhere.toml")}, "failed", "cannot be read"),
        ({"bot_prices": None}, "skipped", "money is not"),
        ({"bot_engine": "assistants"}, "ok", "the assistant's choice"),
    ],
)
def test_prices_without_the_model_are_reported(
    given: dict[str, Any], level: str, words: str
) -> None:
    prices = Path(__file__).parents[2] / "examples" / "prices.toml"
    finding = look_at_prices(settings(**({"bot_prices": prices} | given)))
    assert finding.level == level
    assert words in finding.text


def test_unknown_variables_are_reported_with_the_likely_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOT_CONCURENCY=5\n")
    found = find_unknown({"BOT_ENGIN": "echo", "HOME": "/"}, tmp_path / ".env")
    assert found == ["BOT_CONCURENCY (BOT_CONCURRENCY?)", "BOT_ENGIN (BOT_ENGINE?)"]
    (tmp_path / ".env").write_text("SLACK_SINGING_SECRET=a\nOPENAI_ORG_ID=b\nEDITOR=c\n")
    found = find_unknown({"SLACK_BOT_TOKENS": "of another program"}, tmp_path / ".env")
    assert found == ["SLACK_SINGING_SECRET (SLACK_SIGNING_SECRET?)"]


async def test_a_machine_gets_json_and_an_exit_code(
    slack: LocalSlack, fake: FakeOpenAI, redis_url: str, tmp_path: Path
) -> None:
    given = deployment(slack, fake, redis_url)
    ended = await asyncio.to_thread(run_bot, tmp_path, "doctor", "--json", **given)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    reported = json.loads(ended.stdout)
    assert reported["ok"] is True
    assert {check["name"]: check["level"] for check in reported["checks"]}["model"] == "ok"
    for secret in ("SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "OPENAI_API_KEY"):
        assert given[secret] not in ended.stdout + ended.stderr
    wrong = given | {"OPENAI_API_KEY": "sk-wrong"}
    ended = await asyncio.to_thread(run_bot, tmp_path, "doctor", "--json", **wrong)
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["ok"] is False


async def test_a_first_release_does_not_need_running_processes(
    slack: LocalSlack, fake: FakeOpenAI, tmp_path: Path
) -> None:
    given = deployment(slack, fake, "redis://127.0.0.1:1/0") | {
        "BOT_PUBLIC_URL": "http://127.0.0.1:1"
    }
    ended = await asyncio.to_thread(run_bot, tmp_path, "doctor", "--release", **given)
    assert ended.returncode == 0, ended.stdout
    assert "webhook" not in ended.stdout
    ended = await asyncio.to_thread(run_bot, tmp_path, "doctor", **given)
    assert ended.returncode == 1


def test_the_manifest_is_compared_by_what_slack_would_read(tmp_path: Path) -> None:
    file = tmp_path / "manifest.yml"
    file.write_text("# ours\n" + render_manifest("https://bot.example.com"))
    assert run_bot(tmp_path, "manifest", "--url", "https://bot.example.com", "--check").stdout == ""
    other = run_bot(tmp_path, "manifest", "--check", str(file))
    assert other.returncode == 1
    assert "+  socket_mode_enabled: true" in other.stdout
    assert run_bot(tmp_path, "manifest", "--check", "no-such-file").returncode == 1


@pytest.mark.parametrize(
    ("name", "token", "words"),
    [
        ("slack_bot_token", "xapp-1-A-1", "swapped"),
        ("slack_app_token", "xoxb-1", "swapped"),
        ("slack_bot_token", "xoxe.xoxb-1", "token rotation"),
        ("slack_bot_token", "xoxe-1", "token rotation"),
        ("slack_bot_token", "xoxp-1", "a person's"),
    ],
)
def test_wrong_kinds_of_tokens_are_distinguished(name: str, token: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        settings(**{name: token})
