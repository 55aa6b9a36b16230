"""The store: everything that outlives a process, in Redis. The only folder that imports redis."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from bot.imports import absent

# Eighty modules, for metrics that we do not collect.
with absent("opentelemetry.sdk.metrics", "opentelemetry.metrics"):
    from redis.asyncio import Redis

from bot.sealing import Keyring
from bot.store.approvals import Approval, Approvals, Decision, Pending, Requested
from bot.store.archive import Archive
from bot.store.audit import AuditLine, AuditTrail
from bot.store.backup import Backup
from bot.store.channel_settings import ChannelSettings, ChannelSettingsStore
from bot.store.circuits import Circuits, current_turn
from bot.store.claims import (
    Amendment,
    Claim,
    DeliveryResult,
    Depth,
    Entry,
    HeartbeatReply,
    InterruptReason,
    ThreadState,
    Wait,
)
from bot.store.connection import Confirm, Connection
from bot.store.conversations import Conversations
from bot.store.dead import DeadLetter, DeadLetters
from bot.store.feedback import Feedback, FeedbackStore
from bot.store.flags import Flags
from bot.store.hold import LegalHold
from bot.store.inbox import Inbox
from bot.store.inbox_part import SeenBeats
from bot.store.installations import Installation, Installations
from bot.store.journal import Turn, Turns
from bot.store.keys import Keys
from bot.store.lease import Leases
from bot.store.pace import Pace
from bot.store.record_space import RecordSpace
from bot.store.redelivery import Redelivery
from bot.store.roster import Roster
from bot.store.routing import Addressing, Routed, Routing, ThreadContext
from bot.store.sealed import Sealed
from bot.store.servers import Server
from bot.store.sockets import Sockets
from bot.store.team_data import TeamData
from bot.store.usage import Spending
from bot.store.workers import Workers
from bot.store.workspace_settings import WorkspaceSettingsStore
from bot.timing import StoreTiming

__all__ = [
    "Addressing",
    "Amendment",
    "Approval",
    "Approvals",
    "Archive",
    "AuditLine",
    "AuditTrail",
    "ChannelSettings",
    "ChannelSettingsStore",
    "Circuits",
    "Claim",
    "Conversations",
    "DeadLetter",
    "DeadLetters",
    "Decision",
    "DeliveryResult",
    "Depth",
    "Entry",
    "Feedback",
    "FeedbackStore",
    "Flags",
    "HeartbeatReply",
    "Inbox",
    "Installation",
    "Installations",
    "InterruptReason",
    "Leases",
    "LegalHold",
    "Pace",
    "Pending",
    "Requested",
    "Routed",
    "Routing",
    "Sealed",
    "Spending",
    "Store",
    "ThreadContext",
    "ThreadState",
    "Turn",
    "Turns",
    "Wait",
    "Workers",
    "current_turn",
    "make_store",
    "open_store",
]

PULSE_CONNECTIONS = 2
"""For the heartbeat and the blocking read."""


@dataclass(frozen=True, slots=True)
class Store:
    """The bot's data in Redis, or one shard of it. Every call raises StoreUnavailable while Redis
    is unreachable."""

    number: int
    """The number of the shard, from 0."""
    connection: Connection
    keys: Keys
    inbox: Inbox
    routing: Routing
    redelivery: Redelivery
    workers: Workers
    roster: Roster
    turns: Turns
    conversations: Conversations
    dead: DeadLetters
    circuits: Circuits
    pace: Pace
    flags: Flags
    spending: Spending
    channels: ChannelSettingsStore
    feedback: FeedbackStore
    archive: Archive
    leases: Leases
    sockets: Sockets
    audit: AuditTrail
    approvals: Approvals
    backup: Backup
    hold: LegalHold
    sealed: Sealed
    space: RecordSpace
    installations: Installations
    team_data: TeamData
    workspaces: WorkspaceSettingsStore

    @property
    def redis(self) -> "Redis":
        """Direct access to Redis, for commands that nothing here offers."""
        return self.connection.redis

    async def ping(self) -> None:
        """Ping Redis. Raises StoreUnavailable."""
        await self.connection.execute("PING")

    async def server_id(self) -> str:
        """An id that distinguishes the server from others, until it restarts."""
        info = await self.connection.execute("INFO", "server")
        return str(info.get("run_id", ""))

    async def now(self) -> float:
        """The time by Redis's clock, which stamps the last use of conversations."""
        seconds, microseconds = await self.connection.execute("TIME")
        return int(seconds) + int(microseconds) / 1e6


@asynccontextmanager
async def open_store(
    url: str,
    *,
    prefix: str = "bot",
    tls_verify: bool = True,
    connections: int = 10,
    timing: StoreTiming = StoreTiming(),
    audit_days: int = 0,
    confirm: Confirm = "",
    keyring: Keyring = Keyring(),
) -> AsyncIterator[Store]:
    """Open one store at a `redis://`, `rediss://` or `unix://` address; `bot.store.shards` opens
    those that the settings name.

    Redis need not be running yet: connections are opened on demand and reopened after a failure.
    Raises ConfigError if `url` cannot be read.
    """
    keys = Keys(prefix)
    open_server = partial(Server, url, tls_verify=tls_verify, timing=timing, confirm=confirm)
    # A worker's heartbeat and its blocking read must not queue behind the calls of its turns.
    pulse = open_server(connections=PULSE_CONNECTIONS)
    calls = open_server(connections=connections - PULSE_CONNECTIONS)
    try:
        yield make_store(
            calls.connect(keys), pulse.connect(keys), keys, audit_days=audit_days, keyring=keyring
        )
    finally:
        await calls.close()
        await pulse.close()


def make_store(
    connection: Connection,
    pulse: Connection,
    keys: Keys,
    *,
    audit_days: int = 0,
    keyring: Keyring = Keyring(),
    number: int = 0,
    shards: int = 1,
) -> Store:
    """The store of some keys. `pulse` is for a worker's heartbeat and its blocking read. `shards`
    is the number of shards on this server."""
    conversations = Conversations(connection, keys)
    sealed = Sealed(connection, keys, keyring)
    seen, redelivery = SeenBeats(), Redelivery(connection, keys, shards)
    inbox = Inbox(connection, pulse, keys, seen=seen, redelivery=redelivery)
    archive, feedback = Archive(connection, keys), FeedbackStore(connection, keys)
    dead = DeadLetters(connection, keys)
    return Store(
        number=number,
        connection=connection,
        keys=keys,
        inbox=inbox,
        routing=Routing(connection, keys, redelivery=redelivery),
        redelivery=redelivery,
        workers=Workers(pulse, keys, seen),
        roster=Roster(pulse),
        turns=Turns(connection, conversations),
        conversations=conversations,
        dead=dead,
        circuits=Circuits(connection, keys),
        pace=Pace(connection, keys),
        flags=Flags(connection, keys),
        spending=Spending(connection, keys),
        channels=ChannelSettingsStore(connection, keys),
        feedback=feedback,
        archive=archive,
        leases=Leases(connection, keys),
        sockets=Sockets(connection, keys),
        audit=AuditTrail(connection, keys, audit_days),
        approvals=Approvals(connection, keys, redelivery),
        backup=Backup(connection, keys),
        hold=LegalHold(connection, keys, inbox, archive, conversations),
        space=RecordSpace(connection, keys),
        sealed=sealed,
        team_data=TeamData(connection, keys, inbox, archive, feedback, dead, sealed),
        workspaces=WorkspaceSettingsStore(connection, keys, sealed),
        installations=Installations(connection, keys, sealed),
    )
