"""`bot doctor` on common configuration mistakes, and the repairs of `--fix`."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from click.testing import CliRunner

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot.checks import Finding, RepairFailed
from bot.cli import environment, port_check
from bot.cli.main import commands
from bot.cli.settings_checks import look_at_settings
from bot.engines.checks import guess_addresses
from bot.settings import Settings, env_file, read
from bot.slack.dispatch import Dispatcher
from bot.slack.server import open_socket_mode
from bot.slack.socket_count import judge_connections, parse_hello
from bot.store import Store
from bot.store.shards import open_shards
from local_slack.server import open_workspace
from tests.fakes.openai import open_fake_openai
from tests.ops.deployments import examine_redis, findings, settings
from tests.ops.servers import run_redis
from tests.ports import free_port
from tests.world import wait_until

TOKENS = "SLACK_BOT_TOKEN=xoxb-1\nSLACK_APP_TOKEN=xapp-1\n# a note, é\nOPENAI_API_KEY=sk-live\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the bot is started, with no setting in the environment."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


async def repair(finding: Finding) -> str:
    assert finding.repair is not None, finding
    return await finding.repair()


# The settings


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
async def test_a_file_that_is_not_utf_8_is_rewritten(folder: Path, encoding: str) -> None:
    env_file.NAME.write_bytes(TOKENS.replace("\n", "\r\n").encode(encoding))
    found = look_at_settings(env_file.NAME)
    assert found.level == "failed"
    assert encoding.upper() in found.text.upper()
    assert encoding.upper() in await repair(found)
    assert env_file.NAME.read_bytes() == TOKENS.encode()
    assert look_at_settings(env_file.NAME).level == "ok"


async def test_a_file_that_others_can_read_is_made_private(folder: Path) -> None:
    env_file.NAME.write_text(TOKENS)
    env_file.NAME.chmod(0o644)
    found = look_at_settings(env_file.NAME)
    assert found.level == "warning"
    await repair(found)
    assert look_at_settings(env_file.NAME).level == "ok"


async def test_swapped_tokens_are_swapped_back(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped = TOKENS.replace("BOT", "X").replace("APP", "BOT").replace("X", "APP")
    env_file.NAME.write_text(swapped)
    found = look_at_settings(env_file.NAME)
    assert found.level == "failed"
    assert found.fix.startswith("swap")
    assert "swapped" in await repair(found)
    token = read().slack_bot_token
    assert token is not None
    assert token.get_secret_value() == "xoxb-1"
    assert "# a note" in env_file.NAME.read_text()

    monkeypatch.setenv("SLACK_BOT_TOKEN", "xapp-1")
    env_file.NAME.write_text(swapped)
    with pytest.raises(RepairFailed, match="from the environment"):
        await repair(look_at_settings(env_file.NAME))


def test_the_folder_without_a_file_is_named_with_the_likely_one(folder: Path) -> None:
    found = look_at_settings(env_file.NAME)
    assert f"there is no .env in {folder}" in found.text
    assert "bot init" in found.fix
    (folder / "threadbot").mkdir()
    (folder / "threadbot" / ".env").write_text(TOKENS)
    assert look_at_settings(env_file.NAME).fix == f"start `bot` in {folder / 'threadbot'}"


def test_a_line_that_cannot_be_read_is_named(folder: Path) -> None:
    env_file.NAME.write_text(TOKENS + '\nREDIS_URL="redis://127.0.0.1\nPORT=3000\n')
    found = look_at_settings(env_file.NAME)
    assert found.level == "failed"
    assert found.text.startswith("line 6 of ")


def test_a_variable_that_is_set_twice_is_named_with_its_lines(folder: Path) -> None:
    env_file.NAME.write_text(TOKENS + "\n\nSLACK_APP_TOKEN=xapp-2\n")
    env_file.make_private(env_file.NAME)
    found = look_at_settings(env_file.NAME)
    assert found.level == "warning"
    assert "SLACK_APP_TOKEN is set more than once, in the lines 2, 7" in found.text
    env_file.NAME.write_text(TOKENS + "SLACK_BOT_TOKEN=\n")
    found = look_at_settings(env_file.NAME)
    assert "SLACK_BOT_TOKEN: is not set; SLACK_BOT_TOKEN is set more than once" in found.text


def test_a_misspelled_name_is_named_beside_the_missing_setting(folder: Path) -> None:
    env_file.NAME.write_text(TOKENS.replace("SLACK_BOT_TOKEN", "SLACK_BOT_TOKENS"))
    found = look_at_settings(env_file.NAME)
    assert "SLACK_BOT_TOKEN: is not set" in found.text
    assert "SLACK_BOT_TOKENS (SLACK_BOT_TOKEN?)" in found.text


def test_a_folder_in_place_of_the_file_is_reported(folder: Path) -> None:
    env_file.NAME.mkdir()
    assert "is a folder" in look_at_settings(env_file.NAME).text


@pytest.mark.parametrize("value", ["", "two words", "it's", 'say "hi"', "a#b", "x=y", "$HOME", "é"])
def test_a_changed_value_is_read_back_unchanged(folder: Path, value: str) -> None:
    env_file.NAME.write_text("# ours\nOPENAI_MODEL=old\nBOT_ENGINE=echo\n")
    env_file.change(env_file.NAME, {"OPENAI_MODEL": value, "BOT_INSTRUCTIONS": value})
    given = env_file.values(env_file.NAME)
    assert given.get("OPENAI_MODEL", "") == value
    assert given.get("BOT_INSTRUCTIONS", "") == value
    assert given["BOT_ENGINE"] == "echo"
    assert env_file.NAME.read_text().startswith("# ours\n")
    assert env_file.is_private(env_file.NAME)


# The port


@pytest.fixture
async def answering() -> AsyncIterator[tuple[int, web.Application]]:
    """A server on a port, with no page yet."""
    site = web.Application()
    runner = web.AppRunner(site)
    site.router.add_get("/healthz", _healthz)
    await runner.setup()
    listening = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listening).start()
    yield listening.getsockname()[1], site
    await runner.cleanup()


async def _healthz(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def look_at_port(**given: Any) -> Finding:
    checks = port_check.find_checks(settings(**{"bot_host": "127.0.0.1"} | given))
    return await next(iter(checks)).look()


async def test_a_port_is_free_or_used_by_the_bot_or_by_another_program(
    answering: tuple[int, web.Application],
) -> None:
    assert (await look_at_port(port=0)).level == "ok"
    assert (await look_at_port(port=answering[0])).text.startswith("the bot answers")
    with socket.create_server(("127.0.0.1", 0)) as other:
        other.settimeout(0)
        port = other.getsockname()[1]
        accepting = asyncio.create_task(_hang_up(other))
        found = await look_at_port(port=port)
        accepting.cancel()
    assert found.level == "failed"
    assert "another program" in found.text
    assert "PORT" in found.fix
    assert (await look_at_port(port=port)).level == "ok"


async def _hang_up(listening: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listening)
        connection.close()


async def test_an_address_of_another_machine_is_reported() -> None:
    found = await look_at_port(bot_host="203.0.113.1", port=3000)
    assert found.level == "failed"
    assert "BOT_HOST" in found.fix


# Redis


async def test_tls_to_a_plain_port_is_reported_immediately() -> None:
    port = free_port()
    with run_redis("--port", str(port)):
        found = await examine_redis(f"rediss://127.0.0.1:{port}/0")
    assert found["redis"].level == "failed"
    assert "redis://" in found["redis"].fix


async def test_a_missing_worker_is_reported_before_messages_wait(
    store: Store, redis_url: str
) -> None:
    given = {"bot_redis_prefix": store.keys.prefix}
    found = (await examine_redis(redis_url, **given))["worker"]
    assert found.level == "warning"
    assert "bot worker" in found.fix
    await store.workers.beat("anna", 60)
    assert (await examine_redis(redis_url, **given))["worker"].level == "ok"


async def test_a_private_redis_is_repaired_but_a_shared_one_is_not() -> None:
    options = ("--maxmemory-policy", "allkeys-lru", "--appendonly", "no")
    with run_redis(*options) as url:
        found = await examine_redis(url)
        assert "until the server restarts" in await repair(found["redis eviction"])
        await repair(found["redis persistence"])
        async with open_shards(settings(redis_url=url)) as shards:
            store = shards.home
            await wait_until(lambda: is_written(store))  # a server that writes cannot be stopped
        repaired = await examine_redis(url)
        assert repaired["redis eviction"].level == "ok"
        assert repaired["redis persistence"].level == "ok"
    with run_redis(*options) as url:
        async with open_shards(settings(redis_url=url)) as shards:
            await shards.home.redis.set("session:1", "of another program")
        found = await examine_redis(url)
        with pytest.raises(RepairFailed, match="others"):
            await repair(found["redis eviction"])


async def is_written(store: Store) -> bool:
    info = await store.redis.info("persistence")
    return not info["aof_rewrite_in_progress"] and not info["aof_rewrite_scheduled"]


# The AI server


@pytest.mark.parametrize("wrong", ["", "/v1/chat/completions", "/v1/responses/", "/openai"])
async def test_a_wrong_path_is_reported_with_the_right_address(folder: Path, wrong: str) -> None:
    async with open_fake_openai() as fake:
        root = fake.base_url.removesuffix("/v1")
        given = settings(openai_api_key=fake.api_key, openai_base_url=root + wrong)
        found = await findings(bot.engines.checks.open_checks(given))
    assert found["engine"].level == "failed"
    assert found["engine"].fix == f"set OPENAI_BASE_URL={fake.base_url}"
    await repair(found["engine"])
    assert env_file.values(env_file.NAME) == {"OPENAI_BASE_URL": fake.base_url}


def test_the_given_address_is_not_tried_again() -> None:
    assert guess_addresses("http://host:1/v1/") == [
        "http://host:1/api/v1",
        "http://host:1/openai/v1",
    ]


# Two deployments


async def test_two_deployments_with_one_app_token_are_reported(redis_url: str) -> None:
    async with open_workspace() as slack:
        given: dict[str, Any] = {
            "slack_bot_token": slack.bot_token,
            "slack_app_token": slack.app_token,
            "slack_api_url": slack.api_url,
            "redis_url": redis_url,
        }
        one, two = (settings(bot_redis_prefix=name, **given) for name in ("one", "two"))
        app, client = cast(Dispatcher, None), slack_client(slack)
        async with open_shards(one) as of_first, open_shards(two) as of_second:
            first, second = of_first.home, of_second.home
            async with (
                open_socket_mode(app, client, one, first),
                open_socket_mode(app, client, one, first),
            ):
                await noted(first)
                assert (await shared(one)) is None
                async with open_socket_mode(app, client, two, second):
                    await noted(second)
                    found = await shared(two)
            assert await first.sockets.keep("last") == 1
    assert found is not None
    assert "2 of 3 Socket Mode connections" in found
    assert parse_hello('{"type":"hello","num_connections":"many"}') == 0
    assert judge_connections("nonsense", 0) is None


def slack_client(slack: Any) -> Any:
    from slack_sdk.web.async_client import AsyncWebClient

    return AsyncWebClient(token=slack.bot_token, base_url=slack.api_url)


async def noted(store: Store) -> None:
    await wait_until(lambda: store.flags.read("socket_connections"))


async def shared(given: Settings) -> str | None:
    found = await findings(bot.slack.checks.open_checks(given))
    text = found["slack deliveries"].text
    return text if "another deployment" in text else None


# The command


def test_repairs_are_applied_one_by_one_until_none_is_left(folder: Path) -> None:
    file = folder / ".env"
    text = "SLACK_BOT_TOKEN=xapp-1\nSLACK_APP_TOKEN=xoxb-secret\nBOT_ENGINE=echo\n"
    closed = "SLACK_API_URL=http://127.0.0.1:1/api/\nREDIS_URL=redis://127.0.0.1:1/0\nPORT=0\n"
    file.write_bytes((text + closed).encode("utf-16"))
    ended = CliRunner().invoke(commands, ["doctor", "--fix", "--environment"])
    assert ended.output.count("repair ") == 2, ended.output
    assert env_file.values(file)["SLACK_BOT_TOKEN"] == "xoxb-secret"
    assert ended.exit_code == 1
    assert "slack-bolt" in ended.output
    assert "secret" not in ended.output


def test_the_environment_report_contains_no_secrets(folder: Path) -> None:
    env_file.NAME.write_text(TOKENS + "OPENAI_BASE_URL=http://intranet.example/v1\n")
    text = environment.render(environment.describe(env_file.NAME))
    assert "OPENAI_API_KEY" in text
    assert not any(word in text for word in ("xoxb", "xapp", "sk-live", "intranet"))
    env_file.NAME.write_text("SLACK_BOT_TOKEN=nonsense\n")
    assert "cannot be read" in environment.render(environment.describe(env_file.NAME))
