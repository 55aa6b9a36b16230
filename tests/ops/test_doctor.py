"""`bot doctor` on deployments with one fault each: it names the fault and the fix."""

import asyncio
import datetime
import json
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot.checks import Finding, root_cause
from bot.cli import doctor
from bot.cli.settings_checks import find_unknown, look_at_prices
from bot.errors import ConfigError
from bot.settings import Settings
from bot.slack.delivery_notes import judge_deliveries
from bot.slack.events import EVENTS
from bot.slack.manifest import render_manifest
from bot.slack.scopes import SCOPES
from bot.store import Store
from local_slack.local_slack import LocalSlack
from local_slack.server import open_workspace
from tests.fakes.openai import FakeOpenAI, open_fake_openai
from tests.ops.servers import open_page, open_tls_port, run_redis, run_tls_redis
from tests.ports import free_port
from tests.redis_server import find_executables, run_server
from tests.store import builders
from tests.world import open_world


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


@pytest.fixture
async def slack() -> AsyncIterator[LocalSlack]:
    async with open_workspace(scopes=SCOPES) as workspace:
        yield workspace


@pytest.fixture
async def fake() -> AsyncIterator[FakeOpenAI]:
    async with open_fake_openai() as server:
        yield server


# Redis


async def test_a_current_durable_redis_passes() -> None:
    with run_server() as server:
        found = await examine_redis(server.url)
    assert {name: finding.level for name, finding in found.items()} == {
        "redis": "ok",
        "redis tls": "ok",
        "redis topology": "ok",
        "redis writes": "ok",
        "redis eviction": "ok",
        "redis room": "ok",
        "redis persistence": "ok",
        "redis connections": "ok",
        "redis clock": "ok",
        "legal hold": "ok",
        "shards": "ok",
        "worker": "warning",
        "queue": "ok",
        "encryption": "ok",
    }


async def test_an_unreachable_redis_is_reported_once() -> None:
    found = await examine_redis("redis://127.0.0.1:1/0")
    assert found["redis"].level == "failed"
    assert "REDIS_URL" in found["redis"].fix
    assert {found[name].level for name in ("redis writes", "redis eviction", "queue")} == {
        "skipped"
    }


@pytest.mark.parametrize(
    ("options", "check", "level", "fix"),
    [
        (("--maxmemory-policy", "allkeys-lru"), "redis eviction", "failed", "noeviction"),
        (("--maxmemory-policy", "volatile-ttl"), "redis eviction", "warning", "noeviction"),
        (("--appendonly", "no"), "redis persistence", "warning", "appendonly yes"),
        (
            ("--appendonly", "no", "--save", "60 1"),
            "redis persistence",
            "warning",
            "appendonly yes",
        ),
        (("--maxclients", "20"), "redis connections", "warning", "BOT_REDIS_CONNECTIONS=4"),
        (("--requirepass", "secret"), "redis", "failed", "REDIS_URL"),
        (
            ("--replicaof", "127.0.0.1 1", "--repl-diskless-sync-delay", "0"),
            "redis writes",
            "failed",
            "primary",
        ),
    ],
    ids=["lru", "ttl", "no persistence", "snapshots", "few clients", "password", "replica"],
)
async def test_a_misconfigured_redis_is_reported_with_its_fix(
    options: tuple[str, ...], check: str, level: str, fix: str
) -> None:
    with run_redis(*options) as url:
        found = await examine_redis(url)
    assert found[check].level == level
    assert fix in found[check].fix


async def test_another_program_or_a_missing_database_is_no_missing_server() -> None:
    async with open_page() as page:
        found = await examine_redis(page.replace("http://", "redis://"))
    assert found["redis"].level == "failed"
    assert "another program" in found["redis"].text
    port = free_port()
    with run_redis("--port", str(port)):
        found = await examine_redis(f"redis://127.0.0.1:{port}/99")
    assert "the end of REDIS_URL" in found["redis"].fix


async def test_snapshots_and_no_persistence_are_distinguished() -> None:
    with run_redis("--appendonly", "no", "--save", "60 1") as url:
        snapshots = (await examine_redis(url))["redis persistence"].text
    with run_redis("--appendonly", "no") as url:
        nothing = (await examine_redis(url))["redis persistence"].text
    assert "snapshots" in snapshots
    assert nothing.startswith("none")


async def test_the_oldest_redis_works_with_a_warning() -> None:
    executable = find_executables().get("redis-6.2")
    if executable is None:
        pytest.skip("Redis 6.2 is not at hand")
    with run_server(executable) as server:
        found = await examine_redis(server.url)
    assert found["redis"].level == "warning"
    assert "upgrade" in found["redis"].fix
    assert "failed" not in {finding.level for finding in found.values()}


def test_an_older_redis_fails() -> None:
    assert bot.store.judge.judge_version({"redis_version": "5.0.14"}).level == "failed"
    valkey = {"redis_version": "7.2.4", "valkey_version": "9.1.2"}
    assert bot.store.judge.judge_version(valkey).text == "Valkey 9.1.2"


async def test_tls_that_cannot_be_verified_and_tls_where_there_is_none(tmp_path: Path) -> None:
    with run_tls_redis(tmp_path) as port:
        refused = await examine_redis(f"rediss://127.0.0.1:{port}/0", bot_redis_tls_verify=True)
        accepted = await examine_redis(f"rediss://127.0.0.1:{port}/0", bot_redis_tls_verify=False)
        plain = await examine_redis(f"redis://127.0.0.1:{port}/0")
    assert refused["redis"].level == "failed"
    assert "BOT_REDIS_TLS_VERIFY=false" in refused["redis"].fix
    assert accepted["redis"].level == "ok"
    assert plain["redis"].level == "failed"
    assert "rediss://" in plain["redis"].fix


def test_a_redis_elsewhere_without_tls_is_a_warning() -> None:
    judge = bot.store.judge.judge_tls
    assert judge("redis://redis.example.com:6379/0", verified=True).level == "warning"
    assert judge("rediss://redis.example.com:6379/0", verified=True).level == "ok"
    assert "not verified" in judge("rediss://redis.example.com/0", verified=False).text
    assert judge("unix:///run/redis.sock", verified=True).level == "ok"


def test_a_nearly_full_redis_is_a_warning() -> None:
    info = {"maxmemory_policy": "noeviction", "maxmemory": 100, "used_memory": 90}
    found = bot.store.judge.judge_eviction(info)
    assert found.level == "warning"
    assert "90 %" in found.text


async def test_the_room_for_more_turns_is_reported() -> None:
    with run_server() as own_redis, own_redis.client() as client:
        used = client.info("memory")["used_memory"]
        assert "no limit" in (await examine_redis(own_redis.url))["redis room"].text
        budget = (await examine_redis(own_redis.url, bot_redis_memory_mb=900))["redis room"]
        client.config_set("maxmemory", used * 4)
        wide = (await examine_redis(own_redis.url))["redis room"]
        client.config_set("maxmemory", int(used * 1.15))
        narrow = (await examine_redis(own_redis.url))["redis room"]
    assert "of 900.0 MB" in budget.text
    assert wide.level == "ok"
    assert re.match(r"room for [\d,]+ more turns \(3\.0 KB each", wide.text)
    assert narrow.level == "warning"
    assert "the oldest records are being deleted" in narrow.text


async def test_waiting_messages_and_dead_letters_are_reported(
    store: Store, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"bot_redis_prefix": store.keys.prefix}
    await builders.deliver(store, "1.1")
    await store.inbox.dead_letter(await builders.take_one(store), "crashed")
    found = await examine_redis(redis_url, **given)
    assert found["queue"].level == "warning"
    assert "1 dead letters" in found["queue"].text
    assert "bot dead" in found["queue"].fix

    monkeypatch.setattr("bot.store.shard_checks.WAITING_TOO_LONG", -1.0)
    await builders.deliver(store, "1.2")
    found = await examine_redis(redis_url, **given)
    assert "1 waiting" in found["queue"].text
    assert "bot worker" in found["queue"].fix
    await store.workers.beat("anna", 60)
    found = await examine_redis(redis_url, **given)
    assert "log" in found["queue"].fix


async def test_a_clock_difference_is_reported(redis_url: str, slack: LocalSlack) -> None:
    def later() -> float:
        return time.time() + 600

    given = settings(redis_url=redis_url)
    found = await findings(bot.store.checks.open_checks(given, later))
    assert found["redis clock"].level == "failed"
    assert "600 s ahead" in found["redis clock"].text
    given = settings(slack_bot_token=slack.bot_token, slack_api_url=slack.api_url)
    found = await findings(bot.slack.checks.open_checks(given, "", later))
    assert found["slack clock"].level == "failed"
    assert "timedatectl" in found["slack clock"].fix


# Slack


async def test_a_complete_slack_app_passes(slack: LocalSlack) -> None:
    found = await examine_slack(slack)
    levels = {name: finding.level for name, finding in found.items()}
    assert levels == {
        "slack token": "ok",
        "slack scopes": "ok",
        "admins": "skipped",
        "slack app token": "ok",
        "slack events": "skipped",
        "slack deliveries": "skipped",
        "slack clock": "ok",
        "webhook": "skipped",
    }
    assert "@threadbot" in found["slack token"].text


async def test_a_missing_scope_that_is_optional_is_a_warning() -> None:
    async with open_workspace(scopes=set(SCOPES) - {"usergroups:read"}) as slack:
        found = await examine_slack(slack)
    assert found["slack scopes"].level == "warning"
    assert "user groups by their ids" in found["slack scopes"].text


async def test_the_scope_of_a_tool_is_missed_only_where_the_tool_is_offered() -> None:
    async with open_workspace(scopes=set(SCOPES)) as slack:
        known = settings(
            slack_bot_token=slack.bot_token,
            slack_app_token=slack.app_token,
            slack_api_url=slack.api_url,
        )
        without, offered = [
            await findings(bot.slack.checks.open_checks(known, tools=tools))
            for tools in ((), ("slack_search",))
        ]
    assert without["slack scopes"].level == "ok"
    assert offered["slack scopes"].level == "warning"
    assert "search:read.public" in offered["slack scopes"].text


async def test_missing_scopes_are_named() -> None:
    async with open_workspace(scopes=set(SCOPES) - {"im:history", "commands"}) as slack:
        found = await examine_slack(slack)
    assert found["slack scopes"].level == "failed"
    assert found["slack scopes"].text == "missing: commands, im:history"
    assert "Reinstall" in found["slack scopes"].fix


async def test_a_wrong_bot_token_is_reported_once(slack: LocalSlack) -> None:
    found = await examine_slack(slack, slack_bot_token="xoxb-wrong")
    assert found["slack token"].level == "failed"
    assert "invalid_auth" in found["slack token"].text
    assert "OAuth & Permissions" in found["slack token"].fix
    assert found["slack scopes"].level == "skipped"
    assert "xoxb-wrong" not in str(found)


@pytest.mark.parametrize("code", ["token_revoked", "account_inactive"])
async def test_a_removed_app_must_be_reinstalled(slack: LocalSlack, code: str) -> None:
    slack.faults.refuse("auth.test", code)
    found = await examine_slack(slack)
    assert "install the app again" in found["slack token"].fix


@pytest.mark.parametrize("method", ["auth.test", "apps.connections.open"])
@pytest.mark.parametrize(
    ("code", "level", "words"),
    [("ratelimited", "warning", "in a minute"), ("internal_error", "failed", "slack-status")],
)
async def test_failures_of_slack_are_not_blamed_on_the_connection(
    slack: LocalSlack, method: str, code: str, level: str, words: str
) -> None:
    slack.faults.refuse(method, code)
    found = await examine_slack(slack)
    finding = found["slack token" if method == "auth.test" else "slack app token"]
    assert finding.level == level
    assert words in finding.fix


async def test_admins_unknown_to_slack_are_reported(slack: LocalSlack) -> None:
    alice = slack.user("alice").id
    found = await examine_slack(slack, bot_admins=f"{alice}, U0NOBODY")
    assert found["admins"].level == "warning"
    assert "U0NOBODY (user_not_found)" in found["admins"].text
    assert alice not in found["admins"].text
    assert (await examine_slack(slack, bot_admins=alice))["admins"].level == "ok"
    assert (await examine_slack(slack))["admins"].level == "skipped"


async def test_a_wrong_app_token_is_reported(slack: LocalSlack) -> None:
    found = await examine_slack(slack, slack_app_token="xapp-wrong")
    assert found["slack app token"].level == "failed"
    assert "connections:write" in found["slack app token"].fix
    found = await examine_slack(slack, slack_app_token=slack.bot_token.replace("xoxb", "xapp"))
    assert found["slack app token"].level == "ok"


async def test_an_unreachable_slack_is_reported() -> None:
    given = settings(slack_api_url="http://127.0.0.1:1/api/")
    found = await findings(bot.slack.checks.open_checks(given))
    assert found["slack token"].level == "failed"
    assert "SLACK_API_URL" in found["slack token"].fix


async def test_with_a_configuration_token_subscriptions_are_compared() -> None:
    async with open_workspace(scopes=SCOPES, events=EVENTS) as slack:
        given: dict[str, Any] = {"slack_config_token": slack.config_token}
        found = await examine_slack(slack, **given)
        assert found["slack events"].level == "ok"

        slack.events_url = "https://elsewhere.example.com/slack/events"
        found = await examine_slack(slack, **given)
        assert found["slack events"].level == "failed"
        assert "by HTTP" in found["slack events"].text

        given |= {"slack_app_token": None, "slack_signing_secret": slack.signing_secret}
        found = await examine_slack(slack, "http://127.0.0.1:1", **given)
        assert found["slack events"].level == "failed"
        assert "elsewhere" in found["slack events"].text
        assert "--url http://127.0.0.1:1" in found["slack events"].fix

        found = await examine_slack(slack, slack_config_token="xoxe.xoxp-old")
        assert found["slack events"].level == "failed"
        assert "12 hours" in found["slack events"].fix


async def test_missing_subscriptions_are_named() -> None:
    events = set(EVENTS) - {"message.im", "app_mention"}
    async with open_workspace(scopes=SCOPES, events=events) as slack:
        found = await examine_slack(slack, slack_config_token=slack.config_token)
    assert found["slack events"].text == "not subscribed to: app_mention, message.im"
    assert "App Manifest" in found["slack events"].fix


async def test_over_http_the_signing_secret_has_its_shape(slack: LocalSlack) -> None:
    http: dict[str, Any] = {"slack_app_token": None}
    found = await examine_slack(slack, slack_signing_secret=slack.signing_secret, **http)
    assert found["slack signing secret"].level == "ok"
    found = await examine_slack(slack, slack_signing_secret="xoxb-oops", **http)
    assert found["slack signing secret"].level == "warning"
    assert found["webhook"].level == "skipped"


async def test_the_public_address_is_checked_to_be_the_bots(
    slack: LocalSlack, redis_url: str, tmp_path: Path
) -> None:
    http: dict[str, Any] = {"slack_app_token": None, "slack_signing_secret": slack.signing_secret}
    async with open_world(redis_url, tmp_path, engine="echo", socket_mode=False) as world:
        found = await examine_slack(slack, world.url, **http)
    assert found["webhook"].level == "warning"
    assert "https" in found["webhook"].fix
    async with open_page() as elsewhere:
        found = await examine_slack(slack, elsewhere, **http)
        assert found["webhook"].level == "failed"
        assert "answers 404" in found["webhook"].text
    found = await examine_slack(slack, elsewhere, **http)
    assert found["webhook"].level == "failed"
    assert "is the web process running" in found["webhook"].fix
    assert bot.slack.checks.judge_webhook("https://host/slack/events", 401).level == "ok"


# The AI server


@pytest.mark.parametrize("engine", ["responses", "assistants"])
async def test_a_complete_engine_passes_and_leaves_nothing_behind(
    fake: FakeOpenAI, engine: str
) -> None:
    found = await examine_engine(fake, bot_engine=engine)
    assert {finding.level for finding in found.values()} == {"ok"}
    assert not fake.conversations
    assert not fake.threads
    assert fake.created("/responses") == 0


async def test_the_echo_engine_says_that_there_is_no_ai(fake: FakeOpenAI, tmp_path: Path) -> None:
    found = await examine_engine(fake, bot_engine="echo", bot_state_dir=tmp_path)
    assert found["engine"].level == "warning"


async def test_a_state_directory_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path) -> None:
    (file := tmp_path / "file").write_text("")
    (tmp_path / "echo.db").mkdir()
    for directory in (file, tmp_path):
        given = settings(bot_engine="echo", bot_state_dir=directory)
        with pytest.raises(ConfigError, match="BOT_STATE_DIR"):
            await findings(bot.engines.checks.open_checks(given))


async def test_a_wrong_key_is_reported_once(fake: FakeOpenAI) -> None:
    found = await examine_engine(fake, openai_api_key="sk-wrong")
    assert found["engine"].level == "failed"
    assert "OPENAI_API_KEY" in found["engine"].fix
    assert found["model"].level == "skipped"
    assert "sk-wrong" not in str(found)


async def test_an_empty_account_is_reported(fake: FakeOpenAI) -> None:
    fake.fault("quota", times=None)
    found = await examine_engine(fake)
    assert found["engine"].level == "failed"
    assert "billing" in found["engine"].fix


async def test_an_unreachable_server_is_reported() -> None:
    given = settings(openai_base_url="http://127.0.0.1:1/v1")
    found = await findings(bot.engines.checks.open_checks(given))
    assert found["engine"].level == "failed"
    assert "OPENAI_BASE_URL" in found["engine"].fix


def test_a_circle_of_errors_has_a_root_cause() -> None:
    first, second = ValueError(), OSError()
    first.__cause__, second.__context__ = second, first
    assert root_cause(first) is second


async def test_a_wrong_scheme_is_no_unreachable_server() -> None:
    async with open_page() as page:
        found = await examine_server(page.replace("http:", "https:"))
    assert found.fix == "the port speaks no TLS: begin OPENAI_BASE_URL with http://"


@pytest.mark.parametrize(
    ("scheme", "words"), [("https", "SSL_CERT_FILE"), ("http", "begin OPENAI_BASE_URL with https")]
)
async def test_a_server_with_its_own_certificate_is_recognized(
    tmp_path: Path, scheme: str, words: str
) -> None:
    async with open_tls_port(tmp_path) as port:
        found = await examine_server(f"{scheme}://127.0.0.1:{port}/v1")
    assert found.level == "failed"
    assert words in found.fix


async def examine_server(url: str) -> Finding:
    given = settings(openai_base_url=url)
    return (await findings(bot.engines.checks.open_checks(given)))["engine"]


async def test_an_error_of_the_server_is_no_missing_connection(fake: FakeOpenAI) -> None:
    fake.fault("overloaded", times=None)
    assert "the server has an error" in (await examine_engine(fake))["engine"].fix


async def test_a_missing_model_is_reported_with_the_available_ones() -> None:
    async with open_fake_openai(models={"gpt-6-luna": None, "o9": None}) as fake:
        found = await examine_engine(fake, openai_model="gpt-6-lunar")
    assert found["model"].level == "failed"
    assert "gpt-6-luna" in found["model"].fix


@pytest.mark.parametrize(
    ("days", "level"), [(-1, "failed"), (30, "warning"), (400, "ok")], ids=["over", "soon", "far"]
)
async def test_the_shutdown_of_a_model_is_reported_in_time(days: int, level: str) -> None:
    date = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    async with open_fake_openai(models={"gpt-6-luna": date.isoformat()}) as fake:
        found = await examine_engine(fake)
    assert found["model"].level == level
    assert date.isoformat() in found["model"].text


async def test_a_server_without_conversations_is_a_warning() -> None:
    async with open_fake_openai(variant="no_conversations") as fake:
        found = await examine_engine(fake)
    assert found["engine"].level == "warning"


async def test_the_protocol_of_a_server_without_conversations_is_detected() -> None:
    for variant, name in (("no_conversations", "responses"), ("chat_completions", "chat")):
        async with open_fake_openai(variant=variant) as fake:
            found = await examine_engine(fake)
        assert found["engine"].level == "warning"
        assert name in found["engine"].text
        assert fake.created("/responses") == fake.created("/chat/completions") == 0


@pytest.mark.parametrize(
    ("status", "message", "level", "fix"),
    [
        (400, "conversations are not supported", "warning", "none needed"),
        (400, "no", "failed", "BOT_PROTOCOL=responses"),
        (403, "no", "failed", "BOT_PROTOCOL=responses"),
        (500, "no", "failed", "BOT_PROTOCOL=responses"),
    ],
)
async def test_a_server_may_refuse_conversations_in_its_own_way(
    fake: FakeOpenAI, status: int, message: str, level: str, fix: str
) -> None:
    fake.fault("error", "POST", "/conversations", status=status, message=message, times=None)
    found = (await examine_engine(fake))["engine"]
    assert found.level == level
    assert fix in found.fix
    if status == 500:
        fake.fault("error", "POST", "/responses", status=status, message=message, times=None)
        fake.fault("error", "POST", "/chat/completions", status=500, message="no", times=None)
        assert "BOT_PROTOCOL" not in (await examine_engine(fake))["engine"].fix


async def test_only_the_configured_protocol_is_detected() -> None:
    async with open_fake_openai() as fake:
        assert (await examine_engine(fake, bot_protocol="chat"))["engine"].level == "ok"
    async with open_fake_openai(variant="chat_completions") as fake:
        found = await examine_engine(fake, bot_protocol="responses")
    assert found["engine"].level == "failed"
    assert "BOT_PROTOCOL" in found["engine"].fix


@pytest.mark.parametrize("variant", ["openai", "no_conversations", "chat_completions"])
async def test_an_address_without_v1_is_told(variant: str) -> None:
    async with open_fake_openai(variant=variant) as fake:
        found = await examine_engine(fake, openai_base_url=fake.base_url.removesuffix("/v1"))
    assert found["engine"].level == "failed"
    assert "/v1" in found["engine"].fix


@pytest.mark.parametrize("variant", ["no_conversations", "chat_completions"])
async def test_a_key_that_only_the_answers_need_is_checked(variant: str) -> None:
    async with open_fake_openai(variant=variant) as fake:
        path = "/responses" if variant == "no_conversations" else "/chat/completions"
        fake.fault("error", "POST", path, status=401, message="no key", times=None)
        found = await examine_engine(fake)
    assert found["engine"].level == "failed"
    assert "OPENAI_API_KEY" in found["engine"].fix


async def test_a_key_refused_with_status_400_is_reported() -> None:
    async with open_fake_openai(variant="no_conversations") as fake:
        fake.fault("error", "*", "/responses", code="invalid_api_key", message="No.", times=None)
        found = await examine_engine(fake)
    assert found["engine"].level == "failed"
    assert "OPENAI_API_KEY" in found["engine"].fix


async def test_a_model_that_is_only_in_the_list_passes() -> None:
    models: dict[str, Any] = {"gpt-6-luna": None, "tiny:latest": None}
    async with open_fake_openai(variant="llama_cpp", models=models) as fake:
        for model in ("gpt-6-luna", "tiny"):
            assert (await examine_engine(fake, openai_model=model))["model"].level == "ok"
        found = await examine_engine(fake, openai_model="huge")
    assert found["model"].level == "failed"
    assert "gpt-6-luna" in found["model"].fix


async def test_the_only_model_of_a_server_may_have_any_name() -> None:
    async with open_fake_openai(variant="llama_cpp", models={"tiny.gguf": None}) as fake:
        found = await examine_engine(fake, openai_model="huge")
        assert found["model"].level == "failed"
        for path in ("/responses", "/chat/completions"):
            fake.fault("error", "POST", path, message="'messages' is required", times=None)
        found = await examine_engine(fake, openai_model="huge")
    assert found["model"].level == "warning"
    assert "tiny.gguf" in found["model"].fix


async def test_a_missing_assistant_is_reported(fake: FakeOpenAI) -> None:
    found = await examine_engine(fake, bot_engine="assistants", openai_assistant_id="asst_no")
    assert found["assistant"].level == "failed"
    assert "OPENAI_ASSISTANT_ID" in found["assistant"].fix


# The command


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


def deployment(slack: LocalSlack, fake: FakeOpenAI, redis: str) -> dict[str, str]:
    return {
        "SLACK_BOT_TOKEN": slack.bot_token,
        "SLACK_SIGNING_SECRET": slack.signing_secret,
        "SLACK_API_URL": slack.api_url,
        "OPENAI_API_KEY": fake.api_key,
        "OPENAI_BASE_URL": fake.base_url,
        "REDIS_URL": redis,
    }


async def test_a_machine_gets_json_and_an_exit_code(
    slack: LocalSlack, fake: FakeOpenAI, redis_url: str, tmp_path: Path
) -> None:
    given = deployment(slack, fake, redis_url)
    ended = await asyncio.to_thread(run_bot, tmp_path, "doctor", "--json", **given)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    told = json.loads(ended.stdout)
    assert told["ok"] is True
    assert {check["name"]: check["level"] for check in told["checks"]}["model"] == "ok"
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


@pytest.mark.parametrize(
    ("event", "rejected", "level", "words"),
    [
        (None, None, "warning", "no event"),
        ("1000", None, "ok", "3 minutes ago"),
        ("1000", "900 secret", "ok", "3 minutes ago"),
        ("1000", "1100 secret", "failed", "rejected 1 minute ago"),
        (None, "1100 clock", "failed", "rejected"),
    ],
)
def test_the_newest_delivery_is_reported(
    event: str | None, rejected: str | None, level: str, words: str
) -> None:
    found = judge_deliveries(event, rejected, 1181.0)
    assert found.level == level
    assert words in found.text
