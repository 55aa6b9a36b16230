"""Builders for the tests of the store: threads, messages, workers."""

from bot.models import Conversation, Message, MessageKind, Thread
from bot.store import Approval, Claim, Entry, Store
from bot.store.layout import Layout
from bot.store.shard_checks import ServerShards

TTL = 60.0


def thread(name: str = "1.0") -> Thread:
    """A thread by its thread_ts, in its own channel."""
    return Thread("T1", "C" + name.partition(".")[0], name)


def message(
    ts: str,
    text: str = "",
    *,
    of: Thread | None = None,
    kind: MessageKind = "message",
    by: str = "U1",
) -> Message:
    where = of or thread()
    event_id = f"Ev:{where.thread_ts}:{ts}"
    return Message(where, ts, by, text or f"text {ts}", event_id=event_id, kind=kind)


def approval(id: str = "call_1", *, shown: str = "", expires: float = 4e9) -> Approval:
    """An approval that U1 is asked for. It does not expire unless `expires` is given."""
    return Approval(
        id, "U1", "files", "write", "{}", shown or f"hash of {id}", expires, grant="files:write"
    )


def conversation(id: str = "conv_1", *, of: Thread | None = None) -> Conversation:
    return Conversation(id, "echo", of or thread(), "U1", created_at=1_800_000_000.25)


async def deliver(store: Store, *stamps: str, of: Thread | None = None) -> None:
    for ts in stamps:
        await store.inbox.deliver(message(ts, of=of))


def place_of(store: Store) -> ServerShards:
    """The only shard of a deployment, for the checks of the doctor."""
    layout = Layout(store.connection, store.keys, shards=1)
    return ServerShards("", {0: (store.connection, store.keys)}, layout)


async def claim_entries(store: Store, worker: str = "anna", count: int = 100) -> list[Entry]:
    return await store.inbox.read_ready(worker, count, 0)


async def take_all(store: Store, worker: str = "anna") -> list[Claim]:
    """All that is ready, taken by a worker."""
    entries = await claim_entries(store, worker, 10_000)
    claims = [await store.inbox.take(entry, worker) for entry in entries]
    return [claim for claim in claims if claim is not None]


async def take_one(store: Store, worker: str = "anna") -> Claim:
    """The one thread that is ready, taken by a worker."""
    [claim] = await take_all(store, worker)
    return claim


def stamps(claim: Claim) -> list[str]:
    return [message.ts for message in claim.messages]


async def die(store: Store, worker: str) -> None:
    """Let a worker's lease expire now."""
    await store.workers.beat(worker, 0)


async def rescue(store: Store, worker: str = "bert") -> int:
    """Let a worker rescue threads without the usual waiting time."""
    await store.workers.beat(worker, 0)
    return await store.workers.rescue(worker)


async def keys_of(store: Store, beginning: str = "") -> list[str]:
    """All keys of the store whose name starts with `beginning` after the prefix."""
    prefix = store.keys.name(beginning)
    return [key async for key in store.redis.scan_iter(match=f"{prefix}*", count=1000)]
