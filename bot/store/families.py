"""The families of keys in Redis: their types, lifetimes and bounds. The names are in `keys.py`."""

from dataclasses import dataclass
from typing import Literal

RedisType = Literal["string", "hash", "list", "set", "zset", "stream"]


@dataclass(frozen=True, slots=True)
class Family:
    """The keys of one kind: Redis's type, what is in them, how long they live, what bounds them.

    `expires`: each of them has an expiry in Redis, from its first write on.
    """

    type: RedisType
    what: str
    lifetime: str
    bound: str
    expires: bool = False


FAMILIES = {
    "ready": Family("stream", "threads to be answered", "forever", "one entry per busy thread"),
    "later": Family("zset", "threads by when they come back", "forever", "one per busy thread"),
    "interrupts": Family("hash", "stops and resets by thread", "end of the turn", "busy threads"),
    "workers": Family("zset", "workers by the end of their lease", "a day after it", "workers"),
    "pulse": Family("hash", "first and last heartbeat", "forever", "8 fields"),
    "epoch": Family("string", "random value, new after a loss of data", "forever", "one value"),
    "circuits": Family("hash", "circuit breakers by dependency", "1 min healthy", "dependencies"),
    "parked": Family("zset", "threads that wait for a dependency", "7 days", "busy threads"),
    "dead": Family("hash", "dead letters", "until retried or dropped", "newest 10,000"),
    "begun": Family(
        "stream", "conversations begun recently", "5 minutes", "20,000 conversations", expires=True
    ),
    "idle": Family("zset", "conversations by last use", "BOT_RETENTION_DAYS", "conversations"),
    "orphans": Family("zset", "remote conversations to delete", "until deleted", "conversations"),
    "unconfirmed": Family("hash", "who waits for a deletion", "until confirmed", "conversations"),
    "settings": Family("list", "versions of a channel's settings", "forever", "50 versions"),
    "channels": Family("set", "channels with settings, by team", "forever", "channels"),
    "channel": Family("hash", "what routing needs of a channel's settings", "forever", "1 field"),
    "inbox": Family("hash", "messages of a busy thread by ts", "until answered", "1,000 messages"),
    "speakers": Family(
        "hash", "newest ts by person in a thread", "90 days", "people in a thread", expires=True
    ),
    "adopted": Family(
        "string", "whether an old thread is ours", "30 days", "one value", expires=True
    ),
    "overheard": Family(
        "hash", "messages that are context only", "90 s or 30 days", "50 messages", expires=True
    ),
    "moved": Family("string", "ts of an edited message", "90 days", "one value", expires=True),
    "edited": Family(
        "string", "an edit that may be answered again", "a day", "one message", expires=True
    ),
    "untranscribed": Family(
        "string",
        "message of a recording without transcript",
        "an hour",
        "one message",
        expires=True,
    ),
    "thread": Family("hash", "claim of a busy thread", "until it rests", "9 fields"),
    "turn": Family("hash", "journal of the turn under way", "until settled", "steps of a turn"),
    "conversation": Family(
        "hash", "a thread's conversation", "BOT_RETENTION_DAYS", "16 fields, 50 grants, 50 sources"
    ),
    "record": Family("list", "what was said, for a rebuild", "as its conversation", "400 KB"),
    "recent": Family("zset", "a person's conversations", "BOT_RETENTION_DAYS", "conversations"),
    "feedback": Family("hash", "feedback by turn and person", "BOT_RETENTION_DAYS", "feedback"),
    "latest": Family(
        "string", "turn of a thread's last answer", "90 days", "one value", expires=True
    ),
    "greeted": Family("set", "people who were greeted, by team", "forever", "people"),
    "seen": Family("string", "a delivered message", "26 hours", "one value", expires=True),
    "pace": Family("string", "token bucket", "until it is full again", "one value", expires=True),
    "places": Family("zset", "who waits for a token", "until served", "busy threads", expires=True),
    "rest": Family("string", "a pause of a token bucket", "the pause", "one value", expires=True),
    "usage": Family(
        "hash", "usage of a day by channel and person", "400 days", "people, channels", expires=True
    ),
    "used": Family(
        "set", "days and channels of a person", "400 days", "days and channels", expires=True
    ),
    "teams": Family("set", "teams with usage", "forever", "teams"),
    "spent": Family("hash", "sums of a day or month", "70 days", "6 fields", expires=True),
    "top": Family("zset", "who used most in a month", "400 days", "people, channels", expires=True),
    "requests": Family("string", "requests of a minute", "2 minutes", "one value", expires=True),
    "runs": Family("list", "runs of a remote conversation", "90 days", "1000 ids", expires=True),
    "reserved": Family(
        "hash", "what turns under way may use", "an hour", "turns under way", expires=True
    ),
    "mark": Family(
        "string", "something done once in a while", "its own seconds", "one value", expires=True
    ),
    "lease": Family(
        "string", "work of one process at a time", "its own seconds", "one value", expires=True
    ),
    "doctor": Family("string", "probe of bot doctor", "seconds", "one value", expires=True),
    "sockets": Family(
        "zset", "Socket Mode connections by the end of their lease", "a minute", "web", expires=True
    ),
    "roster": Family(
        "zset", "workers that serve a server's shards", "8 s", "workers", expires=True
    ),
    "shards": Family("string", "number of shards and of servers", "forever", "one value"),
    "recover": Family(
        "string", "places of threads were lost", "until recovered", "one value", expires=True
    ),
    "audit": Family("stream", "the audit trail of tool calls", "BOT_AUDIT_DAYS", "tool calls"),
    "audit_head": Family("string", "hash of the newest audit line", "forever", "one value"),
    "hold": Family("string", "since when a legal hold is on", "until it ends", "one value"),
    "held": Family("hash", "deletions that wait for its end", "until carried out", "deletions"),
    "sealed": Family("hash", "encrypted secrets of a kind", "until removed", "owners"),
    "workspace": Family("list", "versions of a workspace's settings", "forever", "50 versions"),
    "installed": Family(
        "hash", "states of installations", "BOT_UNINSTALL_DAYS after the removal", "workspaces"
    ),
    "lent": Family(
        "string",
        "an account that is being connected, encrypted",
        "10 minutes",
        "one value",
        expires=True,
    ),
    "corrupt": Family(
        "string", "a key of the wrong type, set aside", "30 days", "as it was", expires=True
    ),
}
"""All families, by the first part of the key behind the prefix."""


def render_families() -> str:
    """The families as a Markdown table."""
    lines = ["| key | type | holds | lifetime | bound |", "|---|---|---|---|---|"]
    for name, family in sorted(FAMILIES.items()):
        cells = (f"`{name}`", family.type, family.what, family.lifetime, family.bound)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)
