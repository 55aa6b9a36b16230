"""The findings of `bot doctor` about what a Redis server reports."""

from collections.abc import Mapping
from typing import Any

from bot.checks import Finding, failed, ok, skipped, warning
from bot.settings.addresses import parse_address
from bot.store.record_space import Memory

OLDEST = (6, 2)
"""`XPENDING ... IDLE` and the scripts need it."""
ADVISED = (7, 0)
PROCESSES_IN_A_DEPLOY = 4
"""web and worker, old and new: both releases run side by side during a deploy."""
FULL = 0.8
Info = Mapping[str, Any]

LOCAL = ("localhost", "127.0.0.1", "::1")


def judge_version(info: Info) -> Finding:
    """Valkey reports the compatible Redis in `redis_version` and its own version separately."""
    reported = str(info.get("redis_version", "0"))
    version = tuple(int(part) for part in reported.split(".")[:2] if part.isdecimal())
    own = info.get("valkey_version")
    name = f"Valkey {own}" if own else f"Redis {reported}"
    if version < OLDEST:
        return failed(f"{name} is too old", "the bot needs Redis 6.2 or Valkey 7.2, or newer")
    if version < ADVISED:
        return warning(f"{name} is the oldest that works", "upgrade to Redis 7 or Valkey 8")
    return ok(name)


def judge_tls(url: str, *, verified: bool) -> Finding:
    """Whether the connection is encrypted, or need not be."""
    address = parse_address(url)
    if all(host in LOCAL for host, _ in address.hosts):
        return ok("not needed: on this machine")
    if address.tls and address.kind == "sentinel" and not address.sentinel_tls:
        return warning(
            "encrypted, except to the Sentinels, which decide where the messages go",
            "let the Sentinels speak TLS, and remove sentinel_tls from REDIS_URL",
        )
    if address.tls:
        if verified:
            return ok("encrypted, certificate verified")
        return ok("encrypted; the certificate is not verified (BOT_REDIS_TLS_VERIFY)")
    return warning(
        "messages travel to Redis unencrypted",
        "use a rediss:// address, unless the network between is your own",
    )


def judge_eviction(info: Info) -> Finding:
    """Whether a full server refuses writes instead of deleting keys."""
    policy = str(info.get("maxmemory_policy", "unknown"))
    most, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    fix = (
        "redis-cli config set maxmemory-policy noeviction "
        "(Heroku: heroku redis:maxmemory --policy noeviction)"
    )
    if policy.startswith("allkeys"):
        return failed(f"{policy}: a full Redis evicts waiting messages", fix)
    if policy.startswith("volatile"):
        return warning(
            f"{policy}: a full Redis evicts delivery marks, and the bot may answer twice",
            f"{fix}; where the policy is fixed (ElastiCache Serverless), keep the memory in use "
            "far below the limit",
        )
    if policy != "noeviction":
        return skipped("this server does not report its policy; it must be noeviction")
    if most and used > FULL * most:
        return warning(
            f"noeviction, and {100 * used // most} % of the memory is in use",
            "a larger plan or maxmemory, or a shorter retention; a full Redis accepts no messages",
        )
    return ok("noeviction")


def judge_room(memory: Memory | None, bytes_per_turn: int) -> Finding:
    """How many more turns fit if each leaves this number of bytes."""
    if memory is None:
        return skipped("this server does not report its memory")
    used, each = f"{memory.used / 1e6:,.1f}", f"{bytes_per_turn / 1000:.1f} KB each"
    if not memory.limit:
        return ok(f"no limit; {used} MB in use, {each} turn")
    turns = max(0, memory.limit - memory.used) // bytes_per_turn
    text = (
        f"room for {turns:,} more turns ({each}; {used} of {memory.limit / 1e6:,.1f} MB are in use)"
    )
    if memory.ratio < FULL:
        return ok(text)
    return warning(
        f"{text}; the oldest records are being deleted",
        "a larger plan or maxmemory, or a shorter BOT_RETENTION_DAYS",
    )


def judge_persistence(info: Info, save: str | None, fsync: str | None) -> Finding:
    """`save` and `fsync` are the server's settings for snapshots and for syncing to disk; None if
    unknown."""
    if info.get("aof_last_write_status", "ok") != "ok" or (
        info.get("rdb_last_bgsave_status", "ok") != "ok"
    ):
        return failed("Redis cannot write its data to disk", "free disk space; see Redis's own log")
    if int(info.get("aof_enabled", 0)):
        if fsync == "always":
            return ok("append-only file, complete at any moment")
        return ok(
            "append-only file; a crash of Redis may lose two seconds (none with appendfsync always)"
        )
    fix = "redis-cli config set appendonly yes (Heroku: a premium plan)"
    if save:
        return warning("snapshots only: a crash of Redis loses the last minutes", fix)
    if save is None:
        return warning("no append-only file: a crash of Redis may lose waiting messages", fix)
    return warning("none: a restart of Redis loses conversations and waiting messages", fix)


def judge_connections(cap: int, used: int, setting: int, for_shards: int = 0) -> Finding:
    """`cap` and `used` are reported by the server; `setting` is BOT_REDIS_CONNECTIONS, to which a
    worker adds those `for_shards`."""
    ours = setting + for_shards
    needed = PROCESSES_IN_A_DEPLOY * ours
    text = f"{used} of {cap} in use, up to {ours} a process"
    best = max(3, cap // PROCESSES_IN_A_DEPLOY - 1 - for_shards)
    fix = f"set BOT_REDIS_CONNECTIONS={best}, or a larger plan"
    if cap < ours:
        return failed(text, fix)
    if cap < needed:
        return warning(f"{text}; web and worker need {needed} during a deploy", fix)
    return ok(text)
