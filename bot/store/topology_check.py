"""The check of `bot doctor` whether another Redis server could take over."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError, ResponseError

from bot.checks import Finding, failed, ok, warning
from bot.errors import StoreUnavailable
from bot.settings import Settings
from bot.store.claims import pairs
from bot.store.cluster import Cluster
from bot.store.connection import Connection
from bot.store.judge import Info, judge_eviction, judge_persistence
from bot.store.topology import Sentinels

MAJORITY_NEEDS = 3
PATIENCE = 3.0
HOW_TO = "see docs/how-to/redis-high-availability.md"


class TopologyCheck:
    """The check of what `REDIS_URL` leads to; `info` is what the primary reports."""

    def __init__(self, connection: Connection, settings: Settings, info: Info) -> None:
        self._connection = connection
        self._topology = connection.topology
        self._confirm = settings.bot_redis_confirm
        self._shards = settings.bot_shards
        self._info = info

    async def look(self) -> Finding:
        """The worst finding, else what takes over from what."""
        findings = [*await self._findings(), self._replicas(), *await self._each_replica()]
        for level in ("failed", "warning"):
            if found := [finding for finding in findings if finding.level == level]:
                return found[0]
        return ok("; ".join(finding.text for finding in findings if finding.text))

    async def _findings(self) -> Sequence[Finding]:
        if isinstance(self._topology, Sentinels):
            return await self._sentinels(self._topology)
        if isinstance(self._topology, Cluster):
            return await self._cluster()
        if self._info.get("role") == "slave":
            return [failed("a replica: it takes no writes", "REDIS_URL must lead to the primary")]
        if int(self._info.get("cluster_enabled", 0)) and await self._has_other_owners():
            fix = "begin REDIS_URL with redis+cluster:// or rediss+cluster://"
            return [warning("one node of a cluster: the bot stops when its slot moves", fix)]
        return [ok("one server")]

    async def _has_other_owners(self) -> bool:
        """Whether slots belong to several nodes; a serverless offering poses as one."""
        slots = await self._connection.execute("CLUSTER", "SLOTS")
        return len({(server[0], server[1]) for _, _, server, *_ in slots}) > 1

    async def _sentinels(self, topology: Sentinels) -> Sequence[Finding]:
        asked = [sentinel_state(each, topology.primary) for each in topology.sentinels.values()]
        states = [state for state in await asyncio.gather(*asked) if state]
        known = max((int(state["num-other-sentinels"]) + 1 for state in states), default=0)
        text = f"{len(states)} of {len(asked)} Sentinels answer, {known} know each other"
        if len(states) < len(asked):
            return [warning(text, "start the others, or correct REDIS_URL")]
        if len({(state["ip"], state["port"]) for state in states}) > 1:
            return [warning("the Sentinels name different primaries", "a failover is under way?")]
        if known < MAJORITY_NEEDS:
            return [warning(f"{text}: no majority survives a failure", f"run three; {HOW_TO}")]
        if int(states[0]["quorum"]) > known:
            return [failed(f"{text}, but the quorum is {states[0]['quorum']}", "lower the quorum")]
        return [ok(text)]

    async def _cluster(self) -> Sequence[Finding]:
        reply = str(await self._connection.execute("CLUSTER", "INFO"))
        facts = dict(line.split(":", 1) for line in reply.split() if ":" in line)
        state, primaries = facts.get("cluster_state"), int(facts.get("cluster_size", 0))
        text = f"cluster of {facts.get('cluster_known_nodes')} nodes, {primaries} primaries"
        if state != "ok":
            return [failed(f"{text}: {state}", "redis-cli --cluster check HOST:PORT")]
        if int(facts.get("cluster_slots_pfail", 0)) + int(facts.get("cluster_slots_fail", 0)):
            return [warning(f"{text}: some do not answer", "redis-cli --cluster check HOST:PORT")]
        if primaries < MAJORITY_NEEDS:
            return [warning(f"{text}: no majority survives a failure", f"run three; {HOW_TO}")]
        return [await self._coverage() or ok(text)]

    async def _coverage(self) -> Finding | None:
        """Whether a node that is down stops the shards on the others."""
        if self._shards == 1:
            return None
        name = "cluster-require-full-coverage"
        try:
            found = pairs(await self._connection.execute("CONFIG", "GET", name))
        except (StoreUnavailable, ResponseError):  # the command is forbidden
            return None
        if found.get(name) != "yes":
            return None
        text = "a node that is down without a replica stops the shards on all nodes"
        return warning(text, f"set {name} no on each node")

    def _replicas(self) -> Finding:
        count = len(replicas(self._info))
        text = f"{count} replica{'s' * (count != 1)}"
        if self._confirm in ("replica", "both") and not count:
            fix = f"start a replica, or unset BOT_REDIS_CONFIRM; {HOW_TO}"
            return failed(f"{text}, and BOT_REDIS_CONFIRM={self._confirm} needs one", fix)
        if self._confirm in ("replica", "both") and count == 1:
            text = f"{text}: without it no message is accepted (BOT_REDIS_CONFIRM)"
            return warning(text, f"run two; {HOW_TO}")
        if isinstance(self._topology, Sentinels | Cluster) and not count:
            return warning(f"{text}: none can take over", f"start one; {HOW_TO}")
        return ok(text if count else "")

    async def _each_replica(self) -> list[Finding]:
        """The problems of the replicas that the primary lists, which matter after a failover."""
        if not isinstance(self._topology, Sentinels | Cluster):
            return []
        hosts = [(str(each["ip"]), int(each["port"])) for each in replicas(self._info)]
        found = await asyncio.gather(*(self._replica(host) for host in hosts))
        return [finding for finding in found if finding]

    async def _replica(self, host: tuple[str, int]) -> Finding | None:
        name = f"replica {host[0]}:{host[1]}"
        try:
            client = await self._topology.node(host)
            async with asyncio.timeout(PATIENCE):
                info: Any = await client.info()
        except (RedisError, OSError) as error:
            text = f"{name} cannot be reached from here: {type(error).__name__}"
            return warning(text, "after a failover the bot must reach it")
        if info.get("master_link_status") == "down":
            return warning(f"{name} has lost its primary", "see its log")
        for finding in (judge_eviction(info), judge_persistence(info, None, None)):
            if finding.level in ("failed", "warning"):
                return warning(f"{name}: {finding.text}", f"there, too: {finding.fix}")
        return None


def replicas(info: Info) -> list[Any]:
    """The replicas that a primary reports."""
    named = [info.get(f"slave{number}") for number in range(int(info.get("connected_slaves", 0)))]
    return [each for each in named if isinstance(each, dict)]


async def sentinel_state(sentinel: Any, primary: str) -> dict[str, Any] | None:
    """A Sentinel's knowledge of the primary; None if it does not answer."""
    try:
        async with asyncio.timeout(PATIENCE):
            state: dict[str, Any] = await sentinel.execute_command("SENTINEL MASTER", primary)
    except (RedisError, OSError):
        return None
    return state
