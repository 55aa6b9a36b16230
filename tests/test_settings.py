"""Settings: what a start needs, and the error messages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bot import settings
from bot.cli import main
from bot.errors import BotError, ConfigError, Retry, StoreUnavailable
from bot.sealing import generate_key
from bot.settings import Settings, load
from bot.settings.values import without_password

ROOT = Path(__file__).parent.parent
ENOUGH = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_SIGNING_SECRET": "secret",
    "OPENAI_API_KEY": "key",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("DYNO", raising=False)


def load_with(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in (ENOUGH | variables).items():
        monkeypatch.setenv(name, value)
    return load(env_file=None)


def test_three_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(monkeypatch)
    assert settings.bot_engine == "responses"
    assert not settings.socket_mode
    assert settings.port == 3000


def test_an_app_token_means_socket_mode_and_needs_no_signing_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load_with(monkeypatch, SLACK_APP_TOKEN="xapp-1", SLACK_SIGNING_SECRET="")
    assert settings.socket_mode


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SLACK_BOT_TOKEN", ""),
        ("SLACK_BOT_TOKEN", "xoxp-user-token"),
        ("SLACK_APP_TOKEN", "xoxb-1"),
        ("SLACK_SIGNING_SECRET", ""),
        ("SLACK_API_URL", "slack.com"),
        ("SLACK_CLIENT_ID", "abc"),
        ("BOT_ENCRYPTION_KEYS", "short"),
        ("SLACK_BOT_TOKEN", "xoxb-1-\u0430bc"),
        ("SLACK_APP_TOKEN", "xapp-1\nxapp-2"),
        ("SLACK_SIGNING_SECRET", "xapp-1"),
        ("OPENAI_API_KEY", "xoxb-1"),
        ("OPENAI_API_KEY", "“sk-1”"),
        ("OPENAI_BASE_URL", "http://host:99999/v1"),
        ("OPENAI_BASE_URL", "http://two words/v1"),
        ("OPENAI_API_KEY", ""),
        ("OPENAI_BASE_URL", "ftp://host"),
        ("BOT_ENGINE", "llama"),
        ("REDIS_URL", "http://host"),
        ("PORT", "many"),
        ("BOT_RUN_DEADLINE", "0"),
        ("BOT_RETENTION_DAYS", "-1"),
        ("BOT_ADMINS", "@alice"),
        ("BOT_DENY_PEOPLE", "U012AB, mallory"),
        ("BOT_ALLOW_PEOPLE", "<@U012AB>"),
        ("BOT_ALLOW_CHANNELS", "#general"),
        ("BOT_DENY_CHANNELS", "U012AB"),
        ("BOT_ALLOW_TEAMS", "acme"),
    ],
)
def test_a_missing_or_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_with(monkeypatch, **{variable: value})
    assert caught.value.variable == variable
    assert "\n" not in str(caught.value)


def test_workspaces_that_install_the_app_need_a_secret_an_address_and_a_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = {"SLACK_CLIENT_ID": "1.2", "SLACK_BOT_TOKEN": ""}
    for name, value in (
        ("SLACK_CLIENT_SECRET", "s"),
        ("BOT_PUBLIC_URL", "https://bot.example.com"),
        ("BOT_ENCRYPTION_KEYS", generate_key()),
    ):
        with pytest.raises(ConfigError) as caught:
            load_with(monkeypatch, **given)
        assert caught.value.variable == name
        given[name] = value
    settings = load_with(monkeypatch, **given)
    assert settings.slack_bot_token is None
    assert given["BOT_ENCRYPTION_KEYS"] in settings.secrets


@pytest.mark.parametrize("owner", ["PERSON", "CHANNEL"])
def test_a_limit_in_dollars_needs_prices(monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    with pytest.raises(ConfigError, match="BOT_PRICES"):
        load_with(monkeypatch, **{f"BOT_LIMIT_{owner}_COST": "5"})
    assert load_with(monkeypatch, BOT_PRICES="prices.toml").bot_prices is not None


def test_the_assistants_engine_needs_an_assistant(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="OPENAI_ASSISTANT_ID"):
        load_with(monkeypatch, BOT_ENGINE="assistants")


def test_the_environment_overrides_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ".env"
    file.write_text("OPENAI_MODEL=from-file\nBOT_INSTRUCTIONS='Be \"brief\".'\n")
    for name, value in (ENOUGH | {"OPENAI_MODEL": "from-environment"}).items():
        monkeypatch.setenv(name, value)
    settings = load(env_file=file)
    assert (settings.openai_model, settings.bot_instructions) == (
        "from-environment",
        'Be "brief".',
    )


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_with(monkeypatch, SLACK_BOT_TOKEN="xoxb-very-secret", OPENAI_API_KEY="sk-very")
    assert "very" not in repr(settings)


def test_heroku_s_self_signed_redis_is_accepted_there_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = load_with(monkeypatch)
    assert settings.redis_tls_verify
    monkeypatch.setenv("DYNO", "web.1")
    assert not settings.redis_tls_verify


def test_a_failed_start_ends_with_one_line_and_code_78(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k.lower() not in Settings.model_fields}
    ended = subprocess.run(
        [sys.executable, "-m", "bot", "run"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (78, "")
    assert ended.stderr == "bot: SLACK_BOT_TOKEN: is not set\n"


def test_the_example_file_names_every_variable() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = {line.lstrip("# ").split("=")[0].lower() for line in lines if "=" in line}
    assert named == set(Settings.model_fields)


def test_the_readme_s_table_is_the_settings() -> None:
    from bot.settings import render_table

    assert render_table() in (ROOT / "docs" / "reference" / "settings.md").read_text()


def test_the_table_of_redis_keys_is_that_of_the_code() -> None:
    from bot.store.families import render_families

    assert render_families() in (ROOT / "docs" / "architecture.md").read_text()


def from_example(folder: Path, **filled: str) -> list[str]:
    """The problems of a copy of .env.example with these variables filled in."""
    lines = (ROOT / ".env.example").read_text().splitlines()
    text = "\n".join(line for line in lines if line.partition("=")[0] not in filled)
    given = "".join(f"\n{name}={value}" for name, value in filled.items())
    (folder / ".env").write_text(text + given)
    return [str(problem) for problem in settings.find_problems(folder / ".env")]


def test_the_example_works_for_both_transports(tmp_path: Path) -> None:
    needed = {"SLACK_BOT_TOKEN": "xoxb-1", "OPENAI_API_KEY": "sk-1"}
    assert from_example(tmp_path, **needed, SLACK_SIGNING_SECRET="s") == []
    assert not load(tmp_path / ".env").socket_mode
    assert from_example(tmp_path, **needed, SLACK_APP_TOKEN="xapp-1") == []
    assert load(tmp_path / ".env").socket_mode


def test_a_remaining_placeholder_is_named(tmp_path: Path) -> None:
    assert from_example(tmp_path) == [
        "SLACK_BOT_TOKEN: is still the placeholder of .env.example",
    ]
    assert from_example(tmp_path, SLACK_BOT_TOKEN="xoxb-1") == [
        "SLACK_SIGNING_SECRET: is not set (or set SLACK_APP_TOKEN for Socket Mode)",
        "OPENAI_API_KEY: is still the placeholder of .env.example "
        "(or set OPENAI_BASE_URL for your own server)",
    ]


@pytest.mark.parametrize("value", ["sk-", "sk-...", "sk-…", "sk-xxxxxx", "<your key>", "your-key"])
def test_text_instead_of_a_secret_counts_as_unset(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    with pytest.raises(ConfigError, match=r"OPENAI_API_KEY: is still the placeholder"):
        load_with(monkeypatch, OPENAI_API_KEY=value)
    assert not load_with(monkeypatch, OPENAI_API_KEY="sk-proj-xxx").placeholders


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    """Windows' `>` writes UTF-16."""
    (file := tmp_path / ".env").write_text("SLACK_BOT_TOKEN=xoxb-1\n", encoding="utf-16")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load(file)
    assert ["is not UTF-8 text" in str(problem) for problem in settings.find_problems(file)] == [
        True
    ]


@pytest.mark.parametrize("around", ["\n", "\r\n", " ", "\u00a0", "\u200b", "\ufeff", "\t\u200e "])
def test_what_was_copied_along_with_a_value_is_dropped(
    monkeypatch: pytest.MonkeyPatch, around: str
) -> None:
    given = {**ENOUGH, "OPENAI_BASE_URL": "http://host/v1", "PORT": "80", "BOT_ENGINE": "echo"}
    plain = load_with(monkeypatch, **given)
    assert plain == load_with(monkeypatch, **{k: around + v + around for k, v in given.items()})
    assert load_with(monkeypatch, BOT_PUBLIC_URL=around).bot_public_url is None


def test_a_number_beyond_all_use_counts_as_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = load_with(
        monkeypatch,
        BOT_RETENTION_DAYS="99999999999999999999",
        BOT_RETENTION_PLACES="C1=99999999999999999999",
        BOT_CONCURRENCY="99999999999999999999",
        BOT_LIMIT_PERSON_TOKENS="99999999999999999999",
        BOT_RUN_DEADLINE="inf",
        BOT_OUTAGE_PATIENCE="1e300",
    )
    assert huge.bot_retention_days == huge.bot_retention_places["C1"] == 10**6
    assert huge.bot_concurrency == huge.bot_limit_person_tokens == 10**9
    assert huge.bot_run_deadline == huge.bot_outage_patience == 1e9
    with pytest.raises(ConfigError, match="BOT_OUTAGE_PATIENCE"):
        load_with(monkeypatch, BOT_OUTAGE_PATIENCE="nan")


def test_a_password_in_an_address_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_with(monkeypatch, OPENAI_BASE_URL="http://ann:p%40ss@host/v1")
    assert {"p%40ss", "p@ss"} <= set(loaded.secrets)
    assert without_password("http://ann:p%40ss@host:1/v1?x=y") == "http://host:1/v1?x=y"
    assert without_password("OpenAI") == "OpenAI"


@pytest.mark.parametrize(
    ("command", "error", "line"),
    [
        ("worker", StoreUnavailable("away"), "bot: cannot start: away: see `bot doctor`"),
        ("dead", StoreUnavailable("away"), "bot: away: see `bot doctor`"),
        ("dead", Retry("a legal hold is on"), "bot: a legal hold is on"),
    ],
)
def test_an_error_is_one_line_about_the_command(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    error: BotError,
    line: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["bot", command])
    assert main._report(error) == 69
    assert capsys.readouterr().err == line + "\n"
