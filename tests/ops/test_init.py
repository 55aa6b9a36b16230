"""`bot init`: each answer is checked immediately, and the results are written."""

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bot.cli.main import commands
from bot.settings import env_file
from bot.slack.manifest import is_prefix, manifest
from local_slack import LocalSlack
from tests.fakes.openai import FakeOpenAI
from tests.ops.test_doctor_repairs import folder

__all__ = ["folder"]


async def answer(*lines: str) -> Result:
    text = "\n".join(lines) + "\n"
    return await asyncio.to_thread(CliRunner().invoke, commands, ["init"], input=text)


async def test_a_new_deployment_is_asked_for_all_settings(
    folder: Path, slack: LocalSlack, fake: FakeOpenAI, redis_url: str
) -> None:
    env_file.NAME.write_text(f"# ours\nSLACK_API_URL={slack.api_url}\nPORT=many\n")
    ended = await answer(
        *("n", "n", "Testbot", "y", "Not a prefix", "test-"),
        *("xoxe.xoxp-old", slack.config_token),
        *("xoxb-wrong", "n", slack.bot_token),
        *(slack.bot_token, slack.app_token),
        *("y", "nonsense", fake.base_url),
        *("sk-wrong", "n", fake.api_key, "gpt-6-luna", redis_url),
    )
    assert ended.exit_code == 0, ended.output
    reported = ended.output
    for words in ("PORT", "begins with xoxe.xoxp-", "invalid_auth", "swapped", "OPENAI_API_KEY"):
        assert words in reported
    assert "Checks of bot doctor" in reported
    given = env_file.values(env_file.NAME)
    assert given["SLACK_BOT_TOKEN"] == slack.bot_token
    assert given["SLACK_APP_TOKEN"] == slack.app_token
    assert given["OPENAI_BASE_URL"] == fake.base_url
    assert given["OPENAI_API_KEY"] == fake.api_key
    assert given["REDIS_URL"] == redis_url
    assert given["BOT_COMMAND_PREFIX"] == "test-"
    assert env_file.NAME.read_text().startswith("# ours\n")
    assert env_file.is_private(env_file.NAME)
    names = [each["command"] for each in slack.manifest["features"]["slash_commands"]]
    assert "/test-reset" in names
    assert slack.manifest["display_information"]["name"] == "Testbot"
    assert not any(token in reported for token in (slack.bot_token, slack.app_token, fake.api_key))


async def test_an_existing_app_is_updated_and_keeps_its_name(
    folder: Path, slack: LocalSlack, fake: FakeOpenAI, redis_url: str
) -> None:
    old = manifest(name="Our own bot")
    old["settings"]["event_subscriptions"]["bot_events"] = ["app_mention"]
    slack.manifest = old
    env_file.change(
        env_file.NAME,
        {
            "SLACK_API_URL": slack.api_url,
            "SLACK_BOT_TOKEN": slack.bot_token,
            "SLACK_APP_TOKEN": slack.app_token,
            "OPENAI_BASE_URL": fake.base_url,
            "OPENAI_API_KEY": fake.api_key,
            "REDIS_URL": redis_url,
        },
    )
    before = env_file.values(env_file.NAME)
    app_id = slack.workspace.app_id
    kept = ("", "", "", "", "", "", "")
    ended = await answer("", "", slack.config_token, app_id, "", *kept)
    assert ended.exit_code == 0, ended.output
    assert "+    - message.im" in ended.output
    assert slack.manifest == manifest(name="Our own bot")
    assert env_file.values(env_file.NAME) == before | {"OPENAI_MODEL": "gpt-6-luna"}
    again = await answer("", "", slack.config_token, app_id, *kept)
    assert "up to date" in again.output


async def test_aborting_changes_nothing(folder: Path) -> None:
    ended = await answer("n", "n", "Testbot")
    assert ended.exit_code == 1
    assert not env_file.NAME.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("SLACK_BOT_TOKEN=xoxb-1\n".encode("utf-16"), "UTF-16 text"),
        (b'OPENAI_MODEL="gpt\nPORT=1\n', "line 1 of "),
    ],
)
def test_a_file_that_cannot_be_read_is_not_lost(folder: Path, content: bytes, words: str) -> None:
    env_file.NAME.write_bytes(content)
    ended = CliRunner().invoke(commands, ["init"], input="n\n")
    assert ended.exit_code == 1
    assert words in ended.output
    assert env_file.NAME.read_bytes() == content


def test_over_http_the_manifest_has_the_address_and_the_secret_is_requested(folder: Path) -> None:
    lines = ["y", "http://plain.example", "https://bot.example.com/", "n", "B" * 36, "Bot", "n", ""]
    ended = CliRunner().invoke(commands, ["init"], input="\n".join(lines) + "\n")
    assert "https addresses only" in ended.output
    assert "35 characters" in ended.output
    assert "https://bot.example.com/slack/events" in Path("slack-manifest.yml").read_text()


@pytest.mark.parametrize(
    ("prefix", "accepted"), [("", True), ("test-", True), ("Test", False), ("a b", False)]
)
def test_prefixes_are_limited_to_what_slack_accepts(prefix: str, accepted: bool) -> None:
    assert is_prefix(prefix) == accepted
    assert not is_prefix("x" * 30)
    ended = CliRunner().invoke(commands, ["manifest", "--prefix", prefix, "--name", "Second"])
    assert (ended.exit_code == 0) == accepted
    assert (f"command: /{prefix}reset" in ended.output) == accepted
