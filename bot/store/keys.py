"""The names of all keys in Redis, in one place.

The prefix is the hash tag of every key, so that each script stays within one slot of a cluster.
"""

from dataclasses import dataclass

from bot.models import Message, Thread

GROUP = "workers"
"""The consumer group that reads the stream of ready threads; the scripts know it, too."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one bot. `Keys("bot").ready` is `{bot}:ready`."""

    prefix: str

    def name(self, *parts: str) -> str:
        """Any key of this bot."""
        return ":".join(("{" + self.prefix + "}", *parts))

    @property
    def ready(self) -> str:
        """Stream of threads that have something to do; read by the consumer group."""
        return self.name("ready")

    @property
    def later(self) -> str:
        """Sorted set of threads that come back at a time."""
        return self.name("later")

    @property
    def interrupts(self) -> str:
        """Hash of threads whose turn is to end, with the reason."""
        return self.name("interrupts")

    @property
    def workers(self) -> str:
        """Sorted set of workers by the time until which they are taken to live."""
        return self.name("workers")

    @property
    def pulse(self) -> str:
        """Hash: when a worker was first and last heard, and from when on silent ones are dead."""
        return self.name("pulse")

    @property
    def epoch(self) -> str:
        """A random word that changes when the data was lost."""
        return self.name("epoch")

    @property
    def dead(self) -> str:
        """Hash of dead letters."""
        return self.name("dead")

    @property
    def idle(self) -> str:
        """Sorted set of threads with a conversation by the time of its last use."""
        return self.name("idle")

    @property
    def orphans(self) -> str:
        """Sorted set of remote conversations without a thread, by when they may be deleted."""
        return self.name("orphans")

    def settings(self, team_id: str, channel_id: str) -> str:
        """List of the versions of a channel's settings, the newest first."""
        return self.name("settings", team_id, channel_id)

    def inbox(self, thread: Thread) -> str:
        """Hash of the thread's messages by ts, waiting and taken."""
        return self.name("inbox", thread.key)

    def speakers(self, thread: Thread) -> str:
        """Hash of who wrote in the thread by their newest ts, and who mentioned us when."""
        return self.name("speakers", thread.key)

    def adopted(self, thread: Thread) -> str:
        """Whether a thread that is older than our data is `ours` or of `others`, by Slack."""
        return self.name("adopted", thread.key)

    def overheard(self, thread: Thread) -> str:
        """Hash of messages by ts that were not for us, or not yet."""
        return self.name("overheard", thread.key)

    def edited(self, thread: Thread, ts: str) -> str:
        """An edited question that was answered before the edit."""
        return self.name("edited", thread.key, ts)

    def channel(self, team_id: str, channel_id: str) -> str:
        """Hash of a channel's own settings."""
        return self.name("channel", team_id, channel_id)

    def thread(self, thread: Thread) -> str:
        """Hash of a busy thread: entry, claim, worker, attempts, crashes, reason."""
        return self.name("thread", thread.key)

    def turn(self, thread: Thread) -> str:
        """Hash of the turn under way: id, taken, taken_at, `?step` begun, `=step` recorded."""
        return self.name("turn", thread.key)

    def conversation(self, thread: Thread) -> str:
        """Hash of the thread's conversation; without `id` it says only that the thread is ours."""
        return self.name("conversation", thread.key)

    def record(self, thread: Thread) -> str:
        """List of the lines of our own record of the conversation."""
        return self.name("record", thread.key)

    def recent(self, team_id: str, user_id: str) -> str:
        """Sorted set of `channel:thread_ts` by last use: the conversations a person wrote in."""
        return self.name("recent", team_id, user_id)

    @property
    def feedback(self) -> str:
        """Hash of what people said of answers, by turn and person."""
        return self.name("feedback")

    def latest(self, thread: Thread) -> str:
        """The turn whose answer is the last one of the thread."""
        return self.name("latest", thread.key)

    def greeted(self, team_id: str) -> str:
        """Set of the people who know us."""
        return self.name("greeted", team_id)

    def seen(self, message: Message) -> tuple[str, ...]:
        """The marks by which a second delivery of a message is known."""
        thread = message.thread
        marks = [self.name("seen", thread.team_id, thread.channel_id, message.ts)]
        if message.event_id:
            marks.append(self.name("seen", message.event_id))
        return tuple(marks)

    def bucket(self, name: str) -> str:
        """Time stamp of a token bucket."""
        return self.name("pace", name)

    def places(self, name: str) -> str:
        """Sorted set of those who wait for a token bucket, by when they are served."""
        return self.name("places", name)

    def rest(self, name: str) -> str:
        """There while a pause of a token bucket holds."""
        return self.name("rest", name)
