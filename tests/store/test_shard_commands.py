"""The commands on several shards."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from bot.app import sweep
from bot.checks import Finding
from bot.cli import audit, dead, doctor, feedback, hold, keys, why, workspace_admin
from bot.errors import Retry, StoreUnavailable
from bot.jobs.report import fetch_rows
from bot.sealing import generate_key
from bot.store import Installation
from bot.store.checks import open_checks
from bot.store.shards import open_shards
from tests.redis_server import RedisServer
from tests.store.many_shards import TEAMS, fill, settings


async def test_commands_walk_all_shards(urls: str, tmp_path: Path) -> None:
    old, new = generate_key(), generate_key()
    given = settings(urls, 6, bot_encryption_keys=old, bot_engine="echo", bot_state_dir=tmp_path)
    async with open_shards(given) as shards:
        await fill(shards)
    assert {each.thread.team_id for each in await dead.list_letters(given)} == set(TEAMS)
    assert await dead.drop_letters(given, ["qT1", "unknown"], every=False) == ["unknown"]
    assert len(await dead.list_letters(given)) == len(TEAMS) - 1
    lines, problem = await audit.fetch(given)
    assert ({line.team_id for line in lines}, problem) == (set(TEAMS), "")
    assert {each.thread.team_id for each in await feedback.fetch(given)} == set(TEAMS)
    assert {row.team_id for row in await fetch_rows(given, 1)} == set(TEAMS)
    assert len(await why.inspect(given, why.MessagePlace("C1", "1.0"))) == len(TEAMS)
    rotated = given.model_copy(update={"bot_encryption_keys": SecretStr(f"{new},{old}")})
    assert (await keys._rotate(rotated)).resealed == len(TEAMS)
    assert "is on:" in await hold.begin(given)
    assert "is on since" in await hold.begin(given)
    assert (await sweep(given, dry_run=False)).held
    assert "has ended" in await hold.end(given)
    assert await hold.status(given) == "There is no legal hold."
    async with open_shards(given) as shards:
        for store in shards:  # as if a worker swept them
            assert await store.leases.take("sweep", "worker", 60)
        with pytest.raises(Retry, match="another process"):
            await sweep(given, dry_run=False)
        for store in list(shards)[2:]:
            await store.leases.give_back("sweep", "worker")
        swept = await sweep(given, dry_run=False)
        assert swept.busy == (0, 1)
        for store in list(shards)[:2]:
            await store.leases.give_back("sweep", "worker")
    assert 0 < swept.deleted < len(TEAMS)
    assert swept.deleted + (await sweep(given, dry_run=False)).deleted == len(TEAMS)


async def test_a_full_redis_or_a_replica_can_still_be_read(own_server: RedisServer) -> None:
    """An admin looks into it in just that outage."""
    given = settings(own_server.url, 1, bot_encryption_keys=SecretStr(generate_key()))
    async with open_shards(given) as shards:
        await fill(shards)
    expected = len(TEAMS)
    with own_server.client() as client:
        client.config_set("maxmemory", 1)
        assert len(await dead.list_letters(given)) == expected
        assert len(await why.inspect(given, why.MessagePlace("C1", "1.0"))) == expected
        client.config_set("maxmemory", 0)
        client.replicaof("127.0.0.1", 1)
        assert len(await dead.list_letters(given)) == expected
        assert await hold.status(given) == "There is no legal hold."
        with pytest.raises(StoreUnavailable):
            await hold.begin(given)


async def test_the_overview_has_the_workspaces_of_all_shards(urls: str) -> None:
    given = settings(urls, 6, bot_encryption_keys=generate_key(), slack_client_id="1.2")
    async with open_shards(given) as shards:
        for team in TEAMS:
            found = Installation(team, team, team, "", "UBOT", "B1", "", f"xoxb-{team}")
            assert await shards.of(team).installations.save(found)
    assert {row.id for row in await workspace_admin.fetch(given)} == set(TEAMS)
    assert await workspace_admin.remove(given, "T3")
    removed = [row.id for row in await workspace_admin.fetch(given) if row.removed_at]
    assert removed == ["T3"]


async def test_a_hold_covers_all_shards_or_is_reported(
    urls: str, servers: list[RedisServer]
) -> None:
    given = settings(urls, 6)
    servers[2].kill()
    try:
        with pytest.raises(StoreUnavailable, match="2, 5 of 6"):
            await hold.begin(given)
    finally:
        servers[2].start()
    assert await hold.status(given) == "There is no legal hold."
    await hold.begin(given)
    async with open_shards(given) as shards:
        await list(shards)[3].hold.end()
    assert "off in 1 of 6" in await hold.status(given)
    assert "is on:" in await hold.begin(given)


async def test_the_doctor_names_the_server_that_is_down(
    urls: str, servers: list[RedisServer]
) -> None:
    async def examine() -> dict[str, Finding]:
        async with open_checks(settings(urls, 6)) as checks:
            lines = await doctor.run(checks, lambda _: None)
        return {line.name: line.finding for line in lines}

    found = await examine()
    assert found["shards 2"].text == f"2 of 6 on {servers[1].socket}: 1, 4"
    assert found["worker 3"].level == "warning"
    # A worker has one more for the second shard of a server.
    assert "up to 11 a process" in found["redis connections 3"].text
    servers[1].kill()
    try:
        found = await examine()
    finally:
        servers[1].start()
    levels = [found[f"redis {number}"].level for number in (1, 2, 3)]
    assert levels == ["ok", "failed", "ok"]
    assert (found["queue 2"].level, found["queue 3"].level) == ("skipped", "ok")
