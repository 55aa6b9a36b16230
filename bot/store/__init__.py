"""The store: everything that outlives a process, in Redis. The only folder that imports redis."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis

from bot.sealing import Keyring
from bot.settings import Settings
from bot.store.approvals import Approval, Approvals, Decision, Pending, Requested
from bot.store.archive import Archive
from bot.store.audit import AuditLine, AuditTrail
from bot.store.backup import Backup
from bot.store.channel_settings import Channels, ChannelSettings
from bot.store.circuits import Circuits, current_turn
from bot.store.claims import (
    Amendment,
    Beat,
    Claim,
    Delivery,
    Depth,
    Entry,
    Interrupt,
    ThreadState,
    Wait,
)
from bot.store.connection import Confirm, Connection, open_connection
from bot.store.conversations import Conversations
from bot.store.dead import DeadLetter, DeadLetters
from bot.store.feedback import Feedback, FeedbackBook
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
from bot.store.routing import Address, Background, Routed, Routing
from bot.store.sealed import Sealed
from bot.store.sockets import Sockets
from bot.store.team_data import TeamData
from bot.store.usage import Spending
from bot.store.workers import Workers
from bot.store.workspace_settings import WorkspaceBook
from bot.timing import StoreTiming

__all__ = [
    "Address",
    "Amendment",
    "Approval",
    "Approvals",
    "Archive",
    "AuditLine",
    "AuditTrail",
    "Background",
    "Beat",
    "ChannelSettings",
    "Channels",
    "Circuits",
    "Claim",
    "Conversations",
    "DeadLetter",
    "DeadLetters",
    "Decision",
    "Delivery",
    "Depth",
    "Entry",
    "Feedback",
    "FeedbackBook",
    "Flags",
    "Inbox",
    "Installation",
    "Installations",
    "Interrupt",
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
    "ThreadState",
    "Turn",
    "Turns",
    "Wait",
    "Workers",
    "current_turn",
    "open_store",
]

PULSE_CONNECTIONS = 2


@dataclass(frozen=True, slots=True)
class Store:
    """The bot's data in Redis. Every call raises StoreUnavailable while Redis is unreachable."""

    connection: Connection
    keys: Keys
    inbox: Inbox
    routing: Routing
    redelivery: Redelivery
    workers: Workers
    turns: Turns
    conversations: Conversations
    dead: DeadLetters
    circuits: Circuits
    pace: Pace
    flags: Flags
    spending: Spending
    channels: Channels
    feedback: FeedbackBook
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
    workspaces: WorkspaceBook

    @property
    def redis(self) -> "Redis":
        """Direct access to Redis, for commands that nothing here offers."""
        return self.connection.redis

    async def ping(self) -> None:
        """Ping Redis. Raises StoreUnavailable."""
        await self.connection.execute("PING")

    async def now(self) -> float:
        """The time by Redis's clock, which stamps the last use of conversations."""
        seconds, microseconds = await self.connection.execute("TIME")
        return int(seconds) + int(microseconds) / 1e6


def open_own_store(
    settings: Settings, timing: StoreTiming = StoreTiming()
) -> AbstractAsyncContextManager[Store]:
    """Open the store that the settings name."""
    return open_store(
        settings.redis_url,
        prefix=settings.bot_redis_prefix,
        tls_verify=settings.redis_tls_verify,
        connections=settings.bot_redis_connections,
        timing=timing,
        confirm=settings.bot_redis_confirm,
        audit_days=settings.bot_audit_days,
        keyring=settings.keyring,
    )


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
    """Open the store at a `redis://`, `rediss://` or `unix://` address.

    Redis need not be running yet: connections are opened on demand and reopened after a failure.
    Raises ConfigError if `url` cannot be read.
    """
    keys = Keys(prefix)
    # A worker's heartbeat and its blocking read must not queue behind the calls of its turns.
    open_to_url = partial(
        open_connection, url, keys, tls_verify=tls_verify, timing=timing, confirm=confirm
    )
    pulse = open_to_url(connections=PULSE_CONNECTIONS)
    connection = open_to_url(connections=connections - PULSE_CONNECTIONS)
    conversations = Conversations(connection, keys)
    sealed = Sealed(connection, keys, keyring)
    seen, redelivery = SeenBeats(), Redelivery(connection, keys)
    inbox = Inbox(connection, pulse, keys, seen=seen, redelivery=redelivery)
    archive, feedback = Archive(connection, keys), FeedbackBook(connection, keys)
    dead = DeadLetters(connection, keys)
    try:
        yield Store(
            connection=connection,
            keys=keys,
            inbox=inbox,
            routing=Routing(connection, keys, redelivery=redelivery),
            redelivery=redelivery,
            workers=Workers(pulse, keys, seen),
            turns=Turns(connection, conversations),
            conversations=conversations,
            dead=dead,
            circuits=Circuits(connection, keys),
            pace=Pace(connection, keys),
            flags=Flags(connection, keys),
            spending=Spending(connection, keys),
            channels=Channels(connection, keys),
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
            workspaces=WorkspaceBook(connection, keys, sealed),
            installations=Installations(connection, keys, sealed),
        )
    finally:
        await connection.close()
        await pulse.close()
