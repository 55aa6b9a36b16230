"""Redis is down, comes back, comes back empty, or refuses writes."""

import asyncio
import re
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bot.errors import ConfigError, StoreUnavailable, Superseded
from bot.models import Record
from bot.store import Store, open_store
from bot.store.steps import Step
from bot.timing import StoreTiming
from tests.ports import free_port
from tests.redis_server import PATIENT, RedisServer, find_executables, run_server
from tests.store.builders import (
    claim_entries,
    conversation,
    deliver,
    keys_of,
    message,
    rescue,
    stamps,
    take_all,
    take_one,
    thread,
)
from tests.world import wait_until

ACTIONS: dict[str, Callable[[Store], Awaitable[object]]] = {
    "ping": lambda store: store.ping(),
    "deliver": lambda store: store.inbox.deliver(message("1.0")),
    "revise": lambda store: store.inbox.revise(message("1.0")),
    "interrupt": lambda store: store.inbox.interrupt(thread(), "stop"),
    "read_ready": lambda store: store.inbox.read_ready("anna", 1, 0.1),
    "depth": lambda store: store.inbox.depth(),
    "state": lambda store: store.inbox.state(thread()),
    "beat": lambda store: store.workers.beat("anna", 60),
    "rescue": lambda store: store.workers.rescue("anna"),
    "rescue_own": lambda store: store.workers.rescue_own("anna", ()),
    "hand_over": lambda store: store.workers.hand_over("anna"),
    "find": lambda store: store.conversations.find(thread()),
    "history": lambda store: store.conversations.history(thread()),
    "dead": lambda store: store.dead.list(),
    "pace": lambda store: store.pace.acquire("posts", "a", 1),
}


@pytest.mark.parametrize("action", ACTIONS)
async def test_without_redis_every_call_raises_store_unavailable(
    action: str, tmp_path: Path
) -> None:
    async with open_store(f"unix://{tmp_path}/nowhere.sock") as store:
        with pytest.raises(StoreUnavailable):
            await ACTIONS[action](store)


async def test_a_database_that_does_not_exist_is_reported(own_server: RedisServer) -> None:
    async with open_store(f"{own_server.url}?db=99") as store:
        with pytest.raises(StoreUnavailable, match="DB index is out of range"):
            await store.ping()


@pytest.mark.parametrize("action", ["ping", "deliver", "beat", "read_ready"])
async def test_a_server_that_wants_a_password_by_now_is_unavailable(
    own_server: RedisServer, action: str
) -> None:
    with own_server.client() as client:
        client.config_set("requirepass", "rotated")
    async with open_store(own_server.url) as store:
        with pytest.raises(StoreUnavailable):
            await ACTIONS[action](store)


async def test_a_server_without_a_command_is_reported(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as store:
        with pytest.raises(StoreUnavailable, match="unknown command"):
            await store.connection.execute("EVALSHA2", "x")


@pytest.mark.parametrize(
    "refusal",
    [
        "LOADING Redis is loading the dataset in memory",
        "MISCONF Errors writing to the AOF file: No space left on device",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
        "ERR max number of clients reached",
        "NOAUTH Authentication required.",
        "MASTERDOWN Connection with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "BUSY Redis is busy running a script.",
    ],
)
async def test_a_refusing_server_counts_as_unavailable(refusal: str, tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while received := await reader.read(65536):
            commands = len(re.findall(rb"\*\d+\r\n", received))
            writer.write(f"-{refusal}\r\n".encode() * commands)
        writer.close()

    path = str(tmp_path / "redis.sock")
    server = await asyncio.start_unix_server(refuse, path)
    async with server, open_store(f"unix://{path}") as store:
        with pytest.raises(StoreUnavailable):
            await deliver(store, "1.0")


async def test_stored_data_survives_a_killed_server(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as store:
        await deliver(store, "1.0")
        claim = await take_one(store)
        await store.turns.open(claim).note(Step("run", str), "run_1")
        await deliver(store, "2.0")
        own_server.kill()
        with pytest.raises(StoreUnavailable):
            await deliver(store, "3.0")
        own_server.start()

        assert not (await store.inbox.deliver(message("2.0"))).new
        assert await store.workers.held([claim]) == [claim]
        await store.inbox.settle(claim)
        await deliver(store, "3.0")
        assert stamps(await take_one(store)) == ["2.0", "3.0"]


async def test_the_store_recovers_from_a_server_that_lost_everything(
    own_server: RedisServer,
) -> None:
    async with open_store(own_server.url) as store:
        await deliver(store, "1.0")
        claim = await take_one(store)
        assert not (await store.workers.beat("anna", 60)).data_lost
        own_server.stop()
        own_server.lose_data()
        own_server.start()

        assert (await store.workers.beat("anna", 60)).data_lost
        assert not (await store.workers.beat("anna", 60)).data_lost
        with pytest.raises(Superseded):
            await store.inbox.settle(claim)
        await deliver(store, "2.0")
        assert stamps(await take_one(store)) == ["2.0"]


async def test_a_worker_that_waits_for_work_survives_a_flush(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as store:
        await claim_entries(store)
        waiting = asyncio.create_task(store.inbox.read_ready("anna", 1, 4))
        await wait_until(lambda: _is_blocked(store))
        await store.redis.flushall()
        await deliver(store, "1.0")

        entries = await waiting or await claim_entries(store)
        assert [entry.thread for entry in entries] == [thread()]


async def _is_blocked(store: Store) -> bool:
    return int((await store.redis.info("clients"))["blocked_clients"]) == 1


async def test_a_server_without_memory_stores_nothing_partially(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as store:
        await store.redis.config_set("maxmemory", "1")
        with pytest.raises(StoreUnavailable):
            await deliver(store, "1.0")
        assert await keys_of(store) == []
        await store.redis.config_set("maxmemory", "0")

        assert (await store.inbox.deliver(message("1.0"))).new


async def test_accepted_work_is_finished_without_memory(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as store:
        for name in ("1.0", "2.0", "3.0"):
            await deliver(store, "9.0", of=thread(name))
        await claim_entries(store, "dead", 1)
        await store.redis.config_set("maxmemory", "1")

        assert await rescue(store) == 1
        await store.workers.beat("anna", 60)
        first, second, third = await take_all(store)
        assert await store.turns.open(first).once(Step("run", str), _run) == "run_1"
        await store.conversations.save(first, conversation(of=first.thread))
        assert await store.pace.acquire("posts", "a", 1) == 0
        await store.inbox.settle(first, records=[Record("user", "hi", "9.0")])
        await store.inbox.release(second, 600, "429")
        await store.inbox.interrupt(second.thread, "stop")
        await store.workers.beat("anna", 60)
        await store.conversations.forget(await take_one(store))
        await store.inbox.dead_letter(third, "poison")
        with pytest.raises(StoreUnavailable):
            await deliver(store, "10.0")


async def _run(again: bool) -> str:
    return "run_1"


async def test_a_replica_takes_no_messages(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as store:
        await store.redis.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreUnavailable):
            await deliver(store, "1.0")
        await store.redis.replicaof("NO", "ONE")

        assert (await store.inbox.deliver(message("1.0"))).new


async def test_a_full_server_takes_no_more_connections(own_server: RedisServer) -> None:
    async with open_store(own_server.url) as first, open_store(own_server.url) as second:
        await first.redis.config_set("maxclients", "1")
        with pytest.raises(StoreUnavailable):
            await deliver(second, "1.0")
        await first.redis.config_set("maxclients", "100")

        assert (await second.inbox.deliver(message("1.0"))).new


async def test_a_hanging_server_times_out_and_is_used_again_after_recovery(
    own_server: RedisServer,
) -> None:
    async with open_store(own_server.url, timing=StoreTiming(call_timeout=1.5)) as store:
        await store.ping()
        own_server.freeze()
        try:
            with pytest.raises(StoreUnavailable):
                await deliver(store, "1.0")
        finally:
            own_server.thaw()

        # It is unknown whether the frozen server got the first one; the second settles it.
        await deliver(store, "1.0")
        assert stamps(await take_one(store)) == ["1.0"]


async def test_a_cancelled_call_leaves_the_store_usable(store: Store) -> None:
    for _ in range(20):
        waiting = asyncio.create_task(store.inbox.read_ready("anna", 1, 4))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await deliver(store, "1.0")
    await store.workers.rescue_own("anna", (), idle=0)

    assert stamps(await take_one(store)) == ["1.0"]


async def test_connections_are_bounded(own_server: RedisServer) -> None:
    async with open_store(own_server.url, connections=4) as store:
        await asyncio.gather(
            *(deliver(store, "1.0", of=thread(f"{number}.0")) for number in range(200)),
            store.inbox.read_ready("anna", 1, 0.5),
            store.workers.beat("anna", 60),
        )

        assert len(await store.redis.client_list()) <= 4


async def test_a_blocking_claim_does_not_block_other_calls(own_server: RedisServer) -> None:
    async with open_store(own_server.url, connections=3, timing=PATIENT) as store:
        waiting = asyncio.create_task(store.inbox.read_ready("anna", 1, 40))
        await wait_until(lambda: _is_blocked(store))
        async with asyncio.timeout(60):
            await store.workers.beat("anna", 60)
            await deliver(store, "1.0")
            assert len(await waiting) == 1


async def test_bots_with_different_prefixes_are_isolated(redis_url: str) -> None:
    async with (
        open_store(redis_url, prefix="test-one") as one,
        open_store(redis_url, prefix="test-two") as two,
    ):
        try:
            await deliver(one, "1.0")
            assert (await two.inbox.deliver(message("1.0"))).new
            assert await two.conversations.find(thread()) is None
        finally:
            for store in (one, two):
                await store.redis.delete(*await keys_of(store))


@pytest.mark.parametrize("url", ["http://localhost", "redis://u:secret/x@host:6379", "nonsense"])
async def test_an_invalid_address_is_reported_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigError, match="REDIS_URL") as raised:
        async with open_store(url):
            pass
    assert "secret" not in str(raised.value)


def _certificate(directory: Path) -> tuple[Path, Path]:
    certificate, key = directory / "redis.crt", directory / "redis.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=self-signed", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


async def test_a_self_signed_server_is_trusted_on_request_only(tmp_path: Path) -> None:
    executable = find_executables().get("redis")
    if executable is None:
        pytest.skip("no redis-server with TLS on the PATH")
    certificate, key = _certificate(tmp_path)
    port = free_port()
    options = (
        *("--tls-port", str(port), "--bind", "127.0.0.1", "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key)),
        *("--tls-ca-cert-file", str(certificate)),
    )
    with run_server(executable, *options):
        async with open_store(f"rediss://127.0.0.1:{port}", tls_verify=False) as store:
            assert (await store.inbox.deliver(message("1.0"))).new
            claim = await take_one(store)
            await store.conversations.save(claim, conversation())
            await store.inbox.settle(claim)
        async with open_store(f"rediss://127.0.0.1:{port}") as store:
            with pytest.raises(StoreUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await store.ping()
