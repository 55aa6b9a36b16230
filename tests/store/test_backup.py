"""Backups: everything comes back, and a file that is not whole is refused."""

# ruff: noqa: ASYNC240 - the files are small
import asyncio
import gzip
import json
import stat
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.models import Usage
from bot.store import AuditLine, Store, open_store
from bot.store.backup import OF_THE_MOMENT, Backup
from bot.store.backup_file import UnusableBackup
from bot.timing import StoreTiming
from tests.recording import load_recording
from tests.redis_server import RedisServer, open_clean_store, run_server
from tests.redis_topologies import RedisCluster
from tests.store.builders import (
    deliver,
    keys_of,
    message,
    stamps,
    take_all,
    take_one,
    thread,
)

DAY = 24 * 3600
QUICK = StoreTiming(settling=0.2)
LINE = AuditLine(1.0, "T1", "C1", "1.0", "U1", "q1", "call_1", "files", "read", "", "allow", "U1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup.gz"


def dump(client: "redis.Redis", prefix: str) -> dict[str, Any]:
    """All keys without their prefix: their type, value, and minutes until they expire."""
    found: dict[str, Any] = {}
    for key in client.scan_iter(match=f"{{{prefix}}}:*", count=1000):
        type_, name = str(client.type(key)), key.partition(":")[2]
        found[name] = (type_, read(client, key, type_), round(client.pttl(key) / 60_000))
    return found


def read(client: "redis.Redis", key: str, type_: str) -> Any:
    if type_ == "string":
        return client.get(key)
    if type_ == "hash":
        return client.hgetall(key)
    if type_ == "list":
        return client.lrange(key, 0, -1)
    if type_ == "set":
        return client.smembers(key)
    return client.zrange(key, 0, -1, withscores=True) if type_ == "zset" else client.xrange(key)


def is_kept(name: str) -> bool:
    return name.partition(":")[0] not in {*OF_THE_MOMENT, "pulse"}


async def test_all_data_comes_back(own_server: RedisServer, file: Path) -> None:
    """The data of a busy deployment, and keys with more values than one request reads."""
    with own_server.client() as client, run_server(own_server.executable) as other:
        load_recording("responses-streamed", "old").fill_redis(client)
        client.hset("{old}:usage:T1:day", mapping={f"C1:U{n}:turns": n for n in range(1500)})
        client.zadd("{old}:idle", {f"T1:C1:{n}.5": 1.8e9 + n / 7 for n in range(1500)})
        client.sadd("{old}:greeted:T1", *(f"U{n}" for n in range(1500)))
        client.rpush("{old}:runs:conv_1", *(f"run_{n}" for n in range(1500)))
        client.set("{old}:mark:ümlaut \n\x01", "ü\x00", ex=DAY)
        client.set("{old}:conversation:no thread", "foreign")
        before = dump(client, "old")
        async with open_store(own_server.url, prefix="old") as store:
            for _ in range(3):
                await store.audit.append(LINE)
            copied = await store.backup.write(file)
        async with open_store(other.url, prefix="new") as store:
            restored = await store.backup.restore(file)
            lines = [line async for line in store.audit.read()]
            assert len(lines) == 3
            assert await store.audit.head_fits(lines[-1].hash)
            assert (await store.workers.beat("anna", 60)).restored is False
        with other.client() as restored_client:
            after = dump(restored_client, "new")
        assert restored.keys == copied.keys
        kept = {name: facts for name, facts in before.items() if is_kept(name)}
        assert kept.keys() <= after.keys()
        for name, facts in kept.items():
            if name.partition(":")[0] not in ("thread", "audit"):  # they have a new place
                assert after[name] == facts, name


async def test_threads_go_on_where_they_were(store: Store, file: Path) -> None:
    """One waits, one is being answered, one waits for its retry, one was stopped."""
    for name in ("1.0", "2.0", "3.0", "4.0"):
        await deliver(store, name, of=thread(name))
    claims = {claim.thread: claim for claim in await take_all(store)}
    await store.inbox.settle(claims[thread("1.0")])
    await deliver(store, "1.5", of=thread("1.0"))
    await store.inbox.release(claims[thread("3.0")], 3600, "rate_limited")
    await store.inbox.interrupt(thread("4.0"), "stop")
    turns = {claims[each].thread: store.turns.open(claims[each]).id for each in claims}
    await store.backup.write(file)
    with run_server() as other:
        async with open_store(other.url, prefix="new", timing=QUICK) as restored:
            await restored.backup.restore(file)
            await restored.workers.beat("bert", 60)
            await asyncio.sleep(restored.connection.timing.settling)
            taken = {claim.thread: claim for claim in await take_all(restored, "bert")}
            assert set(taken) == {thread("1.0"), thread("2.0"), thread("4.0")}
            assert stamps(taken[thread("1.0")]) == ["1.5"]
            assert taken[thread("2.0")].maybe_done
            assert restored.turns.open(taken[thread("2.0")]).id == turns[thread("2.0")]
            assert await restored.inbox.interrupt_of(thread("4.0")) == "stop"
            assert (await restored.inbox.state(thread("3.0"))).state == "later"


async def test_a_backup_of_a_busy_bot_has_each_thread_at_one_moment(
    store: Store, file: Path
) -> None:
    """In the inbox of a thread or in its record, but in one of them; and in all lists."""
    ended = asyncio.Event()

    async def talk(name: str) -> None:
        number = 0
        while not ended.is_set():
            ts = f"{name}.{number}"
            await store.inbox.deliver(message(ts, of=thread(f"{name}.0")))
            for claim in await take_all(store, name):
                await store.inbox.settle(claim, usage=Usage(1, 1))
            number += 1

    talks = [asyncio.create_task(talk(str(number))) for number in range(1, 9)]
    await asyncio.sleep(0.1)
    await store.backup.write(file)
    ended.set()
    await asyncio.gather(*talks)
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    keys = {line["key"]: line["values"] for line in lines[1:-1]}
    threads = [key.partition(":")[2] for key in keys if key.startswith("thread:")]
    assert all(f"inbox:{name}" in keys for name in threads)
    inboxes = [key.partition(":")[2] for key in keys if key.startswith("inbox:")]
    assert sorted(threads) == sorted(inboxes)


async def test_a_file_is_private_and_never_half(store: Store, file: Path, tmp_path: Path) -> None:
    await deliver(store, "1.0")
    await store.backup.write(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(UnusableBackup, match="exists already"):
        await store.backup.write(file)
    with pytest.raises(UnusableBackup, match="cannot be written"):
        await store.backup.write(tmp_path / "no folder" / "backup.gz")


def changed(lines: list[bytes], at: int, **fields: Any) -> bytes:
    lines[at] = json.dumps(json.loads(lines[at]) | fields).encode() + b"\n"
    return gzip.compress(b"".join(lines))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda raw, lines: raw[: len(raw) // 2], "incomplete or damaged"),
        (lambda raw, lines: raw[:-1], "incomplete or damaged"),
        (lambda raw, lines: b"", "incomplete or damaged"),
        (lambda raw, lines: b"text", "incomplete or damaged"),
        (lambda raw, lines: gzip.compress(b"".join(lines[:-1])), "incomplete or damaged"),
        (lambda raw, lines: gzip.compress(b"".join(lines[:-2] + lines[-1:])), "incomplete"),
        (lambda raw, lines: changed(lines, 1, values=["other"]), "incomplete or damaged"),
        (lambda raw, lines: changed(lines, 0, version=3), "a newer release"),
        (lambda raw, lines: gzip.compress(b'{"format": "x"}\n{}\n'), "no backup of this program"),
        (lambda raw, lines: gzip.compress(b"[1]\n"), "incomplete or damaged"),
    ],
)
async def test_a_file_that_is_not_whole_changes_nothing(
    store: Store, file: Path, damage: Any, reason: str
) -> None:
    await deliver(store, "1.0", "2.0")
    await store.backup.write(file)
    raw = file.read_bytes()
    file.write_bytes(damage(raw, gzip.decompress(raw).splitlines(keepends=True)))
    for key in await keys_of(store):
        await store.redis.delete(key)
    with pytest.raises(UnusableBackup, match=reason):
        await store.backup.restore(file)
    assert await keys_of(store) == []


async def test_only_an_empty_redis_is_restored_into(store: Store, file: Path) -> None:
    await deliver(store, "1.0")
    await store.backup.write(file)
    with pytest.raises(UnusableBackup, match="BOT_REDIS_PREFIX"):
        await store.backup.restore(file)
    with pytest.raises(UnusableBackup, match="there is no file"):
        await store.backup.restore(file.with_name("other"))


async def test_what_has_expired_since_the_backup_stays_away(store: Store, file: Path) -> None:
    await store.flags.note("short", "1", 1)
    await store.flags.note("long", "1", 3600)
    await store.backup.write(file)
    await store.redis.delete(*await keys_of(store))
    await asyncio.sleep(1.05)
    await store.backup.restore(file)
    assert await store.flags.read("short") is None
    assert 3500 < await store.redis.ttl(store.keys.flag("long")) <= 3600


async def test_a_server_that_takes_over_meanwhile_ends_the_backup(
    own_server: RedisServer, file: Path
) -> None:
    class Interrupted(Backup):
        async def _write_audit(self, *given: Any) -> None:
            own_server.kill()
            own_server.start()
            await super()._write_audit(*given)

    async with open_store(own_server.url) as store:
        await deliver(store, "1.0")
        with pytest.raises(UnusableBackup, match="run it again"):
            await Interrupted(store.connection, store.keys).write(file)
    assert not list(file.parent.iterdir())


async def test_no_backup_is_made_while_the_slot_moves(
    redis_cluster: RedisCluster, file: Path
) -> None:
    home, other = redis_cluster.owner("{backup}:"), redis_cluster.nodes[1]
    async with open_store(redis_cluster.url, prefix="backup") as store:
        await deliver(store, "1.0")
        with (
            redis_cluster.moving_slot("{backup}:", other),
            pytest.raises(UnusableBackup, match="moving a slot"),
        ):
            await store.backup.write(file)
        await asyncio.to_thread(redis_cluster.move_slot, "{backup}:", home)
        await store.redis.delete(*await keys_of(store))
    assert not list(file.parent.iterdir())


async def test_a_cluster_is_restored_into_one_server_and_back(
    redis_cluster: RedisCluster, redis_server: RedisServer, file: Path
) -> None:
    async with open_store(redis_cluster.url, prefix="backup", timing=QUICK) as clustered:
        await deliver(clustered, "1.0")
        await clustered.backup.write(file)
        await clustered.redis.delete(*await keys_of(clustered))
        async with open_clean_store(redis_server.url) as store:
            await store.backup.restore(file)
            file.unlink()
            await store.backup.write(file)
        await clustered.backup.restore(file)
        await clustered.workers.beat("anna", 60)
        await asyncio.sleep(clustered.connection.timing.settling)
        assert stamps(await take_one(clustered)) == ["1.0"]
        await clustered.redis.delete(*await keys_of(clustered))
