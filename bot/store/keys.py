"""The names of all keys in Redis, in one place; what each family holds is in `families.py`.

The prefix is the hash tag of every key, so that each script stays within one slot of a cluster.
"""

import re
from dataclasses import dataclass

from bot.models import Message, Thread
from bot.store.families import FAMILIES, Family

GROUP = "workers"
"""The consumer group that reads the stream of ready threads; the scripts know it, too."""


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
        """Stream of the conversations begun recently, which `web` remembers for a rollback."""
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
        """Whether a thread that is older than our data is `ours` or of `others`, according to
        Slack."""
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
