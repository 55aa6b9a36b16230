"""`bot doctor` on a Redis with one fault each: it names the fault and the fix."""

import re
import time
from pathlib import Path

import pytest

import bot.engines.checks
import bot.slack.checks
import bot.store.checks
from bot.store import Store
from local_slack.local_slack import LocalSlack
from tests.ops.deployments import examine_redis, findings, settings
from tests.ops.servers import open_page, run_redis, run_tls_redis
from tests.ports import free_port
from tests.redis_server import find_executables, run_server
from tests.store import builders


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
