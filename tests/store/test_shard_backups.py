"""Backups of several shards, restored into another number of shards."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from bot.cli import backup
from bot.errors import StoreUnavailable
from bot.models import Thread
from bot.sealing import generate_key
from bot.store.archive import Orphan
from bot.store.backup_file import UnusableBackup
from bot.store.shards import Shards, open_shards
from bot.store.usage import day_of
from tests.redis_server import RedisServer
from tests.store.many_shards import TEAMS, answered, deliver_to_all, fill, message_in, settings


async def facts(shards: Shards, team: str) -> dict[str, Any]:
    """What a workspace has, in its shard."""
    store, thread = shards.of(team), Thread(team, "C1", "1.0")
    (spent,) = await store.spending.sums(team, [("team", "", day_of(time.time()))])
    return {
        "waiting": (await store.inbox.state(thread)).waiting,
        "conversation": await store.conversations.find(thread),
        "recent": len(await store.conversations.recent(team, "U1")),
        "runs": await store.archive.runs(Orphan("echo", f"conv-{team}")),
        "spent": spent,
        "feedback": [f.turn_id for f in await store.feedback.list() if f.thread == thread],
        "dead": [each.id for each in await store.dead.list() if each.thread == thread],
        "orphan": await store.redis.zscore(store.keys.orphans, f"echo|old-{team}") is not None,
        "unconfirmed": await store.redis.hget(store.keys.unconfirmed, f"echo|old-{team}"),
        "settings": (await store.workspaces.newest(team)).settings.model,
        "key": await store.workspaces.ai_key(team),
        "seen": await store.flags.read(f"workspace_seen:{team}"),
        "usage": team in await store.redis.smembers(store.keys.teams),
        "audit": [each.line.team_id async for each in store.audit.read()].count(team),
        "again": (await store.inbox.deliver(message_in(team))).new,
    }


@pytest.mark.parametrize(("before", "after"), [(1, 6), (6, 6), (6, 3), (6, 1)])
async def test_a_backup_is_restored_into_another_number_of_shards(
    urls: str, servers: list[RedisServer], tmp_path: Path, before: int, after: int
) -> None:
    many = {1: servers[0].url, 3: f"{servers[0].url} {servers[1].url}", 6: urls}
    key = generate_key()
    old = settings(many[before], before, bot_encryption_keys=key)
    new = settings(many[after], after, bot_encryption_keys=key, bot_redis_prefix="new")
    async with open_shards(old) as shards:
        await fill(shards)
        known = {team: await facts(shards, team) for team in TEAMS}
    reported = await backup.backup(old, tmp_path / "backup")
    assert (await backup.restore(new, tmp_path / "backup")).split()[0] == reported.split()[0]
    async with open_shards(new) as shards:
        assert {team: await facts(shards, team) for team in TEAMS} == known
        assert known["T1"]["settings"] == "T1"
        for store in shards:
            lines = [line async for line in store.audit.read()]
            assert all(line.fits for line in lines)
            assert await store.audit.head_fits(lines[-1].hash if lines else "")
            beat = await store.workers.beat("anna", 60)
            assert not beat.restored
    with pytest.raises(UnusableBackup, match="holds keys"):
        await backup.restore(new, tmp_path / "backup")


async def test_a_backup_with_corrupt_keys_is_restored_into_another_number_of_shards(
    urls: str, servers: list[RedisServer], tmp_path: Path
) -> None:
    old, new = settings(urls, 6), settings(urls, 4, bot_redis_prefix="new")
    async with open_shards(old) as shards:
        await deliver_to_all(shards)
    with servers[0].client() as client:
        client.set("{bot:0}:conversation:no thread", "foreign")
        client.set("{bot:0}:idle", "foreign")
        client.hset("{bot:3}:dead", "q1", "no letter")
        client.set("{bot:3}:untranscribed:F1", "no message")
        client.set("{bot:3}:family:T1", "unknown")
        client.xadd("{bot:3}:audit", {"foreign": "entry"})
        client.xadd("{bot:3}:audit", {"line": "no line", "hash": "x"})
        client.set("{bot:3}:audit_head", "x")
    await backup.backup(old, tmp_path / "backup")
    await backup.restore(new, tmp_path / "backup")
    async with open_shards(new) as shards:
        found = [(await store.inbox.depth()).waiting for store in shards]
        assert sum(found) == 0  # their places are recovered by the first worker
        for store in shards:
            await store.workers.beat("anna", 60)
            assert await store.redis.get(store.keys.name("hold")) is None
        await asyncio.sleep(shards.home.connection.timing.settling)
        answers = [await answered(store) for store in shards]
        assert sorted(team for each in answers for team in each) == sorted(TEAMS)
    with servers[0].client() as client:
        assert client.hget("{new:0}:dead", "q1") == "no letter"
        assert client.get("{new:0}:family:T1") == "unknown"


async def test_a_backup_needs_all_shards(
    urls: str, servers: list[RedisServer], tmp_path: Path
) -> None:
    servers[2].kill()
    try:
        with pytest.raises(StoreUnavailable, match="2, 5 of 6"):
            await backup.backup(settings(urls, 6), tmp_path / "backup")
        assert not (tmp_path / "backup").exists()
    finally:
        servers[2].start()
