"""A deployment for `bot doctor`: its settings, and what the checks find."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot.checks import Finding
from bot.cli import doctor
from bot.settings import Settings
from local_slack.local_slack import LocalSlack
from tests.fakes.openai import FakeOpenAI


def settings(**given: Any) -> Settings:
    enough = {"slack_bot_token": "xoxb-1", "slack_app_token": "xapp-1", "openai_api_key": "sk-1"}
    return Settings(_env_file=None, **(enough | given))


async def examine_redis(url: str, **given: Any) -> dict[str, Finding]:
    return await findings(bot.store.checks.open_checks(settings(redis_url=url, **given)))


async def examine_slack(slack: LocalSlack, url: str = "", **given: Any) -> dict[str, Finding]:
    known = {
        "slack_bot_token": slack.bot_token,
        "slack_app_token": slack.app_token,
        "slack_api_url": slack.api_url,
    }
    return await findings(bot.slack.checks.open_checks(settings(**(known | given)), url))


async def examine_engine(fake: FakeOpenAI, **given: Any) -> dict[str, Finding]:
    known = {
        "openai_api_key": fake.api_key,
        "openai_base_url": fake.base_url,
        "openai_assistant_id": fake.assistant_id,
    }
    return await findings(bot.engines.checks.open_checks(settings(**(known | given))))


async def findings(opened: Any) -> dict[str, Finding]:
    async with opened as checks:
        lines = await doctor.run(checks, lambda line: None)
    return {line.name: line.finding for line in lines}


def run_bot(directory: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).parent.parent.parent)
    return subprocess.run(
        [sys.executable, "-m", "bot", *words],
        cwd=directory,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": root, **environment},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def deployment(slack: LocalSlack, fake: FakeOpenAI, redis: str) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "OPENAI_API_KEY": fake.api_key,
        "OPENAI_BASE_URL": fake.base_url,
        "REDIS_URL": redis,
    }
