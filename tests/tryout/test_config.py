"""Which settings `bot try` uses and which it ignores, whatever `.env` says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bot import settings
from bot.errors import ConfigError
from bot.settings import Settings
from bot.tryout.chat import open_session
from bot.tryout.config import configure, environment
from local_slack import LocalSlack, open_workspace
from tests.test_cli import ROOT

REDIS = "unix:///of-bot-try.sock"


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with open_workspace() as workspace:
        yield workspace


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, without our variables in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path


def write_env(folder: Path, **given: str) -> None:
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))


@asynccontextmanager
async def production() -> AsyncIterator[tuple[str, list[object]]]:
    """The address of a server that must not be used, and its connections."""
    reached: list[object] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", reached


async def test_a_deployment_in_the_same_folder_is_not_touched(folder: Path) -> None:
    async with production() as (address, reached):
        write_env(
            folder,
            REDIS_URL=f"redis://{address}/0",
            BOT_REDIS_PREFIX="production",
            SLACK_BOT_TOKEN="xoxb-of-production",
            SLACK_APP_TOKEN="xapp-of-production",
            SLACK_API_URL=f"http://{address}/api/",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{address}",
            BOT_HEALTH_PORT=address.rpartition(":")[2],
            PORT=address.rpartition(":")[2],
            BOT_ALLOW_PEOPLE="U0PRODUCTION",
            BOT_DENY_CHANNELS="not-an-id",
        )
        reported: list[str] = []
        async with open_session(report=reported.append, fresh=False) as session:
            general = session.slack.channel("#general").id
            ts = await session.slack.user("alice").says(general, "@bot hello")
            await session.answered(general, ts)
            assert session.slack.replies(general, ts)
        assert reached == []
    [line] = [line for line in reported if line.startswith("Of a deployment")]
    assert "REDIS_URL" in line
    assert "production" not in "".join(reported)
    assert any(str(folder / ".bot") in line for line in reported)


async def test_the_behaviour_of_the_bot_is_taken_over(folder: Path, slack: LocalSlack) -> None:
    write_env(folder, OPENAI_API_KEY="sk-real", OPENAI_MODEL="gpt-x", BOT_STREAMING="false")
    config = await configure(slack, REDIS)
    assert (config.settings.openai_model, config.settings.bot_streaming) == ("gpt-x", False)
    assert config.settings.bot_engine == "responses"
    assert config.settings.redis_url == REDIS
    assert config.settings.bot_redis_prefix == "bot"


async def test_a_process_gets_the_same_settings_through_its_environment(
    folder: Path, slack: LocalSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_env(folder, OPENAI_API_KEY="sk-real", BOT_INSTRUCTIONS="'two\nlines = 1'")
    monkeypatch.setenv("BOT_REDIS_PREFIX", "production")
    monkeypatch.setenv("bot_metrics_token", "secret")
    config = await configure(slack, REDIS)
    write_env(folder, OPENAI_MODEL="of-the-file")
    given = environment(config.settings)
    for name in Settings.model_fields:
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert settings.load(env_file=None) == config.settings


async def test_the_placeholders_of_the_example_count_as_unset(
    folder: Path, slack: LocalSlack
) -> None:
    (folder / ".env").write_text((ROOT / ".env.example").read_text())
    config = await configure(slack, REDIS)
    assert config.settings.bot_engine == "echo"
    assert any("placeholder" in note and "OPENAI_API_KEY" in note for note in config.notes)


@asynccontextmanager
async def ai_server(*models: str, status: int = 200) -> AsyncIterator[str]:
    async def list_models(request: web.Request) -> web.Response:
        data = [{"id": model} for model in models]
        return web.json_response({"data": data}, status=status)

    app = web.Application()
    app.router.add_get("/v1/models", list_models)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


async def test_a_custom_server_is_asked_for_its_models(folder: Path, slack: LocalSlack) -> None:
    async with ai_server("nomic-embed-text", "llama4", "qwen4") as url:
        write_env(folder, OPENAI_BASE_URL=url)
        config = await configure(slack, REDIS)
        assert config.settings.openai_model == "llama4"
        assert "qwen4" in "".join(config.notes)
        write_env(folder, OPENAI_BASE_URL=url, OPENAI_MODEL="qwen4")
        assert (await configure(slack, REDIS)).settings.openai_model == "qwen4"


@pytest.mark.parametrize("status", [200, 404])
async def test_a_server_that_lists_no_model_is_reported(
    folder: Path, slack: LocalSlack, status: int
) -> None:
    async with ai_server(status=status) as url:
        write_env(folder, OPENAI_BASE_URL=url)
        config = await configure(slack, REDIS)
    assert "set OPENAI_MODEL" in "".join(config.notes)


async def test_a_wrong_setting_of_the_bot_is_still_an_error(
    folder: Path, slack: LocalSlack
) -> None:
    write_env(folder, BOT_STREAMING="perhaps")
    with pytest.raises(ConfigError, match="BOT_STREAMING"):
        await configure(slack, REDIS)
