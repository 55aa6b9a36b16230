"""Floods of the families of keys that no turn fills: each is bounded or expires."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.errors import DependencyDown
from bot.models import Run, Usage
from bot.sealing import Keyring, generate_key, parse_keys
from bot.settings import Settings
from bot.store import ChannelSettings, Sealed, Store
from bot.store.archive import Orphan
from bot.store.audit import AuditTrail
from bot.store.begun import MOST
from bot.store.checks import RedisChecks
from bot.store.families import FAMILIES
from bot.store.layout import Layout
from bot.store.workspace_settings import WorkspaceSettings
from tests.hostile.test_bounds import FLOODS, size
from tests.store.builders import (
    conversation,
    deliver,
    keys_of,
    message,
    place_of,
    take_all,
    take_one,
    thread,
)
from tests.store.test_audit import LINE

FLOOD = 120


async def adopt(store: Store) -> None:
    for number in range(FLOOD):
        await store.routing.adopt(thread(), ours=bool(number % 2))


async def move(store: Store) -> None:
    for number in range(FLOOD):
        await store.routing.move(thread(), "1.5", f"{number + 2}.5")


async def edit(store: Store) -> None:
    for number in range(FLOOD):
        await store.routing.keep_edit(message("1.5", f"words {number}"))


async def await_transcripts(store: Store) -> None:
    for _ in range(FLOOD):
        await store.routing.await_transcript("F1", message("1.5"))


async def deliver_again(store: Store) -> None:
    for _ in range(FLOOD):
        await store.inbox.deliver(message("1.5"))


async def crash(store: Store) -> None:
    """A thread that is taken and given back, with a new message each time."""
    for number in range(FLOOD // 4):
        await deliver(store, f"{number + 1}.5")
        for claim in await take_all(store):
            await store.inbox.release(claim, 0, "test")


async def answer(store: Store) -> None:
    for number in range(FLOOD):
        await deliver(store, f"{number + 1}.5")
        for claim in await take_all(store):
            await store.inbox.settle(claim, answer_ts=f"{number + 2}.5")


async def pace(store: Store) -> None:
    for _ in range(FLOOD):
        await store.pace.pause("bucket", 5.0, 1.0)


async def count_requests(store: Store) -> None:
    for _ in range(FLOOD):
        await store.spending.count_request("T1", "person", "U1", 1)


async def reserve(store: Store) -> None:
    """Turns that never ended: their reservations are dropped once they are too old."""
    key = store.keys.reserved("T1", "person", "U1")
    for number in range(FLOOD):
        await store.redis.hset(key, f"dead-{number}", '{"until_": 1, "tokens": 1, "cost": 1}')
    await store.spending.reserve(
        "turn", "T1", "person", "U1", "2026-01-01", least=(1, 1), limits=(1000, None)
    )


async def spend(store: Store) -> None:
    for number in range(FLOOD // 4):
        await deliver(store, f"{number + 1}.5")
        claim = await take_one(store)
        await store.spending.account(claim, "U1", Usage(1, 1), 1)
        await store.inbox.settle(claim)


async def run(store: Store) -> None:
    for number in range(3):
        await deliver(store, f"{number + 1}.5")
        claim = await take_one(store)
        runs = [Run(f"resp_{number}_{n}", "conv_1", 1.0) for n in range(600)]
        await store.inbox.settle(claim, runs=runs)


async def begin(store: Store) -> None:
    await deliver(store, "1.0")
    claim = await take_one(store)
    saving = store.conversations.saving
    calls = [await saving(claim, conversation(f"conv_{number}")) for number in range(1300)]
    assert {call.args["most_begun"] for call in calls} == {MOST}
    fewer = [replace(call, args={**call.args, "most_begun": MOST // 20}) for call in calls]
    await store.connection.run_many("save", fewer)


async def configure(store: Store) -> None:
    for number in range(FLOOD):
        settings = ChannelSettings(instructions=str(number), follow_ups="always")
        await store.channels.save("T1", "C1", settings, user_id="U1", after=number)


async def fail(store: Store) -> None:
    for number in range(FLOOD):
        with pytest.raises(DependencyDown):
            async with store.circuits.guard("slack:chat", ongoing=True):
                raise DependencyDown(f"reason {number}", certain=True)
        await store.circuits.park("slack:chat", thread(), float(number))


async def beat(store: Store) -> None:
    for _ in range(FLOOD):
        await store.workers.beat("anna", 60)


async def mark(store: Store) -> None:
    for number in range(FLOOD):
        await store.flags.take("flag", f"owner-{number}", 60)


async def lease(store: Store) -> None:
    for number in range(FLOOD):
        await store.leases.take("sweep", f"owner-{number}", 60)


async def connect(store: Store) -> None:
    for _ in range(FLOOD):
        await store.sockets.keep("connection")


async def corrupt(store: Store) -> None:
    for _ in range(FLOOD // 4):
        await store.redis.set(store.keys.ready, "x")
        await deliver(store, "1.5")
        await store.connection.set_aside(store.keys.ready, "stream")


async def call_tools(store: Store) -> None:
    old = int((time.time() - 3 * 86400) * 1000)
    for number in range(3 * FLOOD):
        await store.redis.xadd(store.keys.name("audit"), {"line": "{}"}, id=f"{old}-{number}")
    trail = AuditTrail(store.connection, store.keys, retention_days=1)
    await trail.append(LINE)


async def leave_unconfirmed(store: Store) -> None:
    for _ in range(FLOOD):
        await store.archive.note_unconfirmed("T1", "U1", [Orphan("echo", "conv_1")])


async def examine(store: Store) -> None:
    settings = Settings(
        _env_file=None, slack_bot_token="xoxb-1", bot_redis_prefix=store.keys.prefix
    )
    checks = RedisChecks(place_of(store), settings, time.time)
    for _ in range(FLOOD // 4):
        assert (await checks.writes()).level == "ok"


async def check_in(store: Store) -> None:
    for number in range(FLOOD):
        await store.roster.check_in("anna", 60)
        await store.roster.leave(f"worker-{number}")


async def note_layout(store: Store) -> None:
    for _ in range(FLOOD // 4):
        await Layout(store.connection, store.keys, shards=1).check()


async def install(store: Store) -> None:
    for number in range(FLOOD):
        await store.installations.remove("T1", number)


async def lend(store: Store) -> None:
    keyring = Keyring(parse_keys(generate_key()))
    for _ in range(FLOOD):
        await Sealed(store.connection, store.keys, keyring).lend("link", "secret", 600)


async def configure_workspace(store: Store) -> None:
    for number in range(FLOOD):
        settings = WorkspaceSettings(model=f"m{number}")
        assert await store.workspaces.save("T1", settings, user_id="U1", after=number)


async def seal(store: Store) -> None:
    keyring = Keyring(parse_keys(generate_key()))
    for number in range(FLOOD):
        await Sealed(store.connection, store.keys, keyring).save("ai_key", "T1", f"sk-{number}")


async def hold(store: Store) -> None:
    for _ in range(FLOOD):
        await store.hold.begin()
        await store.hold.keep(message("1.5", kind="reset"))


Flood = Callable[[Store], Awaitable[None]]
MORE: dict[str, tuple[Flood, int]] = {
    "adopted": (adopt, 1),
    "moved": (move, 1),
    "edited": (edit, 1),
    "untranscribed": (await_transcripts, 1),
    "seen": (deliver_again, 1),
    "thread": (crash, 8),
    "latest": (answer, 1),
    "pace": (pace, 1),
    "rest": (pace, 1),
    "requests": (count_requests, 1),
    "reserved": (reserve, 1),
    "usage": (spend, 12),
    "used": (spend, 2),
    "teams": (spend, 1),
    "top": (spend, 1),
    "runs": (run, 1000),
    "begun": (begin, 1100),  # cut by whole nodes of the stream
    "channels": (configure, 1),
    "roster": (check_in, 1),
    "shards": (note_layout, 1),
    "channel": (configure, 1),
    "circuits": (fail, 1),
    "parked": (fail, 1),
    "pulse": (beat, 8),
    "epoch": (beat, 1),
    "mark": (mark, 1),
    "lease": (lease, 1),
    "sockets": (connect, 1),
    "corrupt": (corrupt, 1),
    "recover": (corrupt, 1),
    "audit": (call_tools, 101),
    "audit_head": (call_tools, 1),
    "unconfirmed": (leave_unconfirmed, 1),
    "doctor": (examine, 1),
    "sealed": (seal, 1),
    "lent": (lend, 1),
    "hold": (hold, 1),
    "held": (hold, 1),
    "installed": (install, 1),
    "workspace": (configure_workspace, 50),
}


@pytest.mark.parametrize("name", MORE)
async def test_a_flood_of_a_family_stays_within_its_bound(store: Store, name: str) -> None:
    flood, limit = MORE[name]
    await flood(store)
    keys = [key for key in await keys_of(store, name) if store.keys.family(key) is FAMILIES[name]]
    assert keys
    assert {key: n for key in keys if (n := await size(store, key)) > limit} == {}
    lifetimes = [await store.redis.pttl(key) for key in keys]
    assert not FAMILIES[name].expires or -1 not in lifetimes
    assert len(keys) <= 4


def test_every_family_is_flooded() -> None:
    assert {*MORE, *(name.partition(" ")[0] for name in FLOODS)} == {*FAMILIES}
