"""The names of all keys in Redis, in one place, with their types, lifetimes and bounds.

The prefix is the hash tag of every key, so that each script stays within one slot of a cluster.
"""

import re
from dataclasses import dataclass
from typing import Literal

from bot.models import Message, Thread

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
    "ready": Family("stream", "threads to be answered", "for ever", "one entry per busy thread"),
    "later": Family("zset", "threads by when they come back", "for ever", "one per busy thread"),
    "interrupts": Family("hash", "stops and resets by thread", "end of the turn", "busy threads"),
    "workers": Family("zset", "workers by the end of their lease", "a day after it", "workers"),
    "pulse": Family("hash", "first and last heartbeat", "for ever", "8 fields"),
    "epoch": Family("string", "random value, new after a loss of data", "for ever", "one value"),
    "circuits": Family("hash", "circuit breakers by dependency", "1 min healthy", "dependencies"),
    "parked": Family("zset", "threads that wait for a dependency", "7 days", "busy threads"),
    "dead": Family("hash", "dead letters", "until retried or dropped", "newest 10,000"),
    "begun": Family(
        "stream", "conversations begun lately", "5 minutes", "1,000 conversations", expires=True
    ),
    "idle": Family("zset", "conversations by last use", "BOT_RETENTION_DAYS", "conversations"),
    "orphans": Family("zset", "remote conversations to delete", "until deleted", "conversations"),
    "unconfirmed": Family("hash", "who waits for a deletion", "until confirmed", "conversations"),
    "settings": Family("list", "versions of a channel's settings", "for ever", "50 versions"),
    "channels": Family("set", "channels with settings, by team", "for ever", "channels"),
    "channel": Family("hash", "what routing needs of a channel's settings", "for ever", "1 field"),
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
    "thread": Family("hash", "claim of a busy thread", "until it rests", "8 fields"),
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
    "greeted": Family("set", "people who were greeted, by team", "for ever", "people"),
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
    "teams": Family("set", "teams with usage", "for ever", "teams"),
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
    "shards": Family("string", "number of shards and of servers", "for ever", "one value"),
    "recover": Family(
        "string", "places of threads were lost", "until recovered", "one value", expires=True
    ),
    "audit": Family("stream", "the audit trail of tool calls", "BOT_AUDIT_DAYS", "tool calls"),
    "audit_head": Family("string", "hash of the newest audit line", "for ever", "one value"),
    "hold": Family("string", "since when a legal hold is on", "until it ends", "one value"),
    "held": Family("hash", "deletions that wait for its end", "until carried out", "deletions"),
    "sealed": Family("hash", "encrypted secrets of a kind", "until removed", "owners"),
    "workspace": Family("list", "versions of a workspace's settings", "for ever", "50 versions"),
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

GROUP = "workers"
"""The consumer group that reads the stream of ready threads; the scripts know it, too."""


def render_families() -> str:
    """The families as a Markdown table."""
    lines = ["| key | type | holds | lifetime | bound |", "|---|---|---|---|---|"]
    for name, family in sorted(FAMILIES.items()):
        cells = (f"`{name}`", family.type, family.what, family.lifetime, family.bound)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one bot, or of one of its shards. `Keys("bot").ready` is `{bot}:ready`."""

    prefix: str

    def of_shard(self, number: int, count: int) -> "Keys":
        """The keys of one shard of `count`: `{bot:5}:ready`; a single one has those of the bot."""
        return self if count == 1 else Keys(f"{self.prefix}:{number}")

    def name(self, *parts: str) -> str:
        """A pattern for all keys of this bot."""
        return ":".join(("{" + self.prefix + "}", *parts))

    def family(self, key: str) -> Family | None:
        """The family of a key; None for a key that is not ours."""
        start = self.name("")
        rest = key.removeprefix(start)
        return FAMILIES.get(rest.partition(":")[0]) if key.startswith(start) else None

    def escaped(self, pattern: str) -> str:
        """A pattern for SCAN; the prefix is matched literally."""
        return re.sub(r"([*?\[\]\\^])", r"\\\1", self.name("")) + pattern

    def set_aside(self, key: str) -> str:
        """The name under which a key of the wrong type is set aside."""
        return self.name("corrupt", key.removeprefix(self.name("")))

    @property
    def ready(self) -> str:
        """Stream of threads that have something to do; read by the consumer group."""
        return self.name("ready")

    @property
    def later(self) -> str:
        """Sorted set of threads by the time at which they are due again."""
        return self.name("later")

    @property
    def interrupts(self) -> str:
        """Hash of interrupted threads, with the reason."""
        return self.name("interrupts")

    @property
    def workers(self) -> str:
        """Sorted set of workers by the end of their lease."""
        return self.name("workers")

    @property
    def sockets(self) -> str:
        """Sorted set of the Socket Mode connections by the time until which they live."""
        return self.name("sockets")

    @property
    def pulse(self) -> str:
        """Hash: the first and the last heartbeat of any worker, and since when leases count."""
        return self.name("pulse")

    @property
    def roster(self) -> str:
        """Sorted set of the worker processes that share the shards of this server."""
        return self.name("roster")

    @property
    def shards(self) -> str:
        """How many shards there are and over how many servers they are spread: see
        `bot.store.layout`."""
        return self.name("shards")

    @property
    def epoch(self) -> str:
        """A random value that changes when the data was lost."""
        return self.name("epoch")

    @property
    def recover(self) -> str:
        """Present while threads may have lost their places in `ready` or `later`."""
        return self.name("recover")

    @property
    def circuits(self) -> str:
        """Hash of circuit breakers, open or closed recently, by dependency."""
        return self.name("circuits")

    def parked(self, dependency: str) -> str:
        """Sorted set of the threads that wait for a dependency, in the order to resume them."""
        return self.name("parked", dependency)

    @property
    def dead(self) -> str:
        """Hash of dead letters."""
        return self.name("dead")

    @property
    def idle(self) -> str:
        """Sorted set of threads with a conversation by the time of its last use."""
        return self.name("idle")

    @property
    def begun(self) -> str:
        """Stream of the conversations begun lately, which `web` remembers for a rollback."""
        return self.name("begun")

    @property
    def orphans(self) -> str:
        """Sorted set of remote conversations without a thread, by when they may be deleted."""
        return self.name("orphans")

    @property
    def unconfirmed(self) -> str:
        """Hash of orphans with the person (`team|user`) who waits for their deletion."""
        return self.name("unconfirmed")

    def settings(self, team_id: str, channel_id: str) -> str:
        """List of the versions of a channel's settings, the newest first."""
        return self.name("settings", team_id, channel_id)

    def inbox(self, thread: Thread) -> str:
        """Hash of the thread's messages by ts, waiting and taken."""
        return self.name("inbox", thread.key)

    @property
    def inboxes(self) -> str:
        """The pattern of the keys of all inboxes."""
        return self.escaped("inbox:*")

    def thread_of(self, inbox: str) -> str:
        """The key of the thread with this inbox."""
        return inbox.removeprefix(self.name("inbox:"))

    def speakers(self, thread: Thread) -> str:
        """Hash of who wrote in the thread by their newest ts, and who mentioned us when."""
        return self.name("speakers", thread.key)

    def adopted(self, thread: Thread) -> str:
        """Whether a thread older than our data is `ours` or of `others`, according to Slack."""
        return self.name("adopted", thread.key)

    def overheard(self, thread: Thread) -> str:
        """Hash of messages by ts that were not for us, or not yet (context)."""
        return self.name("overheard", thread.key)

    def moved(self, thread: Thread, ts: str) -> str:
        """The ts under which an edited message was answered again."""
        return self.name("moved", thread.key, ts)

    def edited(self, thread: Thread, ts: str) -> str:
        """An edited question that was answered before the edit."""
        return self.name("edited", thread.key, ts)

    def untranscribed(self, file_id: str) -> str:
        """The message of a recording that Slack had not transcribed when it was needed."""
        return self.name("untranscribed", file_id)

    def channel(self, team_id: str, channel_id: str) -> str:
        """Hash of a channel's own settings."""
        return self.name("channel", team_id, channel_id)

    def thread(self, thread: Thread) -> str:
        """Hash of a busy thread: entry, claim, worker, attempts, crashes, reason, requester."""
        return self.name("thread", thread.key)

    def turn(self, thread: Thread) -> str:
        """Hash of the turn under way: id, taken, taken_at, asked (who wants it to end), late (an
        older message arrived, too), `?step` begun, `=step` recorded (among them `=approval:…`,
        `=decision:…` and `=withdrawn`, which scripts write)."""
        return self.name("turn", thread.key)

    def conversation(self, thread: Thread) -> str:
        """Hash of the thread's conversation; without `id` a tombstone: the thread is ours."""
        return self.name("conversation", thread.key)

    def record(self, thread: Thread) -> str:
        """List of the lines of our record of the conversation."""
        return self.name("record", thread.key)

    def recent(self, team_id: str, user_id: str) -> str:
        """Sorted set of `channel:thread_ts` by last use: the conversations a person wrote in."""
        return self.name("recent", team_id, user_id)

    @property
    def feedback(self) -> str:
        """Hash of feedback, by turn and person."""
        return self.name("feedback")

    def latest(self, thread: Thread) -> str:
        """The turn of the thread's last answer."""
        return self.name("latest", thread.key)

    def greeted(self, team_id: str) -> str:
        """Set of the people who were greeted."""
        return self.name("greeted", team_id)

    def seen_at(self, thread: Thread, ts: str) -> str:
        """The key of a message that was delivered with this `ts`."""
        return self.name("seen", thread.team_id, thread.channel_id, ts)

    def seen(self, message: Message) -> tuple[str, ...]:
        """The keys by which a second delivery of a message is recognized."""
        marks = [self.seen_at(message.thread, message.ts)]
        if message.event_id:
            marks.append(self.name("seen", message.event_id))
        return tuple(marks)

    def usage(self, team_id: str, day: str) -> str:
        """Hash of a day's usage: `channel:person:kind` to a count."""
        return self.name("usage", team_id, day)

    def used(self, team_id: str, user_id: str) -> str:
        """Set of `day:channel` in which a person's usage was counted."""
        return self.name("used", team_id, user_id)

    @property
    def teams(self) -> str:
        """Set of the teams with usage."""
        return self.name("teams")

    def spent(self, team_id: str, scope: str, name: str, period: str) -> str:
        """Hash of the sums of a day or month."""
        return self.name("spent", team_id, scope, name, period)

    def runs(self, conversation_id: str) -> str:
        """List of the runs of a remote conversation."""
        return self.name("runs", conversation_id)

    def reserved(self, team_id: str, scope: str, name: str) -> str:
        """Hash of the reservations of turns under way."""
        return self.name("reserved", team_id, scope, name)

    def top(self, team_id: str, scope: str, month: str) -> str:
        """Sorted set of ids by tokens used in a month."""
        return self.name("top", team_id, scope, month)

    def requests(self, team_id: str, scope: str, name: str, minute: int) -> str:
        """Counter of the requests of one minute."""
        return self.name("requests", team_id, scope, name, str(minute))

    def flag(self, name: str) -> str:
        """A flag: present while something that may happen once in a period has happened."""
        return self.name("mark", name)

    def lease(self, name: str) -> str:
        """The owner of a lease."""
        return self.name("lease", name)

    def channels(self, team_id: str) -> str:
        """Set of a team's channels with their own settings."""
        return self.name("channels", team_id)

    def sealed(self, kind: str) -> str:
        """Hash of the encrypted secrets of one kind, by their owner."""
        return self.name("sealed", kind)

    def lent(self, name: str) -> str:
        """An encrypted secret that is taken once."""
        return self.name("lent", name)

    @property
    def hold(self) -> str:
        """When the legal hold began."""
        return self.name("hold")

    @property
    def held(self) -> str:
        """The deletions that wait for the end of the legal hold."""
        return self.name("held")

    def workspace(self, id: str) -> str:
        """List of the versions of a workspace's settings, newest first."""
        return self.name("workspace", id)

    @property
    def installed(self) -> str:
        """Hash of the states of installations, without their tokens."""
        return self.name("installed")

    @property
    def audit(self) -> str:
        """Stream of the audit trail."""
        return self.name("audit")

    @property
    def audit_head(self) -> str:
        """Hash of the newest line of the audit trail."""
        return self.name("audit_head")

    @property
    def doctor(self) -> str:
        """A value that `bot doctor` writes and reads back."""
        return self.name("doctor")

    def bucket(self, name: str) -> str:
        """Timestamp of a token bucket."""
        return self.name("pace", name)

    def places(self, name: str) -> str:
        """Sorted set of callers that wait for a token bucket, by when they are served."""
        return self.name("places", name)

    def rest(self, name: str) -> str:
        """Present during a pause of a token bucket."""
        return self.name("rest", name)
